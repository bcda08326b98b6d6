"""Entries of a named list as a policy or file gives them: compiled once, asked many times."""

from array import array
from collections.abc import Callable, Iterable
from datetime import date
from hashlib import blake2b
from typing import Any, Protocol

from riskd.enrich.entries import MAX_ENTRIES, Presented, keys_of, read_entries
from riskd.enrich.lists import AddressList
from riskd.enrich.rows import Rows
from riskd.policy.entry import Hash, canonical, dated
from riskd.policy.named import MAX_GLOBS, Of
from riskd.policy.policy import glob_matcher

_DIGEST_BYTES = 12
_DAY_BYTES = 3
_LAST = b"\xff" * _DAY_BYTES


class Entries(Protocol):
    """Some entries of one list."""

    entries: int
    """How many there are."""

    def names(self, presented: Presented, today: date) -> bool | None:
        """Whether an unexpired entry names the attempt; None when what would tell is unknown."""


class Addresses:
    """CIDRs, addresses and ASNs."""

    def __init__(self, lines: Iterable[str], source: str) -> None:
        """Read the entries; raises DataError."""
        self._list = AddressList(lines, source)
        self.entries = self._list.entries

    def names(self, presented: Presented, today: date) -> bool | None:
        """Look up the address and its ASN."""
        return self._list.holds(presented.address, presented.asn, today)


class Keys:
    """Countries, subjects, devices or e-mail domains: a digest of each, 15 bytes an entry."""

    def __init__(self, of: Of, lines: Iterable[str], source: str, keyed: Hash) -> None:
        """Read the entries; raises DataError."""
        rows = Rows(_DIGEST_BYTES + _DAY_BYTES, MAX_ENTRIES + 1)

        def add(line: str) -> int:
            entry, day = dated(of, line)
            if not entry:
                return 0
            rows.append(_digest(of, canonical(of, entry, keyed)) + day.to_bytes(_DAY_BYTES, "big"))
            return 1

        self.entries = read_entries(lines, source, add)
        rows.sort()
        rows.keep(len(rows))
        self._of, self._rows = of, rows

    def names(self, presented: Presented, today: date) -> bool | None:
        """Look up what the attempt presents; of an e-mail domain the domains above it, too."""
        keys = keys_of(self._of, presented)
        if not self.entries:
            return False
        return None if keys is None else any(self._day(key) >= today.toordinal() for key in keys)

    def _day(self, key: str) -> int:
        """Return the last day of an entry; 0 for none. Of several of one key the latest stands last."""
        digest = _digest(self._of, key)
        at = self._rows.rank(digest + _LAST)
        row = self._rows[at - 1] if at else b""
        return int.from_bytes(row[_DIGEST_BYTES:], "big") if row.startswith(digest) else 0


class Globs:
    """Endpoints: up to `MAX_GLOBS` globs."""

    def __init__(self, lines: Iterable[str], source: str, keyed: Hash) -> None:
        """Read the entries; raises DataError."""
        self._globs: list[Callable[[str], Any]] = []
        self._days = array("I")

        def add(line: str) -> int:
            entry, day = dated("endpoint", line)
            if not entry:
                return 0
            self._globs.append(glob_matcher(canonical("endpoint", entry, keyed)))
            self._days.append(day)
            return 1

        self.entries = read_entries(lines, source, add, MAX_GLOBS)

    def names(self, presented: Presented, today: date) -> bool | None:
        """Match the path; an attempt without one is on no endpoint."""
        path, day = presented.path, today.toordinal()
        if path is None:
            return False
        return any(last >= day and glob(path) for glob, last in zip(self._globs, self._days, strict=True))


def compiled(of: Of, lines: Iterable[str], source: str, keyed: Hash) -> Entries:
    """Read the entries of a list; raises DataError that names the first ten mistakes by line, after `source`."""
    if of == "network":
        return Addresses(lines, source)
    if of == "endpoint":
        return Globs(lines, source, keyed)
    return Keys(of, lines, source, keyed)


def _digest(of: Of, key: str) -> bytes:
    if of in {"subject", "device"}:  # a keyed hash already
        return bytes.fromhex(key)
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


__all__ = ["Entries", "compiled"]
