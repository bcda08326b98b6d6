"""Reads a log twice: the reference for the bins, then all of it for the counts; and says what moved."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from msgspec import Struct

from riskd.anomaly.model import Model
from riskd.errors import ConfigError
from riskd.learn.drift.counts import Counts
from riskd.learn.drift.measures import UNKNOWN, Bins, Measure, Sample
from riskd.learn.drift.rates import Rate, Sides, SinceDay, rates
from riskd.learn.drift.stability import Stability, compare, psi, terms
from riskd.learn.sources import log_sources
from riskd.record.files import log_file
from riskd.record.reader import ReadReport, read_lines
from riskd.record.schema import DecisionRecord, LineError, OutcomeRecord, Record, decode

BATCH = 1_024
MOVED = ("moderate", "large")
_LEAST_BLOCKS = 4
GROWING = ("account_age_days", "history_days", "confirmed_successes")
"""Features that grow as a service gets older."""


class Span(Struct, frozen=True):
    """Days or instants, `since` ≤ time < `until`."""

    since: datetime
    until: datetime


class Period(Struct, frozen=True):
    """What stands on one side of the comparison."""

    first: date
    last: date
    days: int
    """Days with decisions."""
    decisions: int


class BinShare(Struct, frozen=True):
    """One bin."""

    name: str
    then: float
    now: float
    psi: float
    """What it adds to the index."""


class Moved(Struct, frozen=True):
    """What became of one measure."""

    name: str
    kind: str
    """`feature`, `result` (scores, outcomes, degraded, reports) or `attempt` (who asks what from where)."""
    reading: str
    """`steady`, `noise`, `moderate` or `large`."""
    psi: float
    interval: tuple[float, float]
    """95 %, free of the index' bias."""
    floor: float
    """What noise alone reaches once in a thousand."""
    unknown: tuple[float, float] | None
    """Share of unknown then and now; None where nothing can be unknown."""
    bins: tuple[BinShare, ...]
    since: SinceDay | None
    """Told of a measure that moved."""
    by_day: tuple[float, ...]
    """The index of each watched day."""


class Report(Struct, frozen=True):
    """What moved."""

    made: datetime
    log: tuple[str, ...]
    model: str | None
    """The one that measured all days."""
    reference: Period
    now: Period
    days: tuple[date, ...]
    """The watched days, those of `now` last."""
    decisions_by_day: tuple[int, ...]
    measures: tuple[Moved, ...]
    """Those that moved first, then by their index."""
    rates: tuple[Rate, ...]
    first_seen: dict[str, date]
    """Policies and models, and the first watched day on which each decided, where that is not the first of all."""
    refused: dict[str, int]
    """Lines that are no record, by reason."""
    notes: tuple[str, ...]

    @property
    def moved(self) -> list[Moved]:
        """The measures that are moderately or largely otherwise, and by more than noise."""
        return [one for one in self.measures if one.reading in MOVED]

    def over(self, limit: float) -> list[Moved]:
        """Return the measures whose index is at least `limit`, and more than noise."""
        return [one for one in self.measures if one.psi >= limit and one.psi > one.floor]


def watch(
    log: Sequence[Path],
    model: Model | None,
    *,
    now: datetime,
    against: Span | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    last_days: int = 7,
    leave_out: frozenset[str] = frozenset(),
    tell: Callable[[int], None] = lambda _decisions: None,
) -> Report:
    """Compare the last `last_days` days of a log with the reference, and look through the days between.

    The reference is `against`, or else the model's training window; watched is what follows it, from `since` to
    `until`. Measures named in `leave_out` are not looked at. `tell` hears how many decisions are read. Raises
    ConfigError where a side holds no decision, where they overlap, and where there is no reference.
    """
    reference = against or _training(model)
    begin = reference.until if since is None else since
    if begin < reference.until:
        raise ConfigError(
            f"the days to look at begin {begin:%Y-%m-%d %H:%M}, before the reference ends, "
            f"{reference.until:%Y-%m-%d %H:%M} UTC: name a later --since, or an earlier reference with --against"
        )
    sources, read = log_sources(log), [0]

    def done(count: int) -> None:
        read[0] += count
        tell(read[0])

    sample = Sample(model)
    for batch in _batches(_records(sources, reference.since, reference.until, ReadReport())):
        sample.offer([record for record in batch if isinstance(record, DecisionRecord)])
        done(len(batch))
    if not sample.seen:
        raise ConfigError(_nothing(sources, reference, against))
    measures = sample.measures()
    _check(leave_out, measures)
    bins, met = Bins(measures), ReadReport()
    then, watched = Counts(bins, model), Counts(bins, model)
    for batch in _batches(_records(sources, reference.since, until, met)):
        _count(then, [record for record in batch if record.when < reference.until])
        _count(watched, [record for record in batch if record.when >= begin])
        done(len(batch))
    if not watched.decisions:
        end = "" if until is None else f" to {until:%Y-%m-%d %H:%M}"
        raise ConfigError(f"no decision from {begin:%Y-%m-%d %H:%M}{end} UTC, after the reference; {_held(sources)}")
    return _report(
        then, watched, last_days=last_days, leave_out=leave_out, asked=reference, made=now,
        log=tuple(map(str, log)), model=None if model is None else model.version, refused=dict(met.refused),
    )  # fmt: skip


