"""Prefixes of addresses that lie within one another, each with a last day: the form in which lists are searched.

A prefix is one row: first address, length, last day, and the number of the row that it lies within. Sorted, a wider one
stands before all within it. The innermost around an address is then the last row that does not begin after it, or one
that this row lies within. A prefix that lasts no longer than one around it says nothing of its own and is left out, so
that the innermost is the one that lasts longest.
"""

from time import sleep
from typing import Final

from riskd.enrich.entries import GIVE_WAY
from riskd.enrich.rows import Rows

_DAY: Final = 3
_NUMBER: Final = 3
"""Bytes of a last day, and of a row's number, which is below 2²⁴."""
_NOWHERE: Final = bytes(_NUMBER)
_LAST: Final = b"\xff" * (1 + _DAY + _NUMBER)
"""What follows the address in a row above all rows of the same address."""


class Prefixes:
    """Prefixes of addresses of one width: 11 bytes each of IPv4, 23 of IPv6, while they are read as after."""

    __slots__ = ("_rows", "_width")

    def __init__(self, width: int, most: int) -> None:
        """Make room for `most` prefixes of addresses of `width` bytes."""
        self._width = width
        self._rows = Rows(width + len(_LAST), most)

    def append(self, first: bytes, length: int, day: int) -> None:
        """Add a prefix with its last day, an ordinal, in any order; `seal` when all are there."""
        self._rows.append(first + bytes((length,)) + day.to_bytes(_DAY, "big") + _NOWHERE)

    def seal(self) -> None:
        """Make the prefixes ready to be searched."""
        rows, width = self._rows, self._width
        rows.sort()
        around: list[tuple[int, int, int]] = []
        """Prefixes around here, outermost first: last address, last day, number of the row."""
        kept = 0
        for index in range(len(rows)):
            if index % GIVE_WAY == 0:
                sleep(0)
            row = rows[index]
            first, day = int.from_bytes(row[:width], "big"), int.from_bytes(row[width + 1 : -_NUMBER], "big")
            while around and around[-1][0] < first:
                around.pop()
            if around and day <= around[-1][1]:
                continue
            rows.put(kept, row[:-_NUMBER] + (around[-1][2] if around else 0).to_bytes(_NUMBER, "big"))
            kept += 1
            around.append((first | ((1 << self._hidden(row)) - 1), day, kept))
        rows.keep(kept)

    def find(self, address: int) -> int | None:
        """Return the last day of the prefixes around an address; None where there is none."""
        rows, width = self._rows, self._width
        number = rows.rank(address.to_bytes(width, "big") + _LAST)
        while number:
            row = rows[number - 1]
            hidden = self._hidden(row)
            if int.from_bytes(row[:width], "big") >> hidden == address >> hidden:
                return int.from_bytes(row[width + 1 : -_NUMBER], "big")
            number = int.from_bytes(row[-_NUMBER:], "big")
        return None

    def _hidden(self, row: bytes) -> int:
        return 8 * self._width - row[self._width]

    def __len__(self) -> int:
        """Return how many prefixes there are; once sealed, how many of them say something of their own."""
        return len(self._rows)


__all__ = ["Prefixes"]
