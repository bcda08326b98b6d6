"""Deny lists: addresses, prefixes and ASNs that the user, or a feed, holds against whoever comes from there.

A list is a text file, one entry a line: `203.0.113.7`, `2001:db8::/32` or `AS64500`. What follows `#` or `;` is a
comment; one that begins with `until 2026-12-31` lets the entry lapse after that day (UTC).
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from time import sleep

from riskd.enrich.address import Address
from riskd.enrich.entries import FOREVER, GIVE_WAY, MAX_ENTRIES, asn, last_day, prefix, read_entries
from riskd.enrich.ranges import Column, RangeTable, Rows, WideColumn, flatten
from riskd.enrich.watched import Watched
from riskd.errors import DataError

_BYTES = {4: 4, 6: 16}
# An entry becomes one row that sorts as flatten() wants it: first address, prefix length, last day.
_DAY_BYTES = 3


class AddressList:
    """One list, compiled: a few microseconds to look an address up among a million entries."""

    def __init__(self, lines: Iterable[str], source: str) -> None:
        """Read the entries; raises DataError that names the first ten mistakes by line."""
        rows = {version: Rows(width + 1 + _DAY_BYTES, MAX_ENTRIES + 1) for version, width in _BYTES.items()}
        self._asns: dict[int, int] = {}

        def add(line: str) -> int:
            entry = line.partition("#")[0].partition(";")[0].strip()
            if not entry:
                return 0
            day = last_day(line) if "#" in line or ";" in line else FOREVER
            if (number := asn(entry)) is not None:
                self._asns[number] = max(day, self._asns.get(number, 0))
            else:
                version, packed, length = prefix(entry)
                rows[version].append(packed + bytes((length,)) + day.to_bytes(_DAY_BYTES, "big"))
            return 1

        self.entries = read_entries(lines, source, add)
        """How many entries the list has."""
        self._tables = {version: _compile(version, column) for version, column in rows.items()}

    def holds(self, address: Address | None, asn: int | None, today: date) -> bool | None:
        """Whether an unexpired entry names the address or its ASN; None when what would tell is unknown."""
        day = today.toordinal()
        if address is not None and (self._tables[address.version].find(address.value) or 0) >= day:
            return True
        if asn is not None and self._asns.get(asn, 0) >= day:
            return True
        return None if address is None or (self._asns and asn is None and not address.private) else False


class NetworkLists:
    """The deny lists of a policy: named files, re-read when they change, and the entries in the policy itself."""

    def __init__(
        self,
        files: Mapping[str, Path] | None = None,
        denied: Iterable[str] = (),
        digests: Mapping[Path, str] | None = None,
    ) -> None:
        """Read all lists; raises DataError when one is missing or has a mistake.

        `digests` has the SHA-256 of each file that is to be used with this content only.
        """
        pinned = digests or {}
        self._lists = {
            name: Watched(path, _open, required=True, digest=pinned.get(path)) for name, path in (files or {}).items()
        }
        self._denied = AddressList(denied, "denied networks")

    def listed(self, address: Address | None, asn: int | None, today: date) -> tuple[str, ...] | None:
        """Return the names of the lists that hold the address or its ASN; None without lists or address."""
        if not self._lists or address is None:
            return None
        lists = ((name, watched.value) for name, watched in self._lists.items())
        return tuple(name for name, deny in lists if deny is not None and deny.holds(address, asn, today))

    def denied(self, address: Address | None, asn: int | None, today: date) -> bool | None:
        """Whether the policy itself denies the address or its ASN; None when what would tell is unknown."""
        return self._denied.holds(address, asn, today)

    def refresh(self) -> tuple[str, ...]:
        """Re-read files that changed; return one line per list whose present file is not in use.

        Reads files: not for the event loop.
        """
        for watched in self._lists.values():
            watched.refresh()
        return self.problems()

    def problems(self) -> tuple[str, ...]:
        """Return one line per list whose present file is not in use."""
        return tuple(watched.problem for watched in self._lists.values() if watched.problem)

    def files(self) -> Iterator[tuple[str, Path, int]]:
        """Yield name, file and number of entries of each list."""
        for name, watched in self._lists.items():
            yield name, watched.path, watched.value.entries if watched.value else 0


def _open(path: Path) -> AddressList:
    try:
        with path.open(encoding="utf-8") as lines:
            return AddressList(lines, str(path))
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file (UTF-8)") from None


def _compile(version: int, rows: Rows) -> RangeTable:
    most = 2 * len(rows)  # a prefix within another makes three ranges of two
    firsts, lasts, days = _column(version, most), _column(version, most), Column("I", most)
    rows.sort()
    for number, (first, last, day) in enumerate(flatten(_prefixes(rows, _BYTES[version])), 1):
        if number % GIVE_WAY == 0:
            sleep(0)
        firsts.append(first)
        lasts.append(last)
        days.append(day)
    return RangeTable(firsts, lasts, days)


def _column(version: int, most: int) -> Column | WideColumn:
    return WideColumn(most) if version == 6 else Column("I", most)


def _prefixes(rows: Rows, width: int) -> Iterator[tuple[int, int, int]]:
    for row in rows:
        first, hidden = int.from_bytes(row[:width], "big"), 8 * width - row[width]
        yield first, first | ((1 << hidden) - 1), int.from_bytes(row[width + 1 :], "big")


__all__ = ["MAX_ENTRIES", "AddressList", "NetworkLists"]
