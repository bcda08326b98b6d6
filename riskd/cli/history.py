"""History: bring it in from elsewhere, and teach a store what a log knows."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from riskd.app.parts import (
    PATIENCE_S,
    open_geo,
    open_leaked,
    open_lists,
    open_model,
    open_named,
    open_source,
    policy_path,
    policy_store,
    store_url,
)
from riskd.cli.engine import EngineName, EngineOption, Jobs, Logs, logs_of, opened
from riskd.cli.replay import instant
from riskd.cli.root import AsJson, app, console, fail, print_json, progress, settings
from riskd.enrich.identity import Keep, KeptField, load_secrets
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load
from riskd.settings import Settings
from riskd.store import Store

if TYPE_CHECKING:
    from riskd.learn.blocks import Engine
    from riskd.learn.importing.backfill import Backfilled
    from riskd.learn.importing.play import Imported
    from riskd.learn.importing.row import Row


class Form(StrEnum):
    """What a file is."""

    RBA = "rba"
    SSHD = "sshd"
    CSV = "csv"
    JSONL = "jsonl"


@app.command("import")
def import_history(
    form: Annotated[
        Form, typer.Argument(help="rba: the RBA data set · sshd: OpenSSH's log · csv, jsonl: by a mapping.")
    ],
    files: Annotated[list[Path], typer.Argument(help="Files, plain, .gz or .zst.")],
    out: Annotated[Path, typer.Option(help="Folder to write log/ and subjects.jsonl into; must not hold any yet.")],
    mapping: Annotated[
        Path | None, typer.Option(help="csv, jsonl: which column is which field; see docs/importing.md.")
    ] = None,
    year: Annotated[
        int | None,
        typer.Option(min=1990, max=9999, help="sshd: year of the first line; default: the latest that fits."),
    ] = None,
    zone: Annotated[str, typer.Option(help="sshd: time zone of the host's clock, e.g. Europe/Oslo.")] = "UTC",
    policy: Annotated[
        Path | None,
        typer.Option(help="Policy to judge by; default: the one in use, for sshd without one riskd's own for hosts."),
    ] = None,
    begins: Annotated[
        str | None, typer.Option(help="rba: hour of the first row where a spreadsheet took the hours away.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="rba: leave out rows that a spreadsheet damaged.")] = False,
    vouch: Annotated[
        bool,
        typer.Option(
            "--vouch",
            help="sshd, csv, jsonl: what succeeded was honest, and becomes known even where riskd would step up.",
        ),
    ] = False,
    backfill: Annotated[
        bool,
        typer.Option("--backfill", help="Teach the service's store, too: from day one it knows everybody's devices."),
    ] = False,
    without_model: Annotated[
        bool, typer.Option("--without-model", help="Let the declared signals decide alone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring history from elsewhere into a decision log; the policy in use judges it in the order of time."""
    from riskd.learn.importing import rba  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.importing.mapping import load_mapping, mapped_rows, zone_of  # noqa: PLC0415
    from riskd.learn.importing.play import play  # noqa: PLC0415
    from riskd.learn.importing.row import Reading  # noqa: PLC0415
    from riskd.learn.importing.sshd import HOSTS, sshd_rows  # noqa: PLC0415
    from riskd.learn.importing.told import ToldEnricher  # noqa: PLC0415

    if (mapping is not None) != (form in {Form.CSV, Form.JSONL}):
        fail(f"{form} takes {'no' if mapping else 'a'} --mapping; csv and jsonl need one", 2)
    try:
        clock = zone_of(zone)
    except ValueError as error:
        fail(f"--zone: {error}", 2)
    where, now, reading = settings(), datetime.now(UTC), Reading()
    path = policy or policy_path(where)
    if policy is None and form is Form.SSHD and path.parent == SHIPPED:  # nobody wrote one
        path = HOSTS
    rules, pseudonyms = load(path), load_secrets(where.data_dir)
    kept = rules.file.record.keep
    keep: dict[KeptField, Keep] = {"ip": kept.ip, "device": kept.device_id}
    mapped = None if mapping is None else load_mapping(mapping, rules.file.attributes)

    def rows(file: Path) -> Iterator["Row"]:
        if form is Form.RBA:
            hour = instant(begins, "--begins") or rba.BEGINS
            return rba.rba_rows(file, reading, now=now, begins=hour, strict=strict)
        if form is Form.SSHD or mapped is None:
            return sshd_rows(file, reading, now=now, year=year, zone=clock, vouch=vouch)
        return mapped_rows(file, mapped, reading, now=now, form="csv" if form is Form.CSV else "jsonl", vouch=vouch)

    enricher = ToldEnricher(
        pseudonyms,
        open_geo(where),
        open_lists(rules, path),
        keep,
        open_leaked(rules, path),
        open_named(rules, path, pseudonyms),
    )
    with progress("attempts judged") as tell:
        done = play(
            chain.from_iterable([rows(file) for file in files]),
            reading,
            out,
            policy=rules,
            model=None if without_model else open_model(where, rules),
            enricher=enricher,
            pseudonyms=pseudonyms,
            tell=tell,
        )
    taught = None
    if backfill:
        with opened(EngineName.LOCAL, jobs=0) as at_work:
            taught = _backfill(where, open_source(where).load().policy, [str(out)], None, now, at_work)
    if as_json:
        print_json(_imported(done) | ({} if taught is None else {"backfill": taught}))
        return
    _show_import(done)
    if taught is not None:
        _show_backfill(taught)


