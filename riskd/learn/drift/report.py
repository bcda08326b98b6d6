"""The report for the terminal, and as gauges for Prometheus."""

from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from riskd.learn.drift.rates import Rate, SinceDay
from riskd.learn.drift.watch import Moved, Period, Report

SHOWN = 12
"""Measures in the table, unless more have moved."""
_TOLD = 0.01
"""A share of unknown that changed by this much is told."""
_COLOURS = {"large": "red", "moderate": "yellow", "noise": "dim", "steady": "dim"}


def show(report: Report, console: Console) -> None:
    """Print a report."""
    for line in headlines(report):
        console.print(line, highlight=False, soft_wrap=True)
    for table in (_rates(report), _measures(report)):
        console.print()
        console.print(table)
    for note in notes(report):
        console.print(f"[dim]{escape(note)}[/dim]", highlight=False)


def headlines(report: Report) -> Iterator[str]:
    """Yield what is to be known first, a line each."""
    yield f"now: {_period(report.now)}"
    yield f"reference: {_period(report.reference)}; measured by model {report.model or 'none'}"
    moved = [one.name for one in report.moved]
    shares = [rate.name for rate in report.rates if rate.moved]
    yield f"shares that moved: {len(shares)} of {len(report.rates)}{_named(shares)}"
    yield f"measures that moved: {len(moved)} of {len(report.measures)}{_named(moved)}"
    for one in report.moved[:SHOWN]:
        yield f"  {escape(one.name)}, since {since_words(one.since)}: {escape(what(one))}"


def _named(names: list[str]) -> str:
    told = ", ".join(map(escape, names[:SHOWN]))
    return f": {told}{' …' if len(names) > SHOWN else ''}" if names else ""


def what(one: Moved) -> str:
    """Say which bin moved the most, and what became of unknown."""
    most = max(one.bins, key=lambda bin_: bin_.psi)
    told = [most] if most.psi > 0 else []
    last = one.bins[-1]
    if last is not most and abs(last.now - last.then) >= _TOLD:
        told.append(last)
    return "; ".join(f"{bin_.name} {_percent(bin_.then)} → {_percent(bin_.now)}" for bin_ in told)


def since_words(since: SinceDay | None) -> str:
    """Say since when: a day, the days between which it came, or the day by which it had come."""
    if since is None:
        return ""
    if since.or_before:
        return f"{since.latest} or before"
    if since.earliest == since.latest:
        return f"{since.day}"
    return f"{since.earliest}..{since.latest:%m-%d}"


def notes(report: Report) -> Iterator[str]:
    """Yield what bears on the numbers, a line each."""
    if report.first_seen:
        seen = ", ".join(f"{name} since {day}" for name, day in sorted(report.first_seen.items(), key=lambda x: x[1]))
        yield f"not in the reference: {seen}"
    if report.refused:
        yield "left out: " + ", ".join(f"{count:,} {why}" for why, count in report.refused.items())
    yield from report.notes


def gauges(registry: CollectorRegistry) -> tuple[Gauge, Gauge, Gauge, Gauge]:
    """Return the gauges, empty: index, noise, share and last day."""
    told = (
        ("riskd_drift_psi", "Population stability index against the reference.", ["measure"]),
        ("riskd_drift_noise", "What the index reaches by chance once in a thousand.", ["measure"]),
        ("riskd_drift_share", "Shares of now: outcomes, reports, degraded, tails of the anomaly score.", ["share"]),
    )
    index, noise, share = (Gauge(name, text, labels, registry=registry) for name, text, labels in told)
    last = Gauge("riskd_drift_last_day_timestamp_seconds", "Start of the last day with decisions.", registry=registry)
    return index, noise, share, last


def write_gauges(report: Report, path: Path) -> None:
    """Write the numbers of a report in Prometheus' text format, whole or not at all; raises OSError."""
    registry = CollectorRegistry()
    index, noise, share, last = gauges(registry)
    for one in report.measures:
        index.labels(one.name).set(one.psi)
        noise.labels(one.name).set(one.floor)
    for rate in report.rates:
        share.labels(rate.name).set(rate.now)
    last.set(datetime.combine(report.now.last, time(), UTC).timestamp())
    write_to_textfile(str(path), registry)


def _period(period: Period) -> str:
    return f"{period.first} to {period.last}, {period.decisions:,} decisions on {period.days} days"


def _rates(report: Report) -> Table:
    table = Table(title="shares", caption="change in points, 95 %", box=SIMPLE_HEAD)
    table.add_column("share", no_wrap=True)
    for name in ("then", "now", "change"):
        table.add_column(name, justify="right")
    table.add_column("since", no_wrap=True)
    for rate in report.rates:
        style = "yellow" if rate.moved else None
        shares = _percent(rate.then), _percent(rate.now), _change(rate)
        table.add_row(escape(rate.name), *shares, since_words(rate.since), style=style)
    return table


def _change(rate: Rate) -> str:
    low, high = (100 * bound for bound in rate.change)
    return f"{low:+.2f} to {high:+.2f}"


def _measures(report: Report) -> Table:
    shown = report.measures[: max(SHOWN, len(report.moved))]
    left = len(report.measures) - len(shown)
    said = "psi below 0.1 is little, to 0.25 moderate, above large; chance alone reaches noise once in a thousand"
    table = Table(title="measures", caption=f"{said}; {left} more that did not move" if left else said, box=SIMPLE_HEAD)
    table.add_column("measure", no_wrap=True)
    for name in ("psi (95 %)", "noise"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("reading", "since"):
        table.add_column(name, no_wrap=True)
    for one in shown:
        low, high = one.interval
        table.add_row(
            escape(one.name),
            f"{one.psi:.2f} ({low:.2f}-{high:.2f})",
            f"{one.floor:.2f}",
            one.reading,
            since_words(one.since),
            style=_COLOURS[one.reading],
        )
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %" if share < 0.1 else f"{100 * share:.1f} %"
