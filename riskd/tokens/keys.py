"""Who calls: API keys, `rk_<id>_<secret>`.

Only the SHA-256 of a key is kept. A slow password hash would add nothing: the secret is 256 random bits, so there is no
dictionary to try, and a leaked file cannot be turned into a key. A key is looked up by its digest, which nobody can
steer towards a stored one, and compared in constant time whether it was found or not: a wrong secret and an unknown id
take the same way.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from riskd.errors import ConfigError
from riskd.tokens.keyfile import Key, Scope, load_keys

MAX_KEY = 256
"""Bytes of the longest key that is looked at."""


class Caller(NamedTuple):
    """Who presented a key, and what the key allows."""

    name: str
    scopes: frozenset[Scope]


class _Entry(NamedTuple):
    digest: bytes
    ends: datetime | None
    caller: Caller


_NOBODY = _Entry(bytes(32), None, Caller("", frozenset()))


class KeyRing:
    """The keys of one file, as last read well."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._entries: dict[bytes, _Entry] = {}
        self.problem: str | None = None
        """Why the file's latest state is not in use; None when it is."""

    def __repr__(self) -> str:
        """Name the file, and no key in it."""
        return f"KeyRing({str(self._path)!r}, {len(self._entries)} keys)"

    @classmethod
    def load(cls, path: Path) -> "KeyRing":
        """Read the keys of a file, none when it is missing; raises ConfigError when it is damaged."""
        ring = cls(path)
        ring.refresh()
        if ring.problem is not None:
            raise ConfigError(ring.problem)
        return ring

    def refresh(self) -> bool:
        """Read the file again if it has changed and say whether new keys are in use.

        A file that is damaged or gone leaves the last good keys in use and is named in `problem`.
        """
        seen = _state(self._path)
        if seen == self._seen:
            return False
        if seen is None:
            self.problem = f"{self._path}: the key file is gone; the keys read before stay in use"
            return False
        try:
            keys = load_keys(self._path)
        except ConfigError as failure:
            self.problem = str(failure)
            return False
        self._entries = _entries(keys)
        self._seen = seen
        self.problem = None
        return True

    def verify(self, presented: str | bytes, *, now: datetime) -> Caller | None:
        """Return who presented this key; None when it is unknown, wrong, revoked, expired or no key at all.

        `now` is aware UTC.
        """
        if len(presented) > MAX_KEY:
            return None
        key = presented if isinstance(presented, bytes) else presented.encode("utf-8", "replace")
        digest = hashlib.sha256(key).digest()
        entry = self._entries.get(digest, _NOBODY)
        if not hmac.compare_digest(digest, entry.digest) or (entry.ends is not None and entry.ends <= now):
            return None
        return entry.caller


def _entries(keys: Iterable[Key]) -> dict[bytes, _Entry]:
    entries = (_Entry(bytes.fromhex(key.digest), key.ends, Caller(key.name, frozenset(key.scopes))) for key in keys)
    return {entry.digest: entry for entry in entries}


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
