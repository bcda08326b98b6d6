"""Entries of lists that live in the store: changed all or none, read by page, followed change by change.

Whoever follows a list asks for its number of changes, which costs next to nothing, and only when that grew for the
changes themselves; after a gap, or when the store came back with fewer, for the whole list. So every follower converges
to what the store holds, one look behind it. Entries that have lapsed are dropped by whoever reads a list whole.
"""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from riskd.errors import RequestError, StoreUnavailable
from riskd.store.keys import Keys
from riskd.store.link import Reply
from riskd.store.script import ENTRIES, Script

MAX_STORED: Final = 100_000
"""Entries of one list in the store; longer lists are files."""
MAX_EXEMPTIONS: Final = 10_000
"""Exemptions alive at once: each worker keeps them in memory."""
EXEMPTIONS: Final = "exemptions"
"""The list of all exemptions."""
CHANGES_KEPT: Final = 4096
"""Changes after which a follower that missed them reads the whole list."""
KEPT_S: Final = 400 * 86_400
"""Seconds for which a list is kept that nobody follows or changes any more."""
_RENEW_S: Final = 86_400
_PAGE: Final = 1000
_AT_ONCE: Final = 500


class Entry(Struct, frozen=True, array_like=True):
    """One entry of a list."""

    until: float | None
    """When it lapses, seconds since 1970; None: never."""
    author: str
    """Name of the API key by which it came."""
    reason: str
    added: float
    """When it came, seconds since 1970."""
    subject: str | None = None
    """Of an exemption: keyed hash of the subject."""
    code: str | None = None
    """Of an exemption: the signal."""

    def alive(self, now: float) -> bool:
        """Whether it has not lapsed at `now`."""
        return self.until is None or self.until > now


class News(Struct, frozen=True):
    """What a follower of a list does not know yet."""

    position: int
    """The number of changes with which it knows all."""
    whole: bool
    """These are all entries, not only what changed."""
    changes: Sequence[tuple[str, Entry | None]]
    """Keys and entries in order; None for one that is gone."""


class _Run(Protocol):
    def __call__(self, script: Script, keys: list[str], *arguments: str | bytes | int) -> Awaitable[Reply]: ...


class _Send(Protocol):
    def __call__(self, key: str, name: str, *arguments: str | bytes | float) -> Awaitable[Reply]: ...


class Entries:
    """The lists in a store. `StoreUnavailable` is raised as for everything that asks it."""

    def __init__(self, run: _Run, send: _Send, keys: Keys) -> None:
        """`run` runs a script on keys, `send` sends one command about a key."""
        self._run, self._send = run, send
        self._keys = keys
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Entry).decode
        self._renew_at: dict[str, float] = {}

    async def add(self, name: str, entries: Mapping[str, Entry], now: float) -> list[bool]:
        """Put entries into a list, in place of those with the same keys; say of each whether it is new.

        All or none: raises RequestError (409) when they do not fit.
        """
        pairs: list[str | bytes] = []
        for key, entry in entries.items():
            pairs += (key, self._encode(entry))
        full, *new = await self._change(name, "add", pairs)
        if full:
            await self._whole(name, now)  # drops what has lapsed
            full, *new = await self._change(name, "add", pairs)
        if full:
            raise RequestError(f"the list is full: it holds at most {_most(name):,} entries", status=409)
        return [one == 1 for one in new]

    async def remove(self, name: str, keys: Iterable[str]) -> list[bool]:
        """Take entries out of a list; say of each key whether it was there."""
        pairs: list[str | bytes] = []
        for key in keys:
            pairs += (key, b"")
        _, *gone = await self._change(name, "remove", pairs)
        return [one == 1 for one in gone]

    async def find(self, name: str, key: str) -> Entry | None:
        """Return one entry of a list."""
        kept = await self._send(self._keys.listed(name)[0], "HGET", key)
        return None if kept is None else self._read(kept)

    async def size(self, name: str) -> int:
        """Return how many entries a list holds, lapsed ones that nobody dropped yet included."""
        return int(await self._send(self._keys.listed(name)[0], "HLEN"))

    async def page(self, name: str, cursor: int, count: int = _PAGE) -> tuple[dict[str, Entry], int]:
        """Return some entries of a list, about `count`, and the cursor of the next page: begin and end are 0.

        What is in the list all the while comes at least once.
        """
        following, flat = await self._send(self._keys.listed(name)[0], "HSCAN", cursor, "COUNT", count)
        pairs = zip(islice(flat, 0, None, 2), islice(flat, 1, None, 2), strict=True)
        return {key.decode(): self._read(value) for key, value in pairs}, int(following)

    async def since(self, name: str, position: int | None, now: float) -> News:
        """Return what changed since a position; everything for None, after a gap and after a loss."""
        _, count, changes = self._keys.listed(name)
        held = int(await self._send(count, "GET") or 0)
        if now >= self._renew_at.get(name, 0):
            self._renew_at[name] = now + _RENEW_S
            for key in self._keys.listed(name):
                await self._send(key, "EXPIRE", KEPT_S)
        if position is None or held < position:
            return News(held, whole=True, changes=list((await self._whole(name, now)).items()))
        if held == position:
            return News(position, whole=False, changes=())
        messages = await self._send(changes, "XRANGE", f"{position + 1}-0", "+", "COUNT", CHANGES_KEPT)
        if not messages or _number(messages[0]) != position + 1:
            return News(held, whole=True, changes=list((await self._whole(name, now)).items()))
        news = [(key.decode(), self._read(value) if value else None) for _, (key, value) in messages]
        return News(_number(messages[-1]), whole=False, changes=news)

    async def _whole(self, name: str, now: float) -> dict[str, Entry]:
        """Return every entry that is alive, and drop the others."""
        found: dict[str, Entry] = {}
        cursor = 0
        while True:
            page, cursor = await self.page(name, cursor)
            found |= page
            if not cursor:
                break
        lapsed = [key for key, entry in found.items() if not entry.alive(now)]
        for first in range(0, len(lapsed), _AT_ONCE):
            await self.remove(name, lapsed[first : first + _AT_ONCE])
        for key in lapsed:
            del found[key]
        return found

    async def _change(self, name: str, what: str, pairs: list[str | bytes]) -> list[int]:
        keys = list(self._keys.listed(name))
        told: list[int] = await self._run(ENTRIES, keys, what, _most(name), CHANGES_KEPT, KEPT_S, *pairs)
        return told

    def _read(self, packed: bytes) -> Entry:
        try:
            return self._decode(packed)
        except msgspec.DecodeError as error:
            raise StoreUnavailable(f"the store holds what riskd did not write ({error})") from error


def _most(name: str) -> int:
    return MAX_EXEMPTIONS if name == EXEMPTIONS else MAX_STORED


def _number(message: Reply) -> int:
    """Return the number of a change: the first half of its id."""
    return int(message[0].partition(b"-")[0])


__all__ = ["EXEMPTIONS", "MAX_EXEMPTIONS", "MAX_STORED", "Entries", "Entry", "News"]
