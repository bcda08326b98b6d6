"""Sorted ranges of numbers that carry a value: the form in which address lists are searched."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import overload


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


class WideColumn(Sequence[int]):
    """Unsigned 128-bit numbers in 16 bytes each, where a list of them would take 60."""

    __slots__ = ("_bytes",)
    _WIDTH = 16

    def __init__(self) -> None:
        self._bytes = bytearray()

    def append(self, number: int) -> None:
        """Add a number at the end."""
        self._bytes += number.to_bytes(self._WIDTH, "big")

    def __len__(self) -> int:
        """Return how many numbers there are."""
        return len(self._bytes) // self._WIDTH

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        """Return one number, or several as a list."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = range(len(self))[index] * self._WIDTH
        return int.from_bytes(self._bytes[at : at + self._WIDTH], "big")


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
