"""Sorted ranges of numbers that carry a value: the form in which address lists are searched."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import overload

import numpy as np


class RangeTable:
    """Disjoint ranges, ascending: columns of firsts, lasts (inclusive) and values."""

    __slots__ = ("_firsts", "_lasts", "_rank", "_values")

    def __init__(self, firsts: Sequence[int], lasts: Sequence[int], values: Sequence[int]) -> None:
        self._firsts, self._lasts, self._values = firsts, lasts, values
        self._rank = firsts.rank if isinstance(firsts, WideColumn) else partial(bisect_right, firsts)

    def __len__(self) -> int:
        """Return the number of ranges."""
        return len(self._firsts)

    def find(self, number: int) -> int | None:
        """Return the value of the range that holds `number`, None when none does."""
        index = self._rank(number) - 1
        if index < 0 or number > self._lasts[index]:
            return None
        return self._values[index]


class Rows(Sequence[bytes]):
    """Byte strings of one width, that many bytes each and no more."""

    __slots__ = ("_bytes", "_width")

    def __init__(self, width: int) -> None:
        self._bytes = bytearray()
        self._width = width

    def append(self, row: bytes) -> None:
        """Add a row at the end; it must have the width."""
        self._bytes += row

    def sort(self) -> None:
        """Sort in place, as numbers written big end first."""
        np.frombuffer(self._bytes, dtype=f"S{self._width}").sort()

    def rank(self, row: bytes) -> int:
        """Return how many rows are not above one, where they are sorted."""
        held, width = self._bytes, self._width
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            at = middle * width
            if held[at : at + width] > row:
                high = middle
            else:
                low = middle + 1
        return low

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._bytes) // self._width

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        """Return one row, or several as a list."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = range(len(self))[index] * self._width
        return bytes(self._bytes[at : at + self._width])


class WideColumn(Sequence[int]):
    """Unsigned 128-bit numbers in 16 bytes each, where a list of them would take 60."""

    __slots__ = ("_high", "_low")

    def __init__(self) -> None:
        self._high, self._low = array("Q"), array("Q")

    def append(self, number: int) -> None:
        """Add a number at the end."""
        self._high.append(number >> 64)
        self._low.append(number & _LOW)

    def rank(self, number: int) -> int:
        """Return how many are not above `number`, where all ascend."""
        high = number >> 64
        end = bisect_right(self._high, high)
        begin = bisect_left(self._high, high, 0, end)
        return bisect_right(self._low, number & _LOW, begin, end)

    def __len__(self) -> int:
        """Return how many numbers there are."""
        return len(self._high)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        """Return one number, or several as a list."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._high[index] << 64 | self._low[index]


_LOW = (1 << 64) - 1


def flatten(nested: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """Turn nested (first, last, value) ranges into disjoint ones; where several cover a number, the largest value wins.

    Expects what sorted prefixes are: ascending firsts, the wider range before the narrower, none overlapping in part.
    """
    open_ranges: list[tuple[int, int]] = []  # (last, value) of the ranges around here, each value above its parent's
    here = 0
    for first, last, value in nested:
        while open_ranges and open_ranges[-1][0] < first:
            end, inner = open_ranges.pop()
            if here <= end:
                yield here, end, inner
            here = max(here, end + 1)
        if open_ranges:
            if value <= open_ranges[-1][1]:
                continue
            if here < first:
                yield here, first - 1, open_ranges[-1][1]
        open_ranges.append((last, value))
        here = first
    while open_ranges:
        end, inner = open_ranges.pop()
        if here <= end:
            yield here, end, inner
            here = end + 1
