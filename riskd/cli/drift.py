"""`riskd drift`: what moved since the model learnt, by how much, and since when."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.cli.replay import Logs, Until, instant
from riskd.cli.root import AsJson, app, console, fail, print_json, progress, settings
from riskd.errors import ModelError
from riskd.features import MODEL_FEATURES

if TYPE_CHECKING:
    from riskd.learn.drift.watch import Span

EXIT_OVER = 1


@app.command()
def drift(
    log: Logs = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="FROM..TO", help="Days to compare with, e.g. 2026-08-01..2026-09-01; default: the training window."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="First day or instant to look at; default: the end of the reference.")
    ] = None,
    until: Until = None,
    last_days: Annotated[int, typer.Option(min=1, max=366, help="Days that stand for now.")] = 7,
    model: Annotated[str, typer.Option(help="Version to measure all days with, `current` or `none`.")] = "current",
    leave_out: Annotated[list[str] | None, typer.Option(help="A measure not to look at; may be repeated.")] = None,
    fail_over: Annotated[
        float | None,
        typer.Option(min=0, help="Exit with 1 when an index is at least this, and more than noise, e.g. 0.25."),
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="Write gauges for Prometheus' textfile collector (a name ending in .prom).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the last days of a log with those the model learnt from: features, scores, outcomes, unknowns."""
    from riskd.learn.drift.report import show, write_gauges  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.drift.watch import watch  # noqa: PLC0415

    where = settings()
    span = None if against is None else _span(against)
    with progress("records read") as tell:
        report = watch(
            log or [where.log_dir],
            _model(model, where.models_dir, needed=span is None),
            now=datetime.now(UTC),
            against=span,
            since=instant(since, "--since"),
            until=instant(until, "--until"),
            last_days=last_days,
            leave_out=frozenset(leave_out or ()),
            tell=tell,
        )
    if metrics is not None:
        try:
            write_gauges(report, metrics)
        except OSError as error:
            fail(f"{metrics}: {error.strerror or error}", 2)
    if as_json:
        print_json(report)
    else:
        show(report, console)
    over = [] if fail_over is None else report.over(fail_over)
    if over:
        names = ", ".join(f"{one.name} {one.psi:.2f}" for one in over)
        fail(f"moved by {fail_over:g} or more: {names}", EXIT_OVER)


def _span(text: str) -> "Span":
    """Read `FROM..TO`; ends the command for anything else."""
    from riskd.learn.drift.watch import Span  # noqa: PLC0415

    first, _, last = text.partition("..")
    begin, end = (instant(one or None, "--against") for one in (first, last))
    if begin is None or end is None or begin >= end:
        fail(f"--against: {text!r} names no days; write 2026-08-01..2026-09-01", 2)
    return Span(begin, end)


def _model(version: str, models: Path, *, needed: bool) -> Model | None:
    """Load the model to measure with; without one rarity is unknown and no score is compared."""
    if version == "none":
        return None
    try:
        return load_model(models, MODEL_FEATURES, None if version == "current" else version)
    except ModelError as error:
        if needed or version != "current":
            raise
        sys.stderr.write(f"riskd: no model ({error}); rarity and its score are not compared\n")
        return None
