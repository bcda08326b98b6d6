"""Deny lists: addresses, prefixes and ASNs that the user, or a feed, holds against whoever comes from there.

A list is a text file, one entry a line: `203.0.113.7`, `2001:db8::/32` or `AS64500`. What follows `#` or `;` is a
comment; one that begins with `until 2026-12-31` lets the entry lapse after that day (UTC).
"""

import re
import socket
from array import array
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

from riskd.enrich.address import Address
from riskd.enrich.ranges import RangeTable, WideColumn, flatten
from riskd.enrich.watched import Watched
from riskd.errors import DataError, Mistake

MAX_ENTRIES = 1_000_000
MAX_LINE = 1_000
"""Characters of a line; no honest entry and comment is longer."""
_SHOWN_MISTAKES = 10
_ASN = re.compile(r"AS([0-9]{1,10})", re.IGNORECASE)
_UNTIL = re.compile(r"[#;]\s*until\s+(\S+)", re.IGNORECASE)
# An entry becomes one number that sorts as flatten() wants it: first address, prefix length, last day.
_DAY_BITS = 20
_LENGTH_BITS = 8
_FOREVER = (1 << _DAY_BITS) - 1
_BITS = {4: 32, 6: 128}


class DenyList:
    """One list, compiled: a few microseconds to look an address up among a million entries."""

    def __init__(self, lines: Iterable[str], source: str) -> None:
        """Read the entries; raises DataError that names the first ten mistakes by line."""
        packed: dict[int, array[int] | list[int]] = {4: array("Q"), 6: []}
        self._asns: dict[int, int] = {}
        mistakes: list[Mistake] = []
        self.entries = 0
        """How many entries the list has."""
        for number, line in enumerate(lines, 1):
            try:
                self.entries += self._read(line, packed)
            except ValueError as error:
                mistakes.append(Mistake(number, "", str(error)))
            if self.entries > MAX_ENTRIES:
                mistakes.append(Mistake(number, "", f"more than {MAX_ENTRIES:,} entries"))
            if len(mistakes) == _SHOWN_MISTAKES or self.entries > MAX_ENTRIES:
                break
        if mistakes:
            raise DataError(f"{source}: " + "; ".join(map(str, mistakes)))
        self._tables = {version: _compile(version, column) for version, column in packed.items()}

    def holds(self, address: Address | None, asn: int | None, today: date) -> bool | None:
        """Whether an unexpired entry names the address or its ASN; None when what would tell is unknown."""
        day = today.toordinal()
        if address is not None and (self._tables[address.version].find(address.value) or 0) >= day:
            return True
        if asn is not None and self._asns.get(asn, 0) >= day:
            return True
        return None if address is None or (self._asns and asn is None and not address.private) else False

    def _read(self, line: str, packed: dict[int, "array[int] | list[int]"]) -> int:
        """Add the entry of one line; return how many it had."""
        if len(line) > MAX_LINE:
            raise ValueError(f"longer than {MAX_LINE} characters")
        entry = line.partition("#")[0].partition(";")[0].strip()
        if not entry:
            return 0
        last_day = _last_day(line) if "#" in line or ";" in line else _FOREVER
        if named := _ASN.fullmatch(entry):
            self._asns[int(named[1])] = max(last_day, self._asns.get(int(named[1]), 0))
        else:
            version, first, length = _prefix(entry)
            packed[version].append((first << _LENGTH_BITS | length) << _DAY_BITS | last_day)
        return 1


class NetworkLists:
    """The deny lists of a policy: named files, re-read when they change, and the entries in the policy itself."""

    def __init__(self, files: Mapping[str, Path] | None = None, denied: Iterable[str] = ()) -> None:
        """Read all lists; raises DataError when one is missing or has a mistake."""
        self._lists = {name: Watched(path, _open, required=True) for name, path in (files or {}).items()}
        self._denied = DenyList(denied, "denied networks")

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


def _open(path: Path) -> DenyList:
    try:
        with path.open(encoding="utf-8") as lines:
            return DenyList(lines, str(path))
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file (UTF-8)") from None


def _last_day(line: str) -> int:
    until = _UNTIL.search(line)
    if until is None:
        return _FOREVER
    try:
        return date.fromisoformat(until[1]).toordinal()
    except ValueError:
        raise ValueError(f"{until[1]!r} is no date; write `# until 2026-12-31`") from None


def _prefix(entry: str) -> tuple[int, int, int]:
    """Read an address or prefix: version, first address as a number, prefix length."""
    text, slash, length_text = entry.partition("/")
    version = 6 if ":" in text else 4
    bits = _BITS[version]
    try:
        packed = socket.inet_pton(socket.AF_INET6 if version == 6 else socket.AF_INET, text)
    except (OSError, ValueError):
        raise ValueError(f"{entry[:60]!r} is no address, prefix or ASN (as in AS64500)") from None
    length = bits if not slash else int(length_text) if length_text.isdecimal() and len(length_text) <= 3 else bits + 1
    first = int.from_bytes(packed, "big")
    if length > bits:
        raise ValueError(f"{entry[:60]!r}: the prefix length is not within 0 and {bits}")
    if first & ((1 << (bits - length)) - 1):
        raise ValueError(f"{entry[:60]!r} has bits set after its prefix; is a single address or a wider network meant?")
    return version, first, length


def _compile(version: int, packed: "array[int] | list[int]") -> RangeTable:
    column = WideColumn if version == 6 else lambda: array("I")
    firsts, lasts, values = column(), column(), array("I")
    for first, last, day in flatten(_unpack(sorted(packed), _BITS[version])):
        firsts.append(first)
        lasts.append(last)
        values.append(day)
    return RangeTable(firsts, lasts, values)


def _unpack(packed: list[int], bits: int) -> Iterator[tuple[int, int, int]]:
    for number in packed:
        prefix, day = number >> _DAY_BITS, number & _FOREVER
        first, length = prefix >> _LENGTH_BITS, prefix & ((1 << _LENGTH_BITS) - 1)
        yield first, first | ((1 << (bits - length)) - 1), day
