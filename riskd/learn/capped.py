"""A fixed-size sample of a stream of any length in which nobody can take more than so many places.

Of all rows offered the sample keeps those of the lowest rank (a hash of the row's id: bottom-k, a uniform sample, the
same in any reading), and of each subject, each device and each network at most its cap, again those of the lowest rank.
A flood from one of them therefore changes at most so many rows, however long it lasts; and as its other rows are turned
away without a trace, it does not crowd out anybody either.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar

Entities = tuple[str | None, ...]
"""Whom a row is from, one per cap; None is unknown and has no cap."""


class Row(Protocol):
    """What a sample keeps."""

    @property
    def entities(self) -> Entities:
        """Whom it is from."""


T = TypeVar("T", bound=Row)


class Capped(Generic[T]):
    """The rows of the lowest rank, with at most `caps[i]` rows that share their i-th entity."""

    def __init__(self, size: int, caps: Sequence[int]) -> None:
        self._size, self._caps = size, tuple(caps)
        self._rows: dict[int, T] = {}
        self._heap: list[int] = []
        """Ranks, negated; those of rows that left may linger."""
        self._of: dict[tuple[int, str], list[int]] = {}
        """Ranks of an entity's rows, ascending."""
        self.threshold = 1 << 64
        """No row of this rank or higher is in the sample, nor will be. It only falls, so that rows that come late are
        chosen as those that came early."""

    def __len__(self) -> int:
        """How many rows it holds."""
        return len(self._rows)

    def get(self, rank: int) -> T | None:
        """Return the row of this rank, None when it is not in the sample."""
        return self._rows.get(rank)

    def items(self) -> Iterator[tuple[int, T]]:
        """Yield ranks and rows, lowest rank first."""
        yield from sorted(self._rows.items(), key=lambda item: item[0])

    def wants(self, rank: int, entities: Entities) -> bool:
        """Whether a row would be taken."""
        if rank >= self.threshold or rank in self._rows:
            return False
        for number, (entity, cap) in enumerate(zip(entities, self._caps, strict=True)):
            if entity is not None:
                ranks = self._of.get((number, entity))
                if ranks is not None and len(ranks) >= cap and rank > ranks[-1]:
                    return False
        return True

    def add(self, rank: int, row: T) -> None:
        """Take a row that is wanted; whatever it is one too many for goes."""
        self._rows[rank] = row
        heappush(self._heap, -rank)
        for number, (entity, cap) in enumerate(zip(row.entities, self._caps, strict=True)):
            if entity is not None:
                ranks = self._of.setdefault((number, entity), [])
                insort(ranks, rank)
                if len(ranks) > cap:
                    self.discard(ranks[-1])
        while len(self._rows) > self._size:
            self.lower(-self._heap[0])
        if len(self._heap) > 2 * self._size + 64:
            self._heap = [-held for held in self._rows]
            heapify(self._heap)

    def discard(self, rank: int) -> T | None:
        """Let a row go and return it; None when it is not there."""
        row = self._rows.pop(rank, None)
        if row is not None:
            for number, entity in enumerate(row.entities):
                if entity is not None:
                    ranks = self._of[number, entity]
                    at = bisect_left(ranks, rank)
                    if ranks[at : at + 1] == [rank]:
                        del ranks[at]
                    if not ranks:
                        del self._of[number, entity]
        return row

    def lower(self, threshold: int) -> None:
        """Let the threshold fall, and let go what is not below it."""
        self.threshold = min(self.threshold, threshold)
        while self._heap and -self._heap[0] >= self.threshold:
            self.discard(-heappop(self._heap))


def trim(rows: Iterator[tuple[int, T]], caps: Sequence[int]) -> list[tuple[int, T]]:
    """Return, of rows in the order of rank, those that stay with these caps."""
    kept: list[tuple[int, T]] = []
    taken: dict[tuple[int, str], int] = {}
    for rank, row in rows:
        keys = [(number, entity) for number, entity in enumerate(row.entities) if entity is not None]
        if all(taken.get(key, 0) < caps[key[0]] for key in keys):
            kept.append((rank, row))
            for key in keys:
                taken[key] = taken.get(key, 0) + 1
    return kept
