"""Reads a log once, block by block, and keeps its decisions as rows on disk, with one numbering of all names."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np

from riskd.learn.blocks import Engine, Log
from riskd.learn.evaluate.scan import DECIDED, HIT, NAMED, Scanned, scan
from riskd.learn.evaluate.spill import Spill
from riskd.learn.replay.labels import TOLD

OTHER = "other"
_MOST_NAMES = 256
_MOST_VERSIONS = 64


class Gathered:
    """All that one reading keeps; memory does not grow with the log."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self.decided, self.told, self.hits = self._spill(DECIDED), self._spill(TOLD), self._spill(HIT)
        self.names: dict[str, list[str]] = {kind: [] for kind in NAMED}
        self._numbers: dict[str, dict[str, int]] = {kind: {} for kind in NAMED}
        self.decisions = self.outcomes = 0
        self.newest = -np.inf
        """When the latest record was made, s."""
        self.begins, self.ends = np.inf, -np.inf
        """When the first and the last decision were made, s."""
        self.refused: Counter[str] = Counter()
        self.models: Counter[str] = Counter()
        self.policies: Counter[str] = Counter()

    def _spill(self, row: "np.dtype[np.void]") -> Spill:
        spill = Spill(row, "id")
        self._open.callback(spill.close)
        return spill

    def read(self, log: Log, engine: Engine, tell: Callable[[int], None]) -> None:
        """Read a log; `tell` hears how many decisions are done."""
        for _, found in engine.over(log, scan):
            self._add(found)
            tell(self.decisions)
        self.refused += log.refused

    def close(self) -> None:
        """Delete the temporary files."""
        self._open.close()

    def _add(self, found: Scanned) -> None:
        decided, hits = np.frombuffer(found.decided, DECIDED).copy(), np.frombuffer(found.hits, HIT).copy()
        for kind, names in found.names.items():
            if names:
                rows = hits if kind == "code" else decided
                rows[kind] = np.array([self._number(kind, name) for name in names], np.uint16)[rows[kind]]
        self.decided.add(decided)
        self.hits.add(hits)
        self.told.add(np.frombuffer(found.told, TOLD))
        self.decisions += found.decisions
        self.outcomes += found.outcomes
        self.newest = max(self.newest, found.newest)
        if len(decided):
            self.begins = min(self.begins, float(decided["at"].min()))
            self.ends = max(self.ends, float(decided["at"].max()))
        self.refused += found.refused
        for whole, part in ((self.models, found.models), (self.policies, found.policies)):
            for name, count in part.items():
                whole[name if name in whole or len(whole) < _MOST_VERSIONS else OTHER] += count

    def _number(self, kind: str, name: str) -> int:
        numbers = self._numbers[kind]
        if name not in numbers and len(numbers) >= _MOST_NAMES:
            name = OTHER
        if name not in numbers:
            numbers[name] = len(numbers)
            self.names[kind].append(name)
        return numbers[name]
