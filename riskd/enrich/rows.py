"""Byte strings of one width, sorted and searched where they lie: a list of a million entries, without its objects."""

from collections.abc import Sequence
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import overload

import numpy as np
import numpy.typing as npt


class Rows(Sequence[bytes]):
    """Byte strings of one width, that many bytes each and no more.

    Memory is taken from the system as it is written to, and goes back to it when nobody needs the rows any more. What
    `malloc` gives out would stay with the process after a list of a million entries was read anew.
    """

    __slots__ = ("_bytes", "_length", "_map", "_sorted", "_width")

    def __init__(self, width: int, most: int) -> None:
        """Make room for `most` rows of `width` bytes."""
        self._map = mmap(-1, max(width * most, 1), flags=MAP_PRIVATE | MAP_ANONYMOUS)
        self._bytes = memoryview(self._map)
        self._width = width
        self._length = 0
        self._sorted = self._view()

    def append(self, row: bytes) -> None:
        """Add a row at the end; it must have the width."""
        self._length += 1
        self.put(self._length - 1, row)

    def put(self, index: int, row: bytes) -> None:
        """Write a row in the place of another."""
        at = index * self._width
        self._bytes[at : at + self._width] = row

    def sort(self) -> None:
        """Sort in place, as numbers written big end first."""
        self._sorted = self._view()
        self._sorted.sort()

    def keep(self, length: int) -> None:
        """Drop all rows, once sorted, from the one of this number on, and the room behind them."""
        self._length = length
        self._sorted = np.empty(0, dtype=f"S{self._width}")  # nothing may look at the memory while it shrinks
        self._bytes.release()
        self._map.resize(max(length * self._width, 1))
        self._bytes = memoryview(self._map)
        self._sorted = self._view()

    def rank(self, row: bytes) -> int:
        """Return how many rows are not above one of the width, where they are sorted."""
        return int(self._sorted.searchsorted(row, "right"))

    def _view(self) -> "npt.NDArray[np.bytes_]":
        return np.frombuffer(self._bytes, dtype=f"S{self._width}", count=self._length)

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


__all__ = ["Rows"]