@app.command("backfill")
def backfill_command(
    log: Logs = None,
    subjects: Annotated[
        Path | None,
        typer.Option(help="CSV or JSONL of yours: decision_id (or request_id) and subject_id, one of each subject."),
    ] = None,
    jobs: Jobs = 0,
    engine: EngineOption = EngineName.LOCAL,
    as_json: AsJson = False,
) -> None:
    """Teach the store what a decision log knows: devices, networks, places and habits that outcomes confirmed.

    A second run changes nothing. Records name subjects by random tokens: whose they are is known from an import's
    subjects.jsonl, from --subjects, or from what the store still holds.
    """
    where = settings()
    policy = open_source(where).load().policy
    with opened(engine, jobs) as at_work:
        done = _backfill(where, policy, logs_of(log), subjects, datetime.now(UTC), at_work)
    if as_json:
        print_json(done)
    else:
        _show_backfill(done)


def _backfill(
    where: Settings, policy: Policy, logs: list[str], subjects: Path | None, now: datetime, engine: "Engine"
) -> "Backfilled":
    from riskd.learn.importing.backfill import backfill as run  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.importing.subjects import SUBJECTS_FILE  # noqa: PLC0415
    from riskd.learn.sources import sources  # noqa: PLC0415

    # An import leaves its map beside `log/`.
    here = [Path(source.path) for source in sources(logs) if source.system is None]
    beside = {path.resolve().parent.parent / SUBJECTS_FILE for path in here}
    pseudonyms = load_secrets(where.data_dir)

    async def work(tell: Callable[[int], None]) -> "Backfilled":
        async with store_url(where) as url:

            def opened() -> Store:
                store = policy_store(where, url, policy)
                store.keep_to(PATIENCE_S)
                return store

            return await asyncio.to_thread(
                run,
                logs,
                url=url,
                store=opened,
                policy=policy,
                pseudonyms=pseudonyms,
                now=now,
                maps=sorted(path for path in beside if path.is_file()),
                told=subjects,
                engine=engine,
                tell=tell,
            )

    with progress("subjects taught") as tell:
        return asyncio.run(work(tell))


def _imported(done: "Imported") -> dict[str, Any]:
    reading = done.reading
    return {
        "log": str(done.log),
        "subjects": str(done.subjects),
        "decisions": done.decisions,
        "first": done.first,
        "last": done.last,
        "lines": reading.lines,
        "passed_over": reading.passed_over,
        "unusable": dict(reading.unusable),
        "mended": dict(reading.mended),
        "mended_rows": reading.mended_rows,
        "judged": {what: dict(counts) for what, counts in done.judged.items()},
    }


def _show_import(done: "Imported") -> None:
    reading = done.reading
    span = "" if done.first is None or done.last is None else f" from {done.first:%Y-%m-%d} to {done.last:%Y-%m-%d}"
    typer.echo(f"{done.decisions:,} attempts{span} judged, in {done.log}")
    if reading.passed_over:
        typer.echo(f"{reading.passed_over:,} lines are about something else")
    for word, rows, counts in (
        ("unusable", reading.unusable.total(), reading.unusable),
        ("mended", reading.mended_rows, reading.mended),
    ):
        typer.echo(f"{word}: {rows:,}")
        for why, count in counts.most_common():
            typer.echo(f"  {count:,}: {why}")
    table = Table(show_edge=False)
    for column in ("attempts that", "allow", "step_up", "deny"):
        table.add_column(column, justify="left" if column == "attempts that" else "right")
    for what, counts in sorted(done.judged.items()):
        table.add_row(_WORDS[what], *(f"{counts[word]:,}" for word in ("allow", "step_up", "deny")))
    console.print(table)


_WORDS = {
    "succeeded": "succeeded",
    "failed": "failed",
    "fraud": "turned out to be attacks",
    "unknown": "came to nobody knows what",
}


def _show_backfill(done: "Backfilled") -> None:
    typer.echo(
        f"taught {done.confirmed:,} confirmed attempts and {done.reports:,} reports of {done.subjects:,} subjects; "
        f"{done.known:,} were known"
    )
    for why, count in done.left_out.most_common():
        typer.echo(f"left out: {count:,} {why}")
    if done.unmapped_subjects:
        typer.echo(
            f"not taught: {done.unmapped:,} outcomes of {done.unmapped_subjects:,} subjects that only tokens name. "
            "Give --subjects a CSV with decision_id and subject_id, one decision of each subject"
        )
