"""Databases and lists: what is in use, how old it is, under which licence, and how to get better ones."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from riskd.app.parts import open_enricher, open_geo, policy_path
from riskd.cli.root import AsJson, app, console, fail, print_json, settings
from riskd.enrich.identity import load_secrets
from riskd.enrich.install import install_cities
from riskd.enrich.sources import sources
from riskd.policy.load import load

data = typer.Typer(help="GeoIP databases and network lists: list and install.", no_args_is_help=True)
app.add_typer(data, name="data")


@data.command("list")
def list_data(as_json: AsJson = False) -> None:
    """List every source of data with its age and licence."""
    where = settings()
    path = policy_path(where)
    enricher = open_enricher(load(path), path, load_secrets(where.data_dir), open_geo(where))
    found = sources(enricher, where.data_dir, datetime.now(UTC))
    if as_json:
        print_json(found)
        return
    table = Table()
    for column in ("source", "holds", "version", "age, days", "licence"):
        table.add_column(column, overflow="fold")
    for source in found:
        age = "" if source.age_days is None else str(source.age_days)
        table.add_row(source.name, source.holds, source.version, age, source.licence)
    console.print(table)
    for source in found:
        if source.attribution:
            typer.echo(f"{source.name}: {source.attribution}")


@data.command()
def install(
    cities: Annotated[
        bool, typer.Option("--cities", help="City coordinates and ASNs (DB-IP Lite, CC BY 4.0).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Install free databases into the data directory; running services take them over by themselves."""
    if not cities:
        fail("say what to install: --cities")
    done = install_cities(settings().data_dir)
    if as_json:
        print_json(done)
        return
    for item in done:
        typer.echo(f"installed {item.file} ({item.package} {item.version}), {item.licence}. {item.attribution}")
