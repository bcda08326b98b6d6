"""The report for the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from riskd.contract import Outcome
from riskd.learn.replay.compare import Example
from riskd.learn.replay.report import Changed, Rate, Report, Row, ShadowRow, Sides

SHOWN_ROWS = 12
SHOWN_EXAMPLES = 8
WORDS = tuple(outcome.word for outcome in Outcome)


def show(report: Report, console: Console) -> None:
    """Print a report."""
    for line in headlines(report):
        console.print(line, highlight=False)
    for table in _tables(report):
        console.print()
        console.print(table)
    for note in report.notes:
        console.print(f"[dim]{escape(note)}[/dim]", highlight=False)


def headlines(report: Report) -> Iterator[str]:
    """Yield what is to be known first, a line each, for people."""
    span = ""
    if report.first is not None and report.last is not None:
        span = f" from {report.first:%Y-%m-%d %H:%M} to {report.last:%Y-%m-%d %H:%M} UTC"
    yield f"{report.decisions:,} decisions{span}, under policy {report.revision}, {model_of(report)}"
    yield f"identical: {report.identical:,} of {report.judged:,}"
    if report.identical < report.judged:
        fields = ", ".join(f"{name} {count:,}" for name, count in report.differing.items())
        yield f"differing: {fields}"
    lacking = sum(report.not_judgeable.values())
    yield f"not re-judgeable: {lacking:,}"
    for why, count in report.not_judgeable.items():
        yield f"  {count:,}: {escape(why)}"
    if report.refused_lines:
        yield "lines that are no record: " + ", ".join(f"{n:,} {why}" for why, n in report.refused_lines.items())


def model_of(report: Report) -> str:
    """Say which model judged."""
    words = {"recorded": "each with the model it was made with", "none": "without a model"}
    return words.get(report.model, f"with model {report.model}")


def _tables(report: Report) -> Iterator[Table]:
    if report.shadows:
        yield _shadows(report)
    if report.watched:
        yield _watched(report)
    if not report.judged:
        return
    yield _matrix(report)
    yield _rates(report)
    for dimension in ("action", "country", "device"):
        yield _rows(dimension, report.by[dimension])
    if report.reasons:
        yield _reasons(report)
    if report.newly_hit.causes:
        yield _causes(report.newly_hit)
    for title, changed in (("newly hit", report.newly_hit), ("let go", report.let_go)):
        if changed.examples:
            yield _examples(title, changed)


def _shadows(report: Report) -> Table:
    table = Table(title="judged beside then: outcome obeyed → the candidate's")
    table.add_column("candidate")
    for name in ("n", "same", "severer", "milder"):
        table.add_column(name, justify="right")
    table.add_column("which")
    for row in report.shadows[:SHOWN_ROWS]:
        same = row.decisions - row.severer - row.milder
        table.add_row(
            escape(row.name), f"{row.decisions:,}", f"{same:,}", f"{row.severer:,}", f"{row.milder:,}", moves(row)
        )
    return table


def moves(row: ShadowRow) -> str:
    """Say how many decisions a candidate would have moved from which outcome to which."""
    moved = [
        f"{then} → {now} {row.matrix[i][j]:,}"
        for i, then in enumerate(WORDS)
        for j, now in enumerate(WORDS)
        if i != j and row.matrix[i][j]
    ]
    return ", ".join(moved)


def _watched(report: Report) -> Table:
    table = Table(title="hits of signals in shadow, by outcome", caption=_left_out(report.watched))
    table.add_column("signal", no_wrap=True)
    for name in ("hits", *WORDS):
        table.add_column(name, justify="right")
    for row in report.watched[:SHOWN_ROWS]:
        table.add_row(escape(row.code), f"{row.hits:,}", *[f"{count:,}" for count in row.outcomes])
    return table


def _matrix(report: Report) -> Table:
    table = Table(title="outcomes: recorded (rows), now (columns)")
    table.add_column("recorded")
    for word in WORDS:
        table.add_column(word, justify="right")
    table.add_column("in all", justify="right")
    for word, (i, counts) in zip(WORDS, enumerate(report.matrix), strict=True):
        cells = [_cell(count, i, j) for j, count in enumerate(counts)]
        table.add_row(word, *cells, f"{sum(counts):,}")
    now = [f"{sum(column):,}" for column in zip(*report.matrix, strict=True)]
    table.add_section()
    table.add_row("now", *now, f"{report.judged:,}")
    return table


def _cell(count: int, then: int, now: int) -> str:
    style = "" if then == now or not count else "bold red" if now > then else "bold green"
    return f"[{style}]{count:,}[/{style}]" if style else f"{count:,}"


def _rates(report: Report) -> Table:
    caption = "below each its 95 % interval: Wilson; of a change: Agresti and Min, paired"
    table = Table(title="shares, %", caption=caption)
    table.add_column("of", no_wrap=True)
    for name in ("n", "then", "now", "change, points"):
        table.add_column(name, justify="right")
    table.add_row("stepped up", *_sides(report.step_up))
    table.add_row("denied", *_sides(report.deny), end_section=True)
    if report.catch.then.of:
        table.add_row("attacks caught", *_sides(report.catch))
    for row in report.attacks:
        table.add_row(f"  {row.label}", *_sides(row.stopped))
    if report.friction.then.of:
        table.add_row("honest stopped", *_sides(report.friction))
    for row in report.honest:
        table.add_row(f"  {row.label}", *_sides(row.stopped))
    return table


def _sides(sides: Sides) -> tuple[str, str, str, str]:
    low, high = sides.change_interval
    change = f"{100 * sides.change:+.2f}\n[dim]{100 * low:+.2f} to {100 * high:+.2f}[/dim]"
    return f"{sides.then.of:,}", _rate(sides.then), _rate(sides.now), change


def _rate(rate: Rate) -> str:
    low, high = rate.interval
    return f"{100 * rate.share:.2f}\n[dim]{100 * low:.2f}-{100 * high:.2f}[/dim]"


def _rows(dimension: str, rows: Sequence[Row]) -> Table:
    table = Table(title=f"by {dimension}", caption=_left_out(rows))
    table.add_column(dimension, no_wrap=True)
    for name in ("n", "stepped up, %", "denied, %", "severer", "milder"):
        table.add_column(name, justify="right")
    for row in rows[:SHOWN_ROWS]:
        table.add_row(
            escape(row.name),
            f"{row.decisions:,}",
            _moved(row.step_up.then, row.step_up.now),
            _moved(row.deny.then, row.deny.now),
            f"{row.severer:,}",
            f"{row.milder:,}",
        )
    return table


def _moved(then: Rate, now: Rate) -> str:
    before = f"{100 * then.share:.2f}" if then.of else "-"
    after = f"{100 * now.share:.2f}" if now.of else "-"
    return before if before == after else f"{before} → {after}"


def _left_out(rows: Sequence[object]) -> str | None:
    return f"{len(rows) - SHOWN_ROWS:,} more with --json" if len(rows) > SHOWN_ROWS else None


def _reasons(report: Report) -> Table:
    table = Table(title="by reason", caption=_left_out(report.reasons))
    table.add_column("reason", no_wrap=True)
    for name in ("hits", "stepped up, %", "denied, %"):
        table.add_column(name, justify="right")
    for row in report.reasons[:SHOWN_ROWS]:
        hits = f"{row.then:,}" if row.then == row.now else f"{row.then:,} → {row.now:,}"
        moved = _moved(row.step_up_then, row.step_up_now), _moved(row.deny_then, row.deny_now)
        table.add_row(escape(row.code), hits, *moved)
    return table


def _causes(changed: Changed) -> Table:
    table = Table(title="newly hit by")
    table.add_column("what is new")
    table.add_column("decisions", justify="right")
    for cause, count in changed.causes[:SHOWN_ROWS]:
        table.add_row(escape(cause), f"{count:,}")
    return table


def _examples(title: str, changed: Changed) -> Table:
    table = Table(title=f"{title}: {changed.decisions:,} decisions, the largest changes")
    table.add_column("decision", overflow="fold", max_width=38)
    table.add_column("reasons, points then → now", ratio=1)
    for example in changed.examples[:SHOWN_EXAMPLES]:
        way = "bold red" if WORDS.index(example.now) > WORDS.index(example.then) else "bold green"
        table.add_row(
            f"{escape(example.decision_id)}\n{example.time[:16].replace('T', ' ')} {escape(example.action)}\n"
            f"{example.then} → [{way}]{example.now}[/], {example.score_then:g} → {example.score_now:g}",
            ", ".join(_reason(example, *reason) for reason in example.reasons),
        )
    return table


def _reason(example: Example, code: str, then: float, now: float) -> str:
    if code in example.new:
        return f"[bold]{escape(code)} +{now:g}[/bold]"
    return f"[strike]{escape(code)} {then:g}[/strike]" if code in example.gone else f"{escape(code)} {then:g}→{now:g}"
