"""How many decisions of a day fell into each bin, by group of subjects.

A subject's decisions are alike, so that a thousand decisions of a hundred people say less than those of a thousand.
Subjects are dealt into `GROUPS` by a hash; what differs between the groups of one period is noise, and measures it.
Memory: a hundred kilobytes a day, at most `MAX_DAYS` days, whatever a log holds.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from zlib import crc32

import numpy as np
import numpy.typing as npt

from riskd.evaluation import Scorer
from riskd.learn.drift.measures import Bins, rows_of
from riskd.record.schema import DecisionRecord, OutcomeRecord

GROUPS = 32
MAX_DAYS = 1_000
MAX_VERSIONS = 50
"""Policies or models that are told by name."""

Table = npt.NDArray[np.int64]
"""Decisions by group (row) and bin (column)."""


class Counts:
    """The counts of a log."""

    def __init__(self, bins: Bins, model: Scorer | None) -> None:
        self.bins = bins
        self.decisions: Counter[date] = Counter()
        """Decisions of each day, UTC."""
        self.beyond = 0
        """Records that were left out, because the log has more than `MAX_DAYS` days."""
        self.first_seen: dict[str, date] = {}
        """`policy <revision>` or `model <version>` → the first day it decided."""
        self._model = model
        self._days: dict[date, npt.NDArray[np.int32]] = {}

    def take(self, records: Sequence[DecisionRecord]) -> None:
        """Count decisions."""
        kept = [record for record in records if self._day(day_of(record.when)) is not None]
        self.beyond += len(records) - len(kept)
        if not kept:
            return
        placed = self.bins.place(rows_of(kept, self._model))
        placed += np.array([_group(record) for record in kept])[:, None] * self.bins.size
        days = [day_of(record.when) for record in kept]
        for day in set(days):
            at = placed[[i for i, one in enumerate(days) if one == day]].ravel()
            self._days[day] += np.bincount(at, minlength=GROUPS * self.bins.size).reshape(GROUPS, -1).astype(np.int32)
        self.decisions.update(days)
        for record in kept:
            self._version(f"policy {record.policy_revision[:64]}", day_of(record.when))
            self._version(f"model {(record.model_version or 'none')[:64]}", day_of(record.when))

    def report(self, record: OutcomeRecord) -> None:
        """Count what somebody reported; what only time confirmed is no report."""
        if record.source == "matured":
            return
        day = self._day(day_of(record.when))
        if day is None:
            self.beyond += 1
            return
        day[_hash(record.subject or record.decision_id), self.bins.report(record.outcome.value)] += 1

    def between(self, first: date, last: date) -> list[date]:
        """Return the days with decisions from the first to the last, both included."""
        return sorted(day for day in self.decisions if first <= day <= last)

    def of(self, day: date) -> Table:
        """Return the counts of a day."""
        counted = self._days[day].astype(np.int64)
        span = self.bins.spans[-1]
        decisions = counted[:, self.bins.spans[0]].sum(axis=1)
        # What has no report is what is left of the decisions: the last bin.
        counted[:, span.stop - 1] = np.maximum(0, decisions - counted[:, span.start : span.stop - 1].sum(axis=1))
        return counted

    def over(self, days: Sequence[date]) -> Table:
        """Return the counts of several days."""
        total = np.zeros((GROUPS, self.bins.size), dtype=np.int64)
        for day in days:
            total += self.of(day)
        return total

    def _day(self, day: date) -> npt.NDArray[np.int32] | None:
        if day not in self._days:
            if len(self._days) >= MAX_DAYS:
                return None
            self._days[day] = np.zeros((GROUPS, self.bins.size), dtype=np.int32)
        return self._days[day]

    def _version(self, name: str, day: date) -> None:
        if name in self.first_seen:
            self.first_seen[name] = min(day, self.first_seen[name])
        elif len(self.first_seen) < MAX_VERSIONS:
            self.first_seen[name] = day


def day_of(when: datetime) -> date:
    """Return the day of a time, UTC; of one at the end of all time, which has none there, its own."""
    try:
        return when.astimezone(UTC).date()
    except OverflowError:
        return when.date()


def _group(record: DecisionRecord) -> int:
    """Whose decision it is; an anonymous attempt stands for its address, or for itself."""
    facts = record.facts
    return _hash(facts.subject.token or facts.network.ip or record.decision_id)


def _hash(name: str) -> int:
    return crc32(name.encode()) % GROUPS
