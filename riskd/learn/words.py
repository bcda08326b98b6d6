"""What outcomes say of millions of decisions, nine bytes each: attacks fail far more often than people log in."""

from array import array
from bisect import bisect_left
from typing import Final

import numpy as np

FRESH: Final = 65_536
"""Words that wait in a dict, each of a hundred bytes, before they are put among the others."""


class Words:
    """Ranks of decisions, and the flags that were said of each."""

    def __init__(self) -> None:
        self._fresh: dict[int, int] = {}
        self._ranks = array("Q")
        """In order; `_said` has the flags of each."""
        self._said = bytearray()

    def __len__(self) -> int:
        """Words that are held; one rank may have two until they are put together."""
        return len(self._ranks) + len(self._fresh)

    def add(self, rank: int, said: int) -> None:
        """Take down what is said of a decision, beside what was said of it before."""
        self._fresh[rank] = self._fresh.get(rank, 0) | said
        if len(self._fresh) >= FRESH:
            self._settle()

    def of(self, rank: int) -> int:
        """Return all flags of a decision, 0 when nothing was said."""
        at = bisect_left(self._ranks, rank)
        settled = self._said[at] if at < len(self._ranks) and self._ranks[at] == rank else 0
        return settled | self._fresh.get(rank, 0)

    def rank_at(self, number: int) -> int:
        """Return the rank of which so many are lower."""
        self._settle()
        return self._ranks[number]

    def forget_from(self, rank: int) -> None:
        """Forget what was said of decisions of this rank and above."""
        self._settle()
        at = bisect_left(self._ranks, rank)
        del self._ranks[at:], self._said[at:]

    def _settle(self) -> None:
        ranks = np.concatenate([np.array(self._ranks, np.uint64), np.fromiter(self._fresh, np.uint64)])
        said = np.concatenate([np.frombuffer(self._said, np.uint8), np.fromiter(self._fresh.values(), np.uint8)])
        order = np.argsort(ranks, kind="stable")
        ranks, said = ranks[order], said[order]
        first = np.flatnonzero(np.diff(ranks, prepend=ranks[:1] + np.uint64(1)))
        self._fresh = {}
        if len(ranks):
            self._ranks = array("Q", ranks[first].tobytes())
            self._said = bytearray(np.bitwise_or.reduceat(said, first).tobytes())
