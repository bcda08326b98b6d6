"""Ask the log: what another policy or model would have decided, and the log in a form for other tools."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from riskd.app.parts import policy_path
from riskd.cli.engine import EngineName, EngineOption, Jobs, logs_of, opened
from riskd.cli.engine import Logs as AnyLogs
from riskd.cli.root import AsJson, app, console, fail, print_json, progress, settings
from riskd.errors import ConfigError
from riskd.policy.load import load
from riskd.policy.rollout import candidate_files

log = typer.Typer(help="The decision log: export it.", no_args_is_help=True)
app.add_typer(log, name="log")
Logs = Annotated[
    list[Path] | None,
    typer.Option("--log", help="Folder or file of a decision log (JSONL, .gz, Parquet); may be repeated."),
]
Since = Annotated[str | None, typer.Option(help="First day or instant, e.g. 2026-11-01 or 2026-11-01T12:00+01:00.")]
Until = Annotated[str | None, typer.Option(help="Day or instant to end before.")]


@app.command()
def replay(
    policy: Annotated[Path | None, typer.Option(help="Policy to judge by; default: the one in use.")] = None,
    log: AnyLogs = None,
    since: Since = None,
    until: Until = None,
    model: Annotated[
        str,
        typer.Option(
            help="Version to judge with, `current`, `none`, or `recorded`: the one each decision was made with."
        ),
    ] = "recorded",
    baseline: Annotated[
        list[Path] | None,
        typer.Option(help="A policy that the log was made under; the one in use is known. May be repeated."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one page with charts.")] = None,
    examples: Annotated[int, typer.Option(min=0, max=1000, help="Decisions shown of those that change.")] = 20,
    jobs: Jobs = 0,
    engine: EngineOption = EngineName.LOCAL,
    as_json: AsJson = False,
) -> None:
    """Judge a past log again under a policy or model, and report side by side what would change."""
    from riskd.learn.replay.page import page  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.replay.run import replay as run  # noqa: PLC0415
    from riskd.learn.replay.table import show  # noqa: PLC0415
    from riskd.learn.replay.work import Order  # noqa: PLC0415

    where = settings()
    in_use = policy_path(where)
    order = Order.of(
        policy or in_use,
        known=known_policies(in_use, baseline or []),
        models=where.models_dir,
        model=model,
        since=instant(since, "--since"),
        until=instant(until, "--until"),
        examples=examples,
    )
    with opened(engine, jobs) as at_work, progress("decisions judged") as tell:
        report = run(logs_of(log), order, now=datetime.now(UTC), engine=at_work, tell=tell)
    if html is not None:
        write_page(html, page(report))
    if as_json:
        print_json(report)
        return
    show(report, console)
    if html is not None:
        typer.echo(f"report written to {html}")


@log.command()
def export(
    parquet: Annotated[Path, typer.Option(help="File to write; must not be there.")],
    log: Logs = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Write a decision log as Parquet: typed columns, and each record's exact line, so that nothing is lost."""
    from riskd.learn.sources import log_sources  # noqa: PLC0415 - offline parts load only here
    from riskd.record.parquet import export as run  # noqa: PLC0415
    from riskd.record.reader import ReadReport, read_lines  # noqa: PLC0415

    begin, end, report = instant(since, "--since"), instant(until, "--until"), ReadReport()
    sources = log_sources(log or [settings().log_dir])
    try:
        done = run(read_lines(sources, since=begin, until=end, report=report), parquet, since=begin, until=end)
    except FileExistsError as error:
        fail(str(error))
    left_out = dict(done.refused + report.refused)
    if as_json:
        size = parquet.stat().st_size
        print_json({"file": str(parquet), "records": done.records, "bytes": size, "left_out": left_out})
        return
    typer.echo(f"{done.records:,} records in {parquet}, {parquet.stat().st_size / 2**20:,.1f} MB")
    if left_out:
        typer.echo("left out: " + ", ".join(f"{count:,} {why}" for why, count in left_out.items()))


def known_policies(in_use: Path, baseline: list[Path]) -> tuple[Path, ...]:
    """Return the policies at hand; the one in use and its candidates help where they can be read."""
    try:
        policy = load(in_use)
    except ConfigError:
        return tuple(baseline)
    known = [*baseline, in_use]
    for name in candidate_files(policy.file):  # part of the log was made under the one that is rolled out
        with suppress(ConfigError):
            load(in_use.parent / name)
            known.append(in_use.parent / name)
    return tuple(known)


def instant(text: str | None, option: str) -> datetime | None:
    """Return the instant an option names, UTC where it names no zone; ends the command when it names none."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option}: {text!r} is no day or instant; write 2026-11-01 or 2026-11-01T12:00+01:00", 2)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def write_page(path: Path, text: str) -> None:
    """Write a page; ends the command when it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{path}: {error.strerror or error}")
