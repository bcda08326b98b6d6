"""The store: is it there, and what to do when it came back empty."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import typer

from riskd.app.parts import open_store
from riskd.cli.root import AsJson, app, print_json, settings
from riskd.store import Store

store = typer.Typer(help="History and counters: state, and accepting the loss of history.", no_args_is_help=True)
app.add_typer(store, name="store")

Result = TypeVar("Result")


def _with_store(work: Callable[[Store], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with open_store(settings()) as opened:
            return await work(opened)

    return asyncio.run(run())


@store.command()
def status(as_json: AsJson = False) -> None:
    """Say whether the store answers and still holds the history this installation knows."""
    whole = _with_store(lambda opened: opened.ping())
    if as_json:
        print_json({"answers": True, "history": "kept" if whole else "lost"})
    else:
        typer.echo("the store answers and holds its history" if whole else "the store answers, but LOST its history")
    raise typer.Exit(0 if whole else 1)


@store.command("accept-loss")
def accept_loss() -> None:
    """Accept that the history is gone: decisions are no longer degraded, and habits are learned anew."""
    _with_store(lambda opened: opened.accept_loss(datetime.now(UTC).timestamp()))
    typer.echo("accepted: history starts anew; running services adopt it with their next decision")
