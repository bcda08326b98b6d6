"""Sorted ranges of numbers that carry a value: the form in which tables of addresses are searched."""

from bisect import bisect_right
from collections.abc import Sequence


class RangeTable:
    """Disjoint ranges, ascending: columns of firsts, lasts (inclusive) and values."""

    __slots__ = ("_firsts", "_lasts", "_values")

    def __init__(self, firsts: Sequence[int], lasts: Sequence[int], values: Sequence[int]) -> None:
        self._firsts, self._lasts, self._values = firsts, lasts, values

    def __len__(self) -> int:
        """Return the number of ranges."""
        return len(self._firsts)

    def find(self, number: int) -> int | None:
        """Return the value of the range that holds `number`, None when none does."""
        index = bisect_right(self._firsts, number) - 1
        if index < 0 or number > self._lasts[index]:
            return None
        return self._values[index]


__all__ = ["RangeTable"]
