"""The labelled attempts of a log of any length, in two readings and bounded memory.

A label stands in another line than its decision, hours or days later, and attacks are rare. So the first reading hears
the labels and keeps of each side those of the lowest hash (`MOST`), all of them in most logs; the second finds the
decisions they belong to. The same hash draws a sample of all decisions, from which it is told how often attempts like
these have a label at all. What counts as a label, and which of several outweighs the others, is as for replay.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from riskd.facts import Facts
from riskd.learn.head import propensity
from riskd.learn.replay.labels import ATTACKS, LABELS, key, told
from riskd.record.schema import DecisionRecord, Record

MOST: Final = 32_768
"""Labels kept of each side, and decisions sampled."""
_ATTACKS: Final = frozenset(number for number, (label, _) in enumerate(LABELS) if label in ATTACKS)
_WEIGHTS: Final = tuple(weight for _, weight in LABELS)


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Labelled attempts in the order of time."""

    facts: list[Facts]
    attack: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]
    """For how many attempts like it each stands, 1 or more."""


class _Lowest:
    """The keys of lowest value among many, each with what was said of it last or weightiest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[int] = []
        self.kept: dict[int, tuple[int, float, int]] = {}
        """Key → weight, time and number of the label."""

    def offer(self, name: int, said: tuple[int, float, int]) -> None:
        held = self.kept.get(name)
        if held is not None:
            self.kept[name] = max(held, said)
            return
        if len(self._heap) >= self._most:
            if name >= -self._heap[0]:
                return
            del self.kept[-heapq.heappop(self._heap)]
        heapq.heappush(self._heap, -name)
        self.kept[name] = said


@dataclass(slots=True)
class _Drawn:
    """One decision of the second reading."""

    score: float
    stopped: bool
    label: int | None


@dataclass(slots=True)
class LabelledSample:
    """Hears the labels first (`hear`), then takes the decisions (`take`)."""

    most: int = MOST
    denied: int = 0
    """Decisions that were denied: nobody can label them, and the head learns nothing of them."""
    _attacks: _Lowest = field(init=False)
    _any: _Lowest = field(init=False)
    _facts: dict[int, bytes] = field(default_factory=dict)
    _heap: list[int] = field(default_factory=list)
    _drawn: dict[int, _Drawn] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start with nothing heard."""
        self._attacks, self._any = _Lowest(self.most), _Lowest(self.most)

    def hear(self, records: Iterable[Record]) -> None:
        """Read the labels."""
        for record in records:
            if isinstance(record, DecisionRecord):
                continue
            row = told(record)
            if row is None:
                continue
            name, at, number = row
            said = (_WEIGHTS[number], at, number)
            self._any.offer(name, said)
            if number in _ATTACKS:
                self._attacks.offer(name, said)

    def take(self, records: Iterable[Record]) -> None:
        """Read the decisions."""
        encode = msgspec.msgpack.Encoder().encode
        for record in records:
            if not isinstance(record, DecisionRecord):
                continue
            if record.outcome == "deny":
                self.denied += 1
                continue
            name = key(record.decision_id)
            label = self._label(name)
            if label is not None:
                self._facts[name] = encode(record.facts)
                self._drawn[name] = _Drawn(record.score, record.outcome == "step_up", label)
            self._draw(name, record, label)

    def rows(self) -> LabelledRows:
        """Return the labelled attempts."""
        decode = msgspec.msgpack.Decoder(Facts).decode
        rows = sorted(((decode(facts), name) for name, facts in self._facts.items()), key=lambda row: row[0].time)
        sampled = [self._drawn[name] for name in sorted(-negative for negative in self._heap)]
        own = [self._drawn[name] for _, name in rows]
        every = [*sampled, *own]
        weight = propensity(
            np.array([one.score for one in every]),
            np.array([one.stopped for one in every], dtype=bool),
            np.array([one.label is not None for one in every], dtype=bool),
            counted=len(sampled),
        )
        return LabelledRows(
            facts=[facts for facts, _ in rows],
            attack=np.array([one.label in _ATTACKS for one in own], dtype=bool),
            weight=weight[len(sampled) :],
        )

    def _label(self, name: int) -> int | None:
        said = max(filter(None, (self._any.kept.get(name), self._attacks.kept.get(name))), default=None)
        return None if said is None else said[2]

    def _draw(self, name: int, record: DecisionRecord, label: int | None) -> None:
        """Keep the decision in the sample of all when its hash is low enough."""
        if len(self._heap) >= self.most:
            if name >= -self._heap[0]:
                return
            gone = -heapq.heappop(self._heap)
            if gone not in self._facts:
                del self._drawn[gone]
        heapq.heappush(self._heap, -name)
        self._drawn[name] = _Drawn(record.score, record.outcome == "step_up", label)
