"""What all commands share: the typer app, the settings, and how results are shown."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from pydantic import ValidationError
from rich.console import Console

from riskd import __version__
from riskd.errors import ConfigError
from riskd.settings import Settings

app = typer.Typer(
    name="riskd",
    help="A policy decision point for step-up authentication: allow, step_up or deny, with reasons.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
console = Console(emoji=False)  # `:id:` in a path is no picture


def settings() -> Settings:
    """Read the environment; raises ConfigError that names each variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"RISKD_{'_'.join(map(str, detail['loc'])).upper()}: {detail['msg']}"
            for detail in error.errors(include_url=False)
        )
        raise ConfigError(wrong) from None


def print_json(value: Any) -> None:  # noqa: ANN401 - anything msgspec can encode
    """Print a value as indented JSON on stdout."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def fail(message: str, code: int = 1) -> NoReturn:
    """Print one line to stderr and leave."""
    sys.stderr.write(f"riskd: {message}\n")
    raise typer.Exit(code)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int], None]]:
    """Yield what shows on a terminal how many of `what` ("decisions judged") a command has come through."""
    from rich.progress import Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - 19 ms that few commands need

    screen = Console(stderr=True)
    columns = TextColumn(f"{{task.completed:,}} {what}"), TimeElapsedColumn()
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as shown:
        task = shown.add_task(what, total=None)
        yield lambda count: shown.update(task, completed=count)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"riskd {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Judge logins and risky actions."""
