"""API keys: who may call, and what for."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from riskd.cli.root import AsJson, app, console, print_json, settings
from riskd.tokens.keyfile import SCOPES, Issued, create_key, load_keys, revoke_key, rotate_key

keys = typer.Typer(
    help="API keys: hashed at rest, named, scoped, two live per name for rotation.", no_args_is_help=True
)
app.add_typer(keys, name="keys")


def _file() -> Path:
    return settings().data_dir / "secrets" / "keys.json"


def _issued(issued: Issued, as_json: bool) -> None:
    if as_json:
        print_json({"id": issued.key.id, "name": issued.key.name, "scopes": issued.key.scopes, "key": issued.text})
    else:
        typer.echo(f"{issued.text}\nkey {issued.key.id} of {issued.key.name!r}; shown once, kept only as a hash")


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List all keys, ended ones too; never a secret."""
    now = datetime.now(UTC)
    rows = [
        {
            "id": key.id,
            "name": key.name,
            "scopes": key.scopes,
            "created": key.created,
            "ends": key.ends,
            "live": key.is_live(now),
        }
        for key in load_keys(_file())
    ]
    if as_json:
        print_json(rows)
        return
    table = Table()
    for column in ("id", "name", "scopes", "created", "ends", "live"):
        table.add_column(column)
    for row in rows:
        scopes = row["scopes"]
        table.add_row(
            str(row["id"]),
            str(row["name"]),
            ", ".join(scopes) if isinstance(scopes, tuple) else "",
            f"{row['created']:%Y-%m-%d %H:%M}",
            f"{row['ends']:%Y-%m-%d %H:%M}" if row["ends"] else "never",
            "yes" if row["live"] else "no",
        )
    console.print(table)


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Who will call with it.")],
    scope: Annotated[list[str], typer.Option(help=f"Repeat for several: {', '.join(SCOPES)}.")],
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; default: never.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it once."""
    now = datetime.now(UTC)
    expires = None if days is None else now + timedelta(days=days)
    _issued(create_key(_file(), name, scope, now=now, expires=expires), as_json)


@keys.command()
def rotate(
    name: Annotated[str, typer.Argument(help="Whose key.")],
    overlap_hours: Annotated[float, typer.Option(min=0, help="How long the old one still works.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Make a second key of the same name and scopes; the old one ends after the overlap."""
    _issued(rotate_key(_file(), name, now=datetime.now(UTC), overlap=timedelta(hours=overlap_hours)), as_json)


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id, as `riskd keys list` shows it.")]) -> None:
    """End a key at once."""
    key = revoke_key(_file(), key_id, now=datetime.now(UTC))
    typer.echo(f"key {key.id} of {key.name!r} is revoked")
