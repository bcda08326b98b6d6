"""The shares that an operator watches: what was decided, reported, degraded or unknown, and the tails of the score.

A rare outcome may grow tenfold without moving any index, so shares have a reading of their own: one has moved when the
change is more than noise once in a thousand, and half as much again, or a third less.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from riskd.learn.drift.measures import NO_REPORT, REPORTED, TAILS, UNKNOWN, Bins, Ints
from riskd.learn.drift.stability import FLOOR_Z, Counts, Since, Z, change_point, difference, spread

_MORE = 1.5
"""At least this many times as much, or as little."""


class SinceDay(Struct, frozen=True):
    """The first day after a change, and the days between which it may as well have come, at 95 %."""

    day: date
    earliest: date
    latest: date
    or_before: bool
    """The change came on the first of the days that were watched, or before it, after the reference."""

    @classmethod
    def of(cls, since: Since | None, days: Sequence[date]) -> "SinceDay | None":
        """Name the days."""
        if since is None:
            return None
        return cls(days[since.day], days[since.earliest], days[since.latest], since.earliest == 0)


class Rate(Struct, frozen=True):
    """One share."""

    name: str
    then: float
    now: float
    change: tuple[float, float]
    """95 % interval of the change, in shares."""
    moved: bool
    since: SinceDay | None
    """Told of a share that moved."""


class Sides(NamedTuple):
    """The counts on both sides; columns are bins."""

    then: Counts
    """Rows are groups of subjects."""
    now: Counts
    """The same groups."""
    blocks: Counts
    """The first side cut along time, into blocks about as long as the second."""
    by_day: Counts
    """The watched days."""

    def only(self, span: slice) -> "Sides":
        """Return the counts of some bins."""
        return Sides(*(counts[:, span] for counts in self))

    def noise(self) -> float:
        """Return the design effect: how many decisions are worth one independent one."""
        return max(spread(counts).design_effect for counts in (self.then, self.now, self.blocks))

    def since(self, days: Sequence[date]) -> SinceDay | None:
        """Return since which of the watched days it is otherwise."""
        return SinceDay.of(change_point(self.then.sum(axis=0), self.by_day, self.noise()), days)


def rates(bins: Bins, sides: Sides, days: Sequence[date]) -> tuple[Rate, ...]:
    """Compare shares, over the counts of all bins."""
    return tuple(
        _rate(name, Sides(*(_two(counts, hits, of) for counts in sides)), days)
        for name, hits, of in _shares(bins)
        if sides.then[:, hits].any() or sides.now[:, hits].any()
    )


def _shares(bins: Bins) -> Iterator[tuple[str, list[int], list[int]]]:
    """Yield each share's name, the bins that are in it, and those it is a share of."""
    spans = {measure.name: (measure, span) for measure, span in zip(bins.measures, bins.spans, strict=True)}
    for name, inside in (("outcome", ("step_up", "deny")), (REPORTED, spans[REPORTED][0].bins[:-2])):
        measure, span = spans[name]
        for word in inside:
            yield _title(name, word), [span.start + measure.bins.index(word)], [*range(span.start, span.stop)]
    measure, span = spans["degraded"]
    no = [span.start + number for word, number in measure.values.items() if word == "no"]
    yield "degraded", [at for at in range(span.start, span.stop) if at not in no], [*range(span.start, span.stop)]
    measure, span = spans["anomaly"]
    for tail in TAILS:
        beyond = range(span.start + measure.edges.index(tail) + 1, span.stop - 1)
        yield f"anomaly above {tail:g}", [*beyond], [*range(span.start, span.stop - 1)]
    features = [(m, s) for m, s in spans.values() if m.kind == "feature"]
    yield (
        f"{UNKNOWN} features",
        [s.stop - 1 for _, s in features],
        [at for _, s in features for at in range(s.start, s.stop)],
    )


def _title(name: str, word: str) -> str:
    return word if name == "outcome" else f"{NO_REPORT.split()[1]} {word}"


def _two(counts: Counts, hits: list[int], of: list[int]) -> Ints:
    inside = counts[:, hits].sum(axis=1)
    return np.stack([inside, counts[:, of].sum(axis=1) - inside], axis=1)


def _rate(name: str, sides: Sides, days: Sequence[date]) -> Rate:
    change, deviation = difference(sides.then, sides.now, sides.blocks)
    before, after = _share(sides.then), _share(sides.now)
    apart = max(before, after) >= _MORE * min(before, after)
    moved = abs(change) > FLOOR_Z * deviation and change != 0 and apart
    wide = Z * deviation
    interval = max(-1.0, change - wide), min(1.0, change + wide)
    return Rate(name, before, after, interval, moved, sides.since(days) if moved else None)


def _share(counts: Counts) -> float:
    total = int(counts.sum())
    return float(counts[:, 0].sum()) / total if total else 0.0
