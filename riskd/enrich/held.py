"""What this process knows of the entries that the store holds: named lists and exemptions, changed one by one.

A decision asks only memory. `riskd.app` follows the store; until a list was read once, nothing is known of it.
"""

from collections.abc import Callable
from math import inf
from typing import Any

from msgspec import Struct

from riskd.enrich.entries import Presented, keys_of
from riskd.policy.entry import asn, prefix
from riskd.policy.named import Of
from riskd.policy.policy import glob_matcher
from riskd.store.entries import EXEMPTIONS, News

_BITS = {4: 32, 6: 128}


class Exemption(Struct, frozen=True):
    """One exemption of a subject."""

    id: str
    until: float
    """When it lapses, seconds since 1970."""


class Held:
    """Entries of one kind, by their key, each with the time at which it lapses."""

    def __init__(self, of: Of) -> None:
        self.of = of
        self.position: int | None = None
        """The number of changes known; None before the list was read."""
        self._until: dict[str, float] = {}
        self._prefixes: dict[tuple[int, int], dict[int, float]] = {}
        """Of networks: by version and prefix length, the bits of each prefix."""
        self._globs: dict[str, Callable[[str], Any]] = {}

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._until)

    def take(self, news: News) -> None:
        """Take over what changed."""
        if news.whole:
            for clear in (self._until.clear, self._prefixes.clear, self._globs.clear):
                clear()
        for key, entry in news.changes:
            self._set(key, None if entry is None else inf if entry.until is None else entry.until)
        self.position = news.position

    def names(self, presented: Presented, now: float) -> bool | None:
        """Whether an entry that has not lapsed names the attempt; None when what would tell is unknown."""
        if not self._until:
            return False if self.position is not None else None
        if self.of == "network":
            return self._names_address(presented, now)
        if self.of == "endpoint":
            path, until = presented.path, self._until
            return path is not None and any(until[glob] > now and found(path) for glob, found in self._globs.items())
        keys = keys_of(self.of, presented)
        return None if keys is None else any(self._until.get(key, 0) > now for key in keys)

    def _names_address(self, presented: Presented, now: float) -> bool | None:
        address = presented.address
        if address is not None:
            bits = _BITS[address.version]
            for (version, length), found in self._prefixes.items():
                if version == address.version and found.get(address.value >> (bits - length), 0) > now:
                    return True
        if presented.asn is not None and self._until.get(f"AS{presented.asn}", 0) > now:
            return True
        unsaid = address is None or (presented.asn is None and not address.private and self._of_asns)
        return None if unsaid else False

    @property
    def _of_asns(self) -> bool:
        return len(self._until) > sum(map(len, self._prefixes.values()))

    def _set(self, key: str, until: float | None) -> None:
        """Put an entry in, or take it out."""
        if until is None:
            if self._until.pop(key, None) is None:
                return
        else:
            self._until[key] = until
        if self.of == "endpoint":
            if until is None:
                del self._globs[key]
            elif key not in self._globs:
                self._globs[key] = glob_matcher(key)
        elif self.of == "network" and asn(key) is None:
            version, packed, length = prefix(key)
            table = self._prefixes.setdefault((version, length), {})
            value = int.from_bytes(packed, "big") >> (_BITS[version] - length)
            if until is not None:
                table[value] = until
            else:
                del table[value]
                if not table:
                    del self._prefixes[version, length]


class Exemptions:
    """Who is exempt from what, by the keyed hash of the subject."""

    def __init__(self) -> None:
        self.position: int | None = None
        """The number of changes known; None before the exemptions were read."""
        self._of: dict[str, dict[str, Exemption]] = {}
        self._owners: dict[str, tuple[str, str]] = {}

    def __len__(self) -> int:
        """Return the number of exemptions."""
        return len(self._owners)

    def take(self, news: News) -> None:
        """Take over what changed."""
        if news.whole:
            self._of.clear()
            self._owners.clear()
        for key, entry in news.changes:
            self._drop(key)
            if entry is not None and entry.subject and entry.code and entry.until is not None:
                self._of.setdefault(entry.subject, {})[entry.code] = Exemption(key, entry.until)
                self._owners[key] = entry.subject, entry.code
        self.position = news.position

    def _drop(self, key: str) -> None:
        subject, code = self._owners.pop(key, ("", ""))
        held = self._of.get(subject)
        if held is not None and code in held and held[code].id == key:
            del held[code]
            if not held:
                del self._of[subject]

    def of(self, subject: str, now: float) -> dict[str, str]:
        """Return the codes that a subject is exempt from, each with the exemption's id."""
        held = self._of.get(subject)
        return {} if held is None else {code: one.id for code, one in held.items() if one.until > now}


class Mirror:
    """All that this process follows. Changed by one thread, the one that decides."""

    def __init__(self) -> None:
        self.exemptions = Exemptions()
        self._lists: dict[str, Held] = {}

    def list(self, name: str, of: Of) -> Held:
        """Return the entries of a named list, to be kept; unread when nobody asked for it before."""
        return self._lists.setdefault(list_key(name, of), Held(of))

    def followed(self) -> dict[str, Held | Exemptions]:
        """Return all that is followed, by the names that the store has for them."""
        return {EXEMPTIONS: self.exemptions, **self._lists}


def list_key(name: str, of: Of) -> str:
    """Return what the store calls a list: one of another kind under the same name is another list."""
    return f"{of}.{name}"


__all__ = ["Exemptions", "Held", "Mirror", "list_key"]
