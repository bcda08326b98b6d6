"""The report as one HTML page that needs nothing else."""

from collections.abc import Iterator, Sequence
from html import escape

from riskd.learn.replay import chart
from riskd.learn.replay.chart import percent
from riskd.learn.replay.compare import Example
from riskd.learn.replay.markup import (
    KEY,
    bear_in_mind,
    cell,
    document,
    facts,
    figure,
    number,
    pair,
    row,
    section,
    table,
    tiles,
)
from riskd.learn.replay.report import Changed, Report, Row, Sides
from riskd.learn.replay.table import WORDS, model_of, moves

SHOWN_ROWS = 25
_DIMENSIONS = {"action": "action", "country": "country", "device": "kind of device"}


def page(report: Report) -> str:
    """Return the whole page."""
    title = f"Replay of {report.decisions:,} decisions under policy {report.revision}"
    return document(title, _sections(report))


def _sections(report: Report) -> Iterator[str]:
    yield _facts(report)
    if report.judged:
        yield _lead(report)
    yield _tiles(report)
    if report.judged:
        yield _outcomes(report)
        yield _labels(report)
        yield _course(report)
        for dimension, name in _DIMENSIONS.items():
            yield _groups(name, report.by[dimension])
        yield _reasons(report)
        yield _changed("Newly hit", "become severer", report.newly_hit)
        yield _changed("Let go", "become milder", report.let_go)
    yield from _in_shadow(report)
    yield from _unanswered(report)
    yield bear_in_mind(report.notes)


def _facts(report: Report) -> str:
    revisions = ", ".join(f"<code>{escape(name)}</code> ({n:,})" for name, n in report.revisions_then.items())
    rows = [
        ("policy now", f"<code>{escape(report.revision)}</code> {escape(report.policy)}"),
        ("policies then", revisions or "none"),
        ("model", escape(model_of(report))),
        ("log", escape(", ".join(report.log))),
        ("made", f"{report.made:%Y-%m-%d %H:%M} UTC"),
    ]
    if report.first is not None and report.last is not None:
        span = f"{report.first:%Y-%m-%d %H:%M} to {report.last:%Y-%m-%d %H:%M} UTC, {report.outcomes:,} outcomes"
        rows.insert(3, ("decisions", span))
    return facts(rows)


def _lead(report: Report) -> str:
    if report.identical == report.judged:
        return '<p class="lead">Every decision comes out exactly as it was recorded.</p>'
    hit, freed = report.newly_hit.decisions, report.let_go.decisions
    told = [
        f"Stepped up: {_moved(report.step_up)}.",
        f"Denied: {_moved(report.deny)}.",
        f"{hit:,} decisions of about {report.subjects.newly_hit:,} subjects become severer, {freed:,} become milder.",
    ]
    if report.catch.then.of:
        told.append(f"Attacks caught, of those known: {_moved(report.catch, +1)}.")
    if report.friction.then.of:
        told.append(f"Honest attempts stopped, of those known: {_moved(report.friction, -1)}.")
    return f'<ul class="lead">{"".join(f"<li>{line}</li>" for line in told)}</ul>'


def _moved(sides: Sides, better: int = 0) -> str:
    """Say how a share moved; `better` is the direction that is good, 0 when neither is."""
    then, now = percent(sides.then.share), percent(sides.now.share)
    if sides.then.count == sides.now.count:
        return f"{then} as before"
    low, high = (100 * bound for bound in sides.change_interval)
    way = "" if not better else "better" if sides.change * better > 0 else "worse"
    return f'{then} → <b class="{way}">{now}</b> ({100 * sides.change:+.2f} points, {low:+.2f} to {high:+.2f})'


def _tiles(report: Report) -> str:
    found = (
        (f"{report.identical:,}", f"identical, of {report.judged:,} judged"),
        (percent(report.step_up.now.share), f"stepped up; recorded {percent(report.step_up.then.share)}"),
        (percent(report.deny.now.share), f"denied; recorded {percent(report.deny.then.share)}"),
        (f"{report.newly_hit.decisions:,}", "newly hit"),
        (f"{report.let_go.decisions:,}", "let go"),
        (f"{sum(report.not_judgeable.values()):,}", "not re-judgeable"),
    )
    return tiles(found)


