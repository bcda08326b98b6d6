"""Sorted ranges of numbers that carry a value: the form in which address lists are searched."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Literal, overload

import numpy as np


class RangeTable:
    """Disjoint ranges, ascending: columns of firsts, lasts (inclusive) and values."""

    __slots__ = ("_firsts", "_lasts", "_rank", "_values")

    def __init__(self, firsts: Sequence[int], lasts: Sequence[int], values: Sequence[int]) -> None:
        self._firsts, self._lasts, self._values = firsts, lasts, values
        self._rank = firsts.rank if isinstance(firsts, Column | WideColumn) else partial(bisect_right, firsts)

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

    __slots__ = ("_bytes", "_length", "_width")

    def __init__(self, width: int, most: int) -> None:
        """Make room for `most` rows of `width` bytes."""
        self._bytes = _pages(width * most)
        self._width = width
        self._length = 0

    def append(self, row: bytes) -> None:
        """Add a row at the end; it must have the width."""
        at = self._length * self._width
        self._bytes[at : at + self._width] = row
        self._length += 1

    def sort(self) -> None:
        """Sort in place, as numbers written big end first."""
        np.frombuffer(self._bytes[: self._length * self._width], dtype=f"S{self._width}").sort()

    def rank(self, row: bytes) -> int:
        """Return how many rows are not above one, where they are sorted."""
        held, width = self._bytes, self._width
        low, high = 0, self._length
        while low < high:
            middle = (low + high) // 2
            at = middle * width
            if held[at : at + width].tobytes() > row:
                high = middle
            else:
                low = middle + 1
        return low

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self._length

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        """Return one row, or several as a list."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = range(len(self))[index] * self._width
        return self._bytes[at : at + self._width].tobytes()


class Column(Sequence[int]):
    """Unsigned numbers below 2³² (code `I`) or 2⁶⁴ (`Q`), in four or eight bytes each."""

    __slots__ = ("_cells", "_length")

    def __init__(self, code: Literal["I", "Q"], most: int) -> None:
        """Make room for `most` numbers."""
        self._cells = _pages(most * {"I": 4, "Q": 8}[code]).cast(code)
        self._length = 0

    def append(self, number: int) -> None:
        """Add a number at the end."""
        self._cells[self._length] = number
        self._length += 1

    def rank(self, number: int, begin: int = 0, end: int | None = None) -> int:
        """Return up to where, from `begin`, numbers are not above one; they ascend from there to `end`."""
        return bisect_right(self._cells, number, begin, self._length if end is None else end)

    def rank_below(self, number: int, end: int) -> int:
        """Return how many are below a number, of the first `end`, which ascend."""
        return bisect_left(self._cells, number, 0, end)

    def __len__(self) -> int:
        """Return how many numbers there are."""
        return self._length

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        """Return one number, or several as a list."""
        return self._cells[: self._length].tolist()[index] if isinstance(index, slice) else self._cells[index]


class WideColumn(Sequence[int]):
    """Unsigned 128-bit numbers in 16 bytes each, where a list of them would take 60."""

    __slots__ = ("_high", "_low")

    def __init__(self, most: int) -> None:
        """Make room for `most` numbers."""
        self._high, self._low = Column("Q", most), Column("Q", most)

    def append(self, number: int) -> None:
        """Add a number at the end."""
        self._high.append(number >> 64)
        self._low.append(number & _LOW)

    def rank(self, number: int) -> int:
        """Return how many are not above `number`, where all ascend."""
        high = number >> 64
        end = self._high.rank(high)
        return self._low.rank(number & _LOW, self._high.rank_below(high, end), end)

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


def _pages(size: int) -> memoryview:
    """Return memory that is taken from the system as it is written to, and goes back to it when nobody needs it.

    What `malloc` gives out would stay with the process after a list of a million entries was read anew.
    """
    return memoryview(mmap(-1, max(size, 8), flags=MAP_PRIVATE | MAP_ANONYMOUS))


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
