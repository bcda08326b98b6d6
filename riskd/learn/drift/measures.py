"""What drift looks at: every feature of the model, its score, and what was asked and decided; each cut into bins.

Features and the model's score are measured anew from the recorded facts, with one model for all days, so that nothing
moves only because another model served. Numbers are cut at deciles of the reference and at its last hundredth, texts
into the reference's most common values; unknown is always a bin of its own.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from riskd.contract import Outcome, Reported
from riskd.evaluation import Scorer, measure_all
from riskd.features import MODEL_FEATURES, Fault
from riskd.features.declared import DeclaredInput, encoded
from riskd.record.schema import DecisionRecord

SAMPLE = 16_384
"""Decisions of the reference that the bins are read from: a decile is then known to ± 0.5 points."""
MOST_VALUES = 15
"""Values of a text that have a bin of their own."""
MAX_TEXT = 64
UNKNOWN, OTHERS, NO_REPORT = "unknown", "(others)", "no report"
QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
_ATOM = 0.05
"""A value that this share of the reference has gets a bin of its own, apart from what lies below it."""

TAILS = (0.9, 0.99, 0.999)
"""Anomaly scores that one honest attempt in ten, a hundred, a thousand reaches."""

Read = Callable[[DecisionRecord], str | None]
TEXTS: Final[dict[str, Read]] = {
    "outcome": lambda record: record.outcome,
    "degraded": lambda record: ", ".join(sorted(record.degraded)) or "no",
    "action": lambda record: record.facts.action.name,
    "country": lambda record: record.facts.place.country,
    "network": lambda record: record.facts.network.key,
    "device_family": lambda record: record.facts.device.family,
    "device_kind": lambda record: record.facts.device.kind,
    "hour": lambda record: f"{record.facts.time.hour:02d}",
}
REPORTED = "reported"
"""Outcomes that were reported, per decision; counted by the day they became known."""

Kind = str
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Measure(Struct, frozen=True):
    """One thing that may move."""

    name: str
    kind: Kind
    """`feature`, `result` (scores, outcomes, degraded, reports) or `attempt` (who asks what from where)."""
    bins: tuple[str, ...]
    """What each bin holds, in words; the last one is `unknown`, or `no report`."""
    edges: tuple[float, ...] = ()
    """Of a number: a bin holds what is above the edge before and at most its own; one more holds what is beyond."""
    values: dict[str, int] = {}
    """Of a text: its bin; every other value is in the last but one."""


class Rows(Struct, frozen=True):
    """What was measured of some decisions."""

    numbers: Floats
    """A row each, in the order of `numbers_of`; NaN is unknown."""
    texts: list[tuple[str | None, ...]]
    """A row each, in the order of TEXTS."""


def numbers_of(model: Scorer | None) -> tuple[str, ...]:
    """Return the names of the numbers that are measured: the features, what else the model reads, both scores."""
    return (*MODEL_FEATURES, *(one.label for one in _declared(model)), "anomaly", "score")


def rows_of(records: Sequence[DecisionRecord], model: Scorer | None) -> Rows:
    """Measure decisions; a feature that fails on one is unknown there."""
    declared = _declared(model)
    numbers = np.full((len(records), len(numbers_of(model))), np.nan)
    texts = []
    for row, (record, measured) in enumerate(
        zip(records, measure_all([record.facts for record in records], model), strict=True)
    ):
        more = encoded(declared, record.facts)
        values = (*measured.vector, *more, measured.anomaly, record.score)
        if measured.faulty or measured.anomaly.__class__ is Fault:
            values = tuple(None if value.__class__ is Fault else value for value in values)
        numbers[row] = values  # None becomes NaN
        texts.append(tuple([None if (said := read(record)) is None else said[:MAX_TEXT] for read in TEXTS.values()]))
    return Rows(numbers, texts)


class Sample:
    """The decisions with the smallest hashes of their ids: the same log always gives the same, in any order."""

    def __init__(self, model: Scorer | None, size: int = SAMPLE) -> None:
        self._model = model
        self._size = size
        self._kept: list[tuple[int, int, Floats, tuple[str | None, ...]]] = []
        self.seen = 0
        """Decisions offered."""

    def offer(self, records: Sequence[DecisionRecord]) -> None:
        """Take what belongs to the sample."""
        worst = -self._kept[0][0] if len(self._kept) >= self._size else None
        ranked = [(_rank(record.decision_id), record) for record in records]
        chosen = [(rank, record) for rank, record in ranked if worst is None or rank < worst]
        rows = rows_of([record for _, record in chosen], self._model)
        for number, (rank, _) in enumerate(chosen):
            one = (-rank, self.seen + number, rows.numbers[number].copy(), rows.texts[number])
            if len(self._kept) < self._size:
                heapq.heappush(self._kept, one)
            else:
                heapq.heappushpop(self._kept, one)
        self.seen += len(records)

    def measures(self) -> tuple[Measure, ...]:
        """Cut what was measured into bins; needs one decision at least."""
        numbers = np.array([row for _, _, row, _ in self._kept])
        found = [_number(name, numbers[:, i]) for i, name in enumerate(numbers_of(self._model))]
        found += [_text(name, [texts[i] for _, _, _, texts in self._kept]) for i, name in enumerate(TEXTS)]
        words = tuple(word.value for word in Reported)
        reported = Measure(REPORTED, "result", (*words, OTHERS, NO_REPORT), values=_numbered(words))
        return (*found, reported)


class Bins:
    """Puts rows into the bins of all measures, which are numbered through."""

    def __init__(self, measures: Sequence[Measure]) -> None:
        """`measures` are those of a `Sample`, in its order."""
        self.measures = tuple(measures)
        ends = np.cumsum([len(measure.bins) for measure in measures])
        self.size = int(ends[-1])
        """Bins in all."""
        starts = ends - [len(measure.bins) for measure in measures]
        self.spans = tuple(slice(int(start), int(end)) for start, end in zip(starts, ends, strict=True))
        """Of each measure, its bins."""
        self._edges = [np.array(measure.edges) for measure in self.measures[: -len(TEXTS) - 1]]
        self._texts = self.measures[-len(TEXTS) - 1 : -1]

    def place(self, rows: Rows) -> Ints:
        """Return the bin of each row in each measure but the last, `reported`."""
        found = np.empty((len(rows.texts), len(self.measures) - 1), dtype=np.int64)
        for i, edges in enumerate(self._edges):
            column = rows.numbers[:, i]
            placed = np.searchsorted(edges, column, side="left")
            placed[np.isnan(column)] = len(edges) + 1
            found[:, i] = placed + self.spans[i].start
        for j, measure in enumerate(self._texts):
            i, known = j + len(self._edges), measure.values
            last = len(measure.bins) - 1
            said = (row[j] for row in rows.texts)
            placed = np.array([last if one is None else known.get(one, last - 1) for one in said])
            found[:, i] = placed + self.spans[i].start
        return found

    def report(self, word: str) -> int:
        """Return the bin of an outcome that was reported."""
        measure = self.measures[-1]
        return self.spans[-1].start + measure.values.get(word, len(measure.bins) - 2)


def _declared(model: Scorer | None) -> tuple[DeclaredInput, ...]:
    return () if model is None else model.extract.declared


def _rank(decision_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(decision_id.encode(), digest_size=8).digest())


def _number(name: str, column: Floats) -> Measure:
    kind = "result" if name in {"anomaly", "score"} else "feature"
    known = np.sort(column[~np.isnan(column)])
    edges = sorted({*np.linspace(0.1, 0.9, 9).round(1).tolist(), *TAILS}) if name == "anomaly" else _edges(known)
    if not edges:
        return Measure(name, kind, ("known", UNKNOWN))
    between = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    return Measure(name, kind, (f"≤ {edges[0]:.4g}", *between, f"> {edges[-1]:.4g}", UNKNOWN), edges=tuple(edges))


def _edges(known: Floats) -> list[float]:
    """Return the quantiles, and below a value that many have, the next lower one: the value is then a bin alone."""
    if not len(known):
        return []
    edges = set(np.quantile(known, QUANTILES, method="higher").tolist())
    for value in list(edges):
        first, beyond = np.searchsorted(known, value, "left"), np.searchsorted(known, value, "right")
        if first > 0 and beyond - first >= _ATOM * len(known):
            edges.add(float(known[first - 1]))
    return sorted(edges)


def _text(name: str, column: Sequence[str | None]) -> Measure:
    kind = "result" if name in {"outcome", "degraded"} else "attempt"
    common: list[str] = [outcome.word for outcome in Outcome]
    if name != "outcome":
        counted = Counter(value for value in column if value is not None)
        most = MOST_VALUES if name != "hour" else 24
        common = sorted(sorted(counted, key=lambda value: (-counted[value], value))[:most])
    return Measure(name, kind, (*common, OTHERS, UNKNOWN), values=_numbered(common))


def _numbered(values: Sequence[str]) -> dict[str, int]:
    return {value: number for number, value in enumerate(values)}
