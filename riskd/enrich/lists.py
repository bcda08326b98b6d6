"""Deny lists: addresses, prefixes and ASNs that the user, or a feed, holds against whoever comes from there.

A list is a text file, one entry a line: `203.0.113.7`, `2001:db8::/32` or `AS64500`. What follows `#` or `;` is a
comment; one that begins with `until 2026-12-31` lets the entry lapse after that day (UTC).
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

from riskd.enrich.address import Address
from riskd.enrich.entries import MAX_ENTRIES, read_entries
from riskd.enrich.prefixes import Prefixes
from riskd.enrich.watched import Watched, followed
from riskd.errors import DataError
from riskd.policy.entry import asn, dated, prefix

_BYTES = {4: 4, 6: 16}


class AddressList:
    """One list, compiled: a few microseconds to look an address up among a million entries."""

    def __init__(self, lines: Iterable[str], source: str) -> None:
        """Read the entries; raises DataError that names the first ten mistakes by line."""
        self._prefixes = {version: Prefixes(width, MAX_ENTRIES + 1) for version, width in _BYTES.items()}
        self._asns: dict[int, int] = {}

        def add(line: str) -> int:
            entry, day = dated("network", line)
            if not entry:
                return 0
            if (number := asn(entry)) is not None:
                self._asns[number] = max(day, self._asns.get(number, 0))
            else:
                version, packed, length = prefix(entry)
                self._prefixes[version].append(packed, length, day)
            return 1

        self.entries = read_entries(lines, source, add)
        """How many entries the list has."""
        for prefixes in self._prefixes.values():
            prefixes.seal()

    def holds(self, address: Address | None, asn: int | None, today: date) -> bool | None:
        """Whether an unexpired entry names the address or its ASN; None when what would tell is unknown."""
        if not self.entries:
            return None if address is None else False
        day = today.toordinal()
        if address is not None and (self._prefixes[address.version].find(address.value) or 0) >= day:
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
        like: "NetworkLists | None" = None,
    ) -> None:
        """Read all lists; raises DataError when one is missing or has a mistake.

        `digests` has the SHA-256 of each file that is to be used with this content only. What `like` has is not read
        again but shared: a file with the same digest is followed on as it is.
        """
        before = () if like is None else like.watched.values()

        def file_at(path: Path) -> Watched[AddressList]:
            digest = (digests or {}).get(path)
            return followed(path, digest, before) or Watched(path, _open, required=True, digest=digest)

        self.watched: dict[str, Watched[AddressList]] = {name: file_at(path) for name, path in (files or {}).items()}
        self.networks = tuple(denied)
        self.deny: AddressList = (
            AddressList(self.networks, "lists.deny.networks")
            if like is None or like.networks != self.networks
            else like.deny
        )

    def listed(self, address: Address | None, asn: int | None, today: date) -> tuple[str, ...] | None:
        """Return the names of the lists that hold the address or its ASN; None without lists or address."""
        if not self.watched or address is None:
            return None
        lists = ((name, watched.value) for name, watched in self.watched.items())
        return tuple(name for name, deny in lists if deny is not None and deny.holds(address, asn, today))

    def denied(self, address: Address | None, asn: int | None, today: date) -> bool | None:
        """Whether the policy itself denies the address or its ASN; None when what would tell is unknown."""
        return self.deny.holds(address, asn, today)

    def refresh(self) -> tuple[str, ...]:
        """Re-read files that changed; return one line per list whose present file is not in use.

        Reads files: not for the event loop.
        """
        for watched in self.watched.values():
            watched.refresh()
        return self.problems()

    def problems(self) -> tuple[str, ...]:
        """Return one line per list whose present file is not in use."""
        return tuple(watched.problem for watched in self.watched.values() if watched.problem)

    def files(self) -> Iterator[tuple[str, Path, int]]:
        """Yield name, file and number of entries of each list."""
        for name, watched in self.watched.items():
            yield name, watched.path, watched.value.entries if watched.value else 0


def _open(path: Path) -> AddressList:
    try:
        with path.open(encoding="utf-8") as lines:
            return AddressList(lines, str(path))
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file (UTF-8)") from None


__all__ = ["MAX_ENTRIES", "AddressList", "NetworkLists"]