def _outcomes(report: Report) -> str:
    rows = []
    for i, (word, counts) in enumerate(zip(WORDS, report.matrix, strict=True)):
        ways = ["" if j == i or not n else "severer" if j > i else "milder" for j, n in enumerate(counts)]
        cells = [number(f"{n:,}", way) for way, n in zip(ways, counts, strict=True)]
        rows.append(row(f"<th>{word}</th>", *cells, number(f"{sum(counts):,}", "soft")))
    now = [number(f"{sum(column):,}", "soft") for column in zip(*report.matrix, strict=True)]
    rows.append(row("<th>in all</th>", *now, number(f"{report.judged:,}", "soft")))
    matrix = table(["recorded ↓ now →", *(f"#{word}" for word in WORDS), "#in all"], rows, "matrix")
    histogram = chart.scores(report.scores_then, report.scores_now, "decisions by score, then and now")
    return section(
        "Outcomes",
        "",
        pair(
            figure("Decisions by recorded outcome and outcome now", matrix),
            figure(f"<span>Decisions by score, logarithmic</span>{KEY}", histogram),
        ),
    )


def _labels(report: Report) -> str:
    figures = []
    for name, first, total, rows in (
        ("Attacks caught", "all attacks", report.catch, report.attacks),
        ("Honest attempts stopped", "all honest", report.friction, report.honest),
    ):
        if total.then.of:
            lines = [(first, total), *((line.label.replace("_", " "), line.stopped) for line in rows)]
            figures.append(figure(f"<span>{name}</span>{KEY}", chart.intervals(lines, name)))
    if not figures:
        return section("Against labels", "No outcome of these decisions was reported.")
    count = report.catch.then.of + report.friction.then.of
    said = (
        f"{count:,} decisions of which something became known; caught or stopped means stepped up or denied. Whiskers "
        "are 95 % intervals; on the right stands the change in points."
    )
    return section("Against labels", said, pair(*figures))


def _course(report: Report) -> str:
    days = [line for line in report.by["day"] if line.name[:4].isdigit()]
    names = [line.name for line in days]
    up = chart.over_time(names, [line.step_up for line in days], "share stepped up per day, then and now")
    deny = chart.over_time(names, [line.deny for line in days], "share denied per day, then and now")
    figures = figure(f"<span>Stepped up, per day</span>{KEY}", up), figure(f"<span>Denied, per day</span>{KEY}", deny)
    return section("Over time", "", pair(*figures))


def _groups(name: str, rows: Sequence[Row]) -> str:
    shown = rows[:SHOWN_ROWS]
    top_up = max(0.001, *(side.share for line in shown for side in (line.step_up.then, line.step_up.now)))
    top_deny = max(0.001, *(side.share for line in shown for side in (line.deny.then, line.deny.now)))
    lines = [
        row(
            cell(escape(line.name)),
            number(f"{line.decisions:,}"),
            *_share_cells(line.step_up, top_up),
            *_share_cells(line.deny, top_deny),
            number(_count(line.severer, "worse")),
            number(_count(line.milder, "better")),
        )
        for line in shown
    ]
    head = [name, "#decisions", "#step-ups then", "#now", "", "#denials then", "#now", "", "#severer", "#milder"]
    more = f"The {len(shown)} largest; {len(rows) - len(shown)} more in the JSON report."
    return section(f"By {name}", more if len(rows) > len(shown) else "", table(head, lines))


def _share_cells(sides: Sides, top: float) -> tuple[str, str, str]:
    then, now = number(percent(sides.then.share)), number(percent(sides.now.share))
    return then, now, cell(chart.dumbbell(sides, top))


def _count(count: int, way: str) -> str:
    return f'<span class="{way}">{count:,}</span>' if count else "0"


