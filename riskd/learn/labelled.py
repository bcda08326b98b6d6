"""The labelled attempts of a log of any length, in two readings and bounded memory.

A label stands in another line than its decision, hours or days later, and attacks are rare. So the first reading hears
the labels and keeps of each side those of the lowest hash (`MOST`), all of them in most logs; the second finds the
decisions they belong to. The same hash draws a sample of all decisions, from which it is told how often attempts like
these have a label at all. What counts as a label, and which of several outweighs the others, is as for replay.
"""

import heapq
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from riskd.facts import Facts
from riskd.learn.head import LEAST_ATTACKS, few_attacks, propensity
from riskd.learn.replay.labels import ATTACKS, LABELS, TOLD, key
from riskd.record.schema import DecisionRecord, decode_all

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


_ROW = np.dtype([("id", "<u8"), ("score", "<f8"), ("stopped", "?")])


class Found(Struct, frozen=True):
    """What was on a block of lines."""

    denied: int
    rows: bytes
    """Decisions that were not denied: hash of the id, score, whether more was asked for."""
    facts: dict[int, bytes]
    """Of those that have a label."""


class Find:
    """What the second reading does with a block; `under` may fall while a log is gone through."""

    def __init__(self, labelled: npt.NDArray[np.uint64], since: datetime | None, until: datetime | None) -> None:
        self._labelled, self._since, self._until = labelled, since, until
        self.under = 1 << 64
        """Hash from which on no decision comes into the sample of all."""

    def __call__(self, block: bytes) -> Found:
        """Read the decisions with `since` ≤ time < `until`."""
        denied, records = 0, list[DecisionRecord]()
        for record in decode_all(block.splitlines(), Counter()):  # the first reading counted them
            if (
                not isinstance(record, DecisionRecord)
                or (self._since and record.when < self._since)
                or (self._until and record.when >= self._until)
            ):
                continue
            if record.outcome == "deny":
                denied += 1
            else:
                records.append(record)
        names = np.array([key(record.decision_id) for record in records], dtype=np.uint64)
        labelled = np.isin(names, self._labelled).tolist()
        encode = msgspec.msgpack.Encoder().encode
        rows = [
            (name, record.score, record.outcome == "step_up")
            for name, record, has_label in zip(names.tolist(), records, labelled, strict=True)
            if has_label or name < self.under
        ]
        facts = {
            name: encode(record.facts)
            for name, record, has_label in zip(names.tolist(), records, labelled, strict=True)
            if has_label
        }
        return Found(denied, np.array(rows, _ROW).tobytes(), facts)


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
    _find: Find | None = None

    def __post_init__(self) -> None:
        """Start with nothing heard."""
        self._attacks, self._any = _Lowest(self.most), _Lowest(self.most)

    def hear(self, outcomes: bytes) -> None:
        """Take rows of `TOLD`."""
        for name, at, number in np.frombuffer(outcomes, TOLD).tolist():
            said = (_WEIGHTS[number], at, number)
            self._any.offer(name, said)
            if number in _ATTACKS:
                self._attacks.offer(name, said)

    def too_few(self) -> str | None:
        """Say why a second reading is not worth it; None when there may be labels enough."""
        attacks = len(self._attacks.kept)
        return None if attacks >= LEAST_ATTACKS else few_attacks(attacks)

    def find(self, since: datetime | None = None, until: datetime | None = None) -> Find:
        """Return what is to be done with each block of the second reading."""
        labelled = np.fromiter({*self._any.kept, *self._attacks.kept}, dtype=np.uint64)
        self._find = Find(labelled, since, until)
        return self._find

    def take(self, found: Found) -> None:
        """Take what the second reading found in a block."""
        self.denied += found.denied
        self._facts |= found.facts
        for name, score, stopped in np.frombuffer(found.rows, _ROW).tolist():
            label = self._label(name)
            drawn = _Drawn(score, stopped, label)
            if label is not None:
                self._drawn[name] = drawn
            self._draw(name, drawn)
        if self._find is not None and len(self._heap) >= self.most:
            self._find.under = -self._heap[0]

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

    def _draw(self, name: int, drawn: _Drawn) -> None:
        """Keep the decision in the sample of all when its hash is low enough."""
        if len(self._heap) >= self.most:
            if name >= -self._heap[0]:
                return
            gone = -heapq.heappop(self._heap)
            if gone not in self._facts:
                del self._drawn[gone]
        heapq.heappush(self._heap, -name)
        self._drawn[name] = drawn
