"""The report for the terminal: friction and catch first, then what stands behind them."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from riskd.learn.evaluate.curve import Curve
from riskd.learn.evaluate.report import Evaluated, Example, Group
from riskd.learn.evaluate.run import FROM_OUTCOMES

SHOWN_GROUPS = 8
SHOWN_FEATURES = 10
SHOWN_EXAMPLES = 6


def show(report: Evaluated, console: Console) -> None:
    """Print a report."""
    console.print(report.table())
    console.print(headline(report), highlight=False)
    for table in _tables(report):
        console.print()
        console.print(table)
    if report.importance_note:
        console.print(f"[dim]Feature importance: {escape(report.importance_note)}.[/dim]", highlight=False)
    for note in report.notes:
        console.print(f"[dim]{escape(note)}[/dim]", highlight=False)


def headline(report: Evaluated) -> str:
    """Say what was judged, and how many of it are attacks."""
    source = "reported outcomes" if report.truth == FROM_OUTCOMES else report.truth
    return escape(
        f"{report.decisions:,} decisions from {report.first:%Y-%m-%d %H:%M} to {report.last:%Y-%m-%d %H:%M} UTC, "
        f"{report.subjects:,} honest subjects; truth from {source}. Prevalence: {report.prevalence} are attacks."
    )


def _tables(report: Evaluated) -> Iterator[Table]:
    for measure, curves in report.curves.items():
        if curves:
            yield _curves(measure, curves)
    if report.transfer:
        yield _transfer(report)
    if report.calibration:
        yield _calibration(report)
    if report.reauthentications:
        yield _reauthentications(report)
    for dimension, groups in report.groups.items():
        yield _groups(dimension, groups)
    if report.importance:
        yield _importance(report)
    if report.misses:
        yield _examples("attacks that came through", report.misses)


def _curves(measure: str, curves: Sequence[Curve]) -> Table:
    head = "attack", "n", "ROC AUC", "average precision", "EER", "catch at 1 %", "at 0.1 %", "friction for 90 %"
    table = _table(f"thresholds on the {measure} (95 %)", *head)
    for curve in curves:
        table.add_row(
            escape(curve.kind),
            f"{curve.attacks:,}",
            str(curve.roc_auc),
            str(curve.average_precision),
            f"{curve.equal_error_rate.value:.3f}",
            str(curve.catch_at["0.01"]),
            f"{curve.catch_at['0.001'].value:.3f}",
            str(curve.false_alarms_for["0.9"]),
        )
    return table


def _transfer(report: Evaluated) -> Table:
    head = "set for", "on", "threshold", "honest stopped in the first half", "in the second half"
    table = _table("threshold transfer", *head)
    for one in report.transfer:
        row = f"{100 * one.target:g} %", one.measure, f"{one.threshold:.4g}", str(one.earlier), str(one.later)
        table.add_row(*row)
    return table


def _calibration(report: Evaluated) -> Table:
    table = _table("calibration of the anomaly on honest attempts", "promised", "observed (95 %)")
    for point in report.calibration:
        table.add_row(f"{100 * point.tail:g} %", str(point.observed))
    return table


def _reauthentications(report: Evaluated) -> Table:
    head = "history", "subjects", "median", "mean", "90th", "99th", "never"
    table = _table("step-ups and denials per honest subject", *head)
    for line in report.reauthentications:
        most = [f"{count:,}" for count in line.most.values()]
        table.add_row(
            line.history, f"{line.subjects:,}", f"{line.median.value:g}", str(line.mean), *most, str(line.never)
        )
    return table


def _groups(dimension: str, groups: Sequence[Group]) -> Table:
    table = _table(f"by {dimension}", dimension, "honest stopped", "", "attacks stopped")
    for group in groups[:SHOWN_GROUPS]:
        burden = "" if group.burden == "even" else f"{group.burden} than others"
        honest, attacks = (str(share) if share.total else "" for share in (group.honest, group.attacks))
        table.add_row(escape(group.name), honest, burden, attacks)
    return table


def _importance(report: Evaluated) -> Table:
    table = _table("what features are worth: ROC AUC lost without them", "feature", "AUC drop", "unknown in")
    for feature in report.importance[:SHOWN_FEATURES]:
        drop = f"{feature.auc_drop:+.4f} ± {feature.spread:.4f}"
        table.add_row(feature.feature, drop, f"{100 * feature.unknown:.0f} %")
    return table


def _table(title: str, first: str, *rest: str) -> Table:
    table = Table(title=title)
    table.add_column(first)
    for name in rest:
        table.add_column(name, justify="right")
    return table


def _examples(title: str, examples: tuple[Example, ...]) -> Table:
    table = Table(title=title)
    for name in ("decision", "attack", "attempt", "score", "why not"):
        table.add_column(name)
    for one in examples[:SHOWN_EXAMPLES]:
        where = ", ".join(filter(None, (one.action, one.country, one.device)))
        cells = one.decision_id, one.kind, where, f"{one.score:g}", why(one)
        table.add_row(*map(escape, cells))
    return table


def why(example: Example) -> str:
    """Say what spoke against an attempt, and what could not."""
    told = [f"{code} {points:+g}" if points else code for code, points in example.reasons] or ["nothing hit"]
    if example.evidence_met:
        told.append("fresh evidence was shown")
    if example.confirmed is None:
        told.append("no history")
    else:
        told.append(f"{example.confirmed:,} confirmed before")
    if example.unknown:
        told.append(f"{example.unknown} signals could not tell")
    return "; ".join(told)