def _reasons(report: Report) -> str:
    lines = []
    for line in report.reasons[:SHOWN_ROWS]:
        way = "worse" if line.now > line.then else "better"
        change = f'<span class="{way}">{line.now - line.then:+,}</span>' if line.now != line.then else "0"
        rates = (line.step_up_then, line.step_up_now, line.deny_then, line.deny_now)
        shares = [number(percent(rate.share) if rate.of else "") for rate in rates]
        counts = number(f"{line.then:,}"), number(f"{line.now:,}"), number(change)
        lines.append(row(cell(f"<code>{escape(line.code)}</code>"), *counts, *shares))
    head = ["reason", "#hits then", "#now", "#change", "#stepped up then", "#now", "#denied then", "#now"]
    said = "Decisions in which a reason stands, and what became of them; not the same decisions then and now."
    return section("By reason", said, table(head, lines))


def _changed(title: str, become: str, changed: Changed) -> str:
    if not changed.decisions:
        return section(title, f"No decisions {become}.")
    parts = []
    if changed.causes:
        most = changed.causes[0][1]
        bars = [
            row(
                cell(escape(cause)),
                number(f"{n:,}"),
                cell(f'<span class="track" style="width:{100 * n / most:.1f}%"></span>'),
            )
            for cause, n in changed.causes
        ]
        parts.append(table(["what is new", "#decisions", ""], bars, "causes"))
    if changed.examples:
        head = ["decision", "attempt", "outcome", "#score", "reasons, points then → now"]
        parts.append(table(head, map(_example, changed.examples), "examples"))
    return section(title, f"{changed.decisions:,} decisions {become}; the largest changes are shown.", *parts)


def _example(example: Example) -> str:
    chips = []
    for code, then, now in example.reasons:
        if code in example.new:
            chips.append(f'<span class="chip new">{escape(code)} {now:+g}</span>')
        elif code in example.gone:
            chips.append(f'<span class="chip gone">{escape(code)} {then:g}</span>')
        else:
            chips.append(f'<span class="chip">{escape(code)} {then:g} → {now:g}</span>')
    where = ", ".join(filter(None, (example.time[:16].replace("T", " "), example.country, example.device)))
    way = "worse" if WORDS.index(example.now) > WORDS.index(example.then) else "better"
    return row(
        cell(f"<code>{escape(example.decision_id)}</code>"),
        cell(f'{escape(example.action)}<br><span class="soft">{escape(where)}</span>'),
        cell(f'{example.then} → <b class="{way}">{example.now}</b>'),
        number(f"{example.score_then:g} → {example.score_now:g}"),
        cell("".join(chips)),
    )


def _in_shadow(report: Report) -> Iterator[str]:
    if report.shadows:
        rows = [
            row(
                cell(escape(line.name)),
                number(f"{line.decisions:,}"),
                number(f"{line.decisions - line.severer - line.milder:,}"),
                number(_count(line.severer, "worse")),
                number(_count(line.milder, "better")),
                cell(moves(line)),
            )
            for line in report.shadows
        ]
        said = "What candidates would have decided that were judged beside, as recorded then; nobody obeyed them."
        head = ["candidate", "#decisions", "#same", "#severer", "#milder", "outcome obeyed → the candidate's"]
        yield section("Judged beside", said, table(head, rows))
    if report.watched:
        rows = [
            row(
                cell(f"<code>{escape(line.code)}</code>"),
                number(f"{line.hits:,}"),
                *[number(f"{count:,}") for count in line.outcomes],
            )
            for line in report.watched
        ]
        said = "Hits of signals that were only looked at, by the outcome of the decision."
        yield section("Signals in shadow", said, table(["signal", "#hits", *(f"#{word}" for word in WORDS)], rows))


def _unanswered(report: Report) -> Iterator[str]:
    if report.not_judgeable:
        rows = [row(cell(escape(why)), number(f"{n:,}")) for why, n in report.not_judgeable.items()]
        said = "These records lack what the policy or model asks, and stand in no other number."
        yield section("Not re-judgeable", said, table((), rows))
    if report.refused_lines:
        told = ", ".join(f"{n:,} {escape(why)}" for why, n in report.refused_lines.items())
        yield section("Lines that are no record", f"{told}.")
    if report.differing:
        told = ", ".join(f"{escape(name)} {n:,}" for name, n in report.differing.items())
        yield section("What differs from the record", f"Decisions per field: {told}.")