def _training(model: Model | None) -> Span:
    if model is None:
        raise ConfigError("without a model there is no training window; name days: --against 2026-08-01..2026-09-01")
    return Span(model.manifest.trained_from, model.manifest.trained_until + timedelta(microseconds=1))


def _records(sources: Sequence[Path], since: datetime, until: datetime | None, met: ReadReport) -> Iterator[Record]:
    for line in read_lines(sources, since=since, until=until, report=met):
        try:
            record = decode(line)
        except LineError as refused:
            met.refused[refused.reason] += 1
            continue
        if record.when >= since and (until is None or record.when < until):
            yield record


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _count(counts: Counts, records: list[Record]) -> None:
    counts.take([record for record in records if isinstance(record, DecisionRecord)])
    for record in records:
        if isinstance(record, OutcomeRecord):
            counts.report(record)


def _report(
    then: Counts,
    watched: Counts,
    *,
    last_days: int,
    leave_out: frozenset[str],
    asked: Span,
    made: datetime,
    log: tuple[str, ...],
    model: str | None,
    refused: dict[str, int],
) -> Report:
    bins, before, days = then.bins, sorted(then.decisions), sorted(watched.decisions)
    latest = [day for day in days if day > days[-1] - timedelta(days=last_days)]
    sides = Sides(
        then=then.over(before),
        now=watched.over(latest),
        blocks=np.array([then.over(block).sum(axis=0) for block in _blocks(before, last_days)]),
        by_day=np.array([watched.of(day).sum(axis=0) for day in days]),
    )
    moved = [
        _measured(measure, sides.only(span), days)
        for measure, span in zip(bins.measures, bins.spans, strict=True)
        if measure.name not in leave_out
    ]
    moved.sort(key=lambda one: (one.reading not in MOVED, -one.psi))
    known_before = then.first_seen
    return Report(
        made=made,
        log=log,
        model=model,
        reference=_period(then, before),
        now=_period(watched, latest),
        days=tuple(days),
        decisions_by_day=tuple(watched.decisions[day] for day in days),
        measures=tuple(moved),
        rates=rates(bins, sides, days),
        first_seen={name: day for name, day in watched.first_seen.items() if name not in known_before},
        refused=refused,
        notes=tuple(_notes(moved, then, watched, asked)),
    )


def _blocks(days: list[date], length: int) -> list[list[date]]:
    """Cut days into blocks of a length, or shorter ones so that there are four at least, where that many days are."""
    length = max(1, min(length, len(days) // _LEAST_BLOCKS))
    return [days[i : i + length] for i in range(0, len(days) - length + 1, length)]


def _measured(measure: Measure, sides: Sides, days: list[date]) -> Moved:
    whole_then, whole_now = sides.then.sum(axis=0), sides.now.sum(axis=0)
    found: Stability = compare(sides.then, sides.now, sides.blocks)
    since = sides.since(days) if found.moved else None
    shares_then, shares_now = whole_then / whole_then.sum(), whole_now / whole_now.sum()
    return Moved(
        name=measure.name,
        kind=measure.kind,
        reading=found.reading,
        psi=found.psi,
        interval=found.interval,
        floor=found.floor,
        unknown=(float(shares_then[-1]), float(shares_now[-1])) if measure.bins[-1] == UNKNOWN else None,
        bins=tuple(
            BinShare(name, float(p), float(q), float(term))
            for name, p, q, term in zip(
                measure.bins, shares_then, shares_now, terms(whole_then, whole_now), strict=True
            )
        ),
        since=since,
        by_day=tuple(psi(whole_then, day) for day in sides.by_day),
    )


def _period(counts: Counts, days: list[date]) -> Period:
    return Period(days[0], days[-1], len(days), sum(counts.decisions[day] for day in days))


def _notes(moved: Sequence[Moved], then: Counts, watched: Counts, asked: Span) -> Iterator[str]:
    first = min(then.decisions)
    if first > asked.since.astimezone(UTC).date():
        yield f"the log holds the reference only from {first}; it was asked for from {asked.since:%Y-%m-%d}"
    grown = [one.name for one in moved if one.reading in MOVED and one.name in GROWING]
    if grown:
        yield f"{', '.join(grown)}: to be expected while a service is young: its habits grow; --leave-out names it"
    if then.beyond or watched.beyond:
        yield f"{then.beyond + watched.beyond:,} records beyond the {len(watched.decisions):,} days that are kept apart"


def _check(names: frozenset[str], measures: Sequence[Measure]) -> None:
    known = [measure.name for measure in measures]
    strange = sorted(names.difference(known))
    if strange:
        raise ConfigError(f"--leave-out: {', '.join(strange)} is not measured; these are: {', '.join(known)}")


def _nothing(sources: Sequence[Path], reference: Span, against: Span | None) -> str:
    what = "named with --against" if against is not None else "the model's training window"
    return (
        f"no decision from {reference.since:%Y-%m-%d %H:%M} to {reference.until:%Y-%m-%d %H:%M} UTC, {what}; "
        f"{_held(sources)}; name days that it holds: --against 2026-08-01..2026-09-01"
    )


def _held(sources: Sequence[Path]) -> str:
    """Say from the names of its files which days a log holds."""
    opened = sorted(file.opened for path in sources if (file := log_file(path)) is not None)
    return f"the log's files begin {opened[0]:%Y-%m-%d} to {opened[-1]:%Y-%m-%d}" if opened else "look at the log"
