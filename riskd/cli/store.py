"""The store: is it there, what to do when it came back empty, and new keys for its map of subjects."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import typer
from msgspec import to_builtins

from riskd.app.parts import open_store, store_url
from riskd.cli.root import AsJson, app, print_json, settings
from riskd.enrich.identity import begin_rotation, finish_rotation
from riskd.store import Store
from riskd.store.upkeep import Rekeyed, forget_moved, rekey, state

store = typer.Typer(help="History and counters: state, and accepting the loss of history.", no_args_is_help=True)
app.add_typer(store, name="store")

Result = TypeVar("Result")


def _with_store(work: Callable[[Store], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with open_store(settings()) as opened:
            return await work(opened)

    return asyncio.run(run())


def _with_url(work: Callable[[str], Result]) -> Result:
    async def run() -> Result:
        async with store_url(settings()) as url:
            return await asyncio.to_thread(work, url)

    return asyncio.run(run())


@store.command()
def status(as_json: AsJson = False) -> None:
    """Say whether the store answers and still holds the history this installation knows."""
    whole = _with_store(lambda opened: opened.ping())
    found = _with_url(state)
    if as_json:
        print_json({"history": "kept" if whole else "lost", **to_builtins(found)})
    else:
        typer.echo(
            f"{found.server} {found.version}, {found.keys:,} keys, {found.memory_bytes / 2**20:.1f} MiB, "
            f"{'persistent' if found.persistent else 'NOT persistent'}; "
            f"history {'kept' if whole else 'LOST: see `riskd store accept-loss --help`'}"
        )
    raise typer.Exit(0 if whole else 1)


@store.command("rotate-identity")
def rotate_identity() -> None:
    """Add a key to the hash that maps subject ids to tokens, and move the map; records stay as they are.

    Stop the service first: what it would write meanwhile stays under the old key. Where this breaks off, run it again
    before the service starts: the key in use stays the old one until the whole map has moved.
    """
    data_dir = settings().data_dir
    rename = begin_rotation(data_dir).rekey

    def move(url: str) -> Rekeyed:
        moved = rekey(url, rename)
        finish_rotation(data_dir)
        forget_moved(url, rename)
        return moved

    moved = _with_url(move)
    typer.echo(f"moved {moved.subjects} subjects and {moved.pending} attempts that wait for their outcome")


@store.command("accept-loss")
def accept_loss() -> None:
    """Accept that the history is gone: decisions are no longer degraded, and habits are learned anew."""
    _with_store(lambda opened: opened.accept_loss(datetime.now(UTC).timestamp()))
    typer.echo("accepted: history starts anew; running services adopt it with their next decision")
