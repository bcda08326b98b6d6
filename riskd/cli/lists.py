"""Lists and exemptions that the store holds: show them, change them; running services follow within about a second."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from riskd.app.parts import open_ledger
from riskd.cli.root import AsJson, app, console, fail, print_json, settings
from riskd.ledger import Ledger
from riskd.ledger.wire import (
    Additions,
    Exemption,
    ExemptSubject,
    Grant,
    ListedEntry,
    ListReceipt,
    ListState,
    Removals,
    Withdrawal,
)

lists = typer.Typer(help="The policy's named lists: what they hold, and changing what the store holds of them.")
exemptions = typer.Typer(help="Exemptions: a signal that counts nothing for a subject for a while.")
app.add_typer(lists, name="lists")
app.add_typer(exemptions, name="exemptions")

Result = TypeVar("Result")
Name = Annotated[str, typer.Argument(help="The list's name in the policy.")]
Values = Annotated[list[str], typer.Argument(help="Entries of the list's kind.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the audit trail.")]
Days = Annotated[float | None, typer.Option(min=0.001, help="Days until it lapses; default: never.")]
Subject = Annotated[str, typer.Argument(help="The subject's id.")]
Code = Annotated[str, typer.Argument(help="The signal.")]
Type = Annotated[str, typer.Option("--type", help="The subject's type.")]


def _with_ledger(work: Callable[[Ledger], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with open_ledger(settings()) as ledger:
            return await work(ledger)

    try:
        return asyncio.run(run())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        fail(f"{'.'.join(map(str, first['loc'])) or 'this'}: {first['msg']}")


def _author() -> str:
    """Return who runs the command, as the audit trail names him."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name
        return "cli"


def _until(days: float | None, now: datetime) -> datetime | None:
    return None if days is None else now + timedelta(days=days)


@lists.command("show")
def show(
    name: Annotated[str | None, typer.Argument(help="A list whose entries in the store are shown.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show all lists, or what the store holds of one."""
    if name is None:
        states = _with_ledger(_states)
        if as_json:
            print_json([state.model_dump(mode="json") for state in states])
        else:
            lines = [(s.name, s.kind, s.of, _counts(s.entries), ", ".join(s.exempts)) for s in states]
            _print(("list", "kind", "of", "entries", "lifts"), lines)
        return
    entries = _with_ledger(lambda ledger: _entries(ledger, name))
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in entries])
    else:
        rows = [(e.entry, _time(e.until), e.author, e.reason, _time(e.added_at)) for e in entries]
        _print(("entry", "until", "author", "reason", "added"), rows)


@lists.command("add")
def add(name: Name, values: Values, reason: Reason, days: Days = None, as_json: AsJson = False) -> None:
    """Add entries to a list in the store."""

    async def change(ledger: Ledger) -> ListReceipt:
        now = datetime.now(UTC)
        asked = Additions(values=tuple(values), until=_until(days, now), reason=reason)
        return await ledger.add(name, asked, author=_author(), now=now)

    _tell(_with_ledger(change), as_json)


@lists.command("remove")
def remove(name: Name, values: Values, reason: Reason, as_json: AsJson = False) -> None:
    """Take entries off a list in the store."""

    async def change(ledger: Ledger) -> ListReceipt:
        asked = Removals(values=tuple(values), reason=reason)
        return await ledger.remove(name, asked, author=_author(), now=datetime.now(UTC))

    _tell(_with_ledger(change), as_json)


@exemptions.command("show")
def show_exemptions(as_json: AsJson = False) -> None:
    """Show all exemptions."""
    found = _with_ledger(_exemptions)
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
    else:
        rows = [(e.id, e.code, _time(e.until), e.author, e.reason) for e in found]
        _print(("id", "signal", "until", "author", "reason"), rows)


@exemptions.command("grant")
def grant(
    subject: Subject,
    code: Code,
    reason: Reason,
    days: Annotated[float, typer.Option(min=0.001, max=90, help="Days until it lapses.")] = 7,
    subject_type: Type = "user",
    as_json: AsJson = False,
) -> None:
    """Exempt a subject from a signal."""

    async def change(ledger: Ledger) -> Exemption:
        now = datetime.now(UTC)
        whom = ExemptSubject(id=subject, type=subject_type)
        asked = Grant(subject=whom, code=code, until=now + timedelta(days=days), reason=reason)
        return await ledger.grant(asked, author=_author(), now=now)

    granted = _with_ledger(change)
    if as_json:
        print_json(granted.model_dump(mode="json"))
    else:
        typer.echo(f"{granted.code} counts nothing for this subject until {_time(granted.until)}: {granted.id}")


@exemptions.command("withdraw")
def withdraw(
    subject: Subject, code: Code, reason: Reason, subject_type: Type = "user", as_json: AsJson = False
) -> None:
    """End an exemption."""

    async def change(ledger: Ledger) -> Exemption:
        asked = Withdrawal(subject=ExemptSubject(id=subject, type=subject_type), code=code, reason=reason)
        return await ledger.withdraw(asked, author=_author(), now=datetime.now(UTC))

    ended = _with_ledger(change)
    if as_json:
        print_json(ended.model_dump(mode="json"))
    else:
        typer.echo(f"{ended.code} counts again for this subject")


async def _states(ledger: Ledger) -> tuple[ListState, ...]:
    return ledger.lists().lists


async def _entries(ledger: Ledger, name: str) -> list[ListedEntry]:
    found: dict[str, ListedEntry] = {}
    cursor = 0
    while True:
        page = await ledger.entries(name, cursor)
        found.update({entry.entry: entry for entry in page.entries})
        cursor = page.cursor
        if not cursor:
            return [found[key] for key in sorted(found)]


async def _exemptions(ledger: Ledger) -> list[Exemption]:
    found: dict[str, Exemption] = {}
    cursor = 0
    while True:
        page = await ledger.exemptions(cursor)
        found.update({one.id: one for one in page.exemptions})
        cursor = page.cursor
        if not cursor:
            return sorted(found.values(), key=lambda one: one.until)


def _tell(receipt: ListReceipt, as_json: bool) -> None:
    if as_json:
        print_json(receipt.model_dump(mode="json"))
        return
    for one in receipt.entries:
        typer.echo(f"{one.status} {one.entry}")


def _print(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    table = Table()
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)


def _counts(entries: dict[str, int]) -> str:
    return ", ".join(f"{place} {count:,}" for place, count in entries.items())


def _time(instant: datetime | None) -> str:
    return "never" if instant is None else f"{instant:%Y-%m-%d %H:%M}"
