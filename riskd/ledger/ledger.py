"""Changes of lists and exemptions in the store: checked, audited, made, and taken over by this process at once.

The audit trail is written before the store: there is no change without its line. When the store then does not take the
change, a second line says so. Other processes follow the store (`follow`), every second.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final, TypeVar

from msgspec.structs import replace

from riskd.enrich.held import Mirror, list_key
from riskd.enrich.identity import Pseudonyms
from riskd.enrich.named import NamedLists, hashed_by
from riskd.errors import RequestError, RiskdError, StoreUnavailable
from riskd.ledger.wire import (
    Additions,
    ChangedEntry,
    Exemption,
    ExemptionPage,
    ExemptSubject,
    Grant,
    ListedEntry,
    ListPage,
    ListReceipt,
    ListState,
    ListStates,
    Removals,
    Withdrawal,
)
from riskd.policy import Policy
from riskd.policy.entry import canonical
from riskd.policy.named import NamedList, Of, exempts, not_exemptible
from riskd.record.audit import Change, Trail, What
from riskd.store import EXEMPTIONS, Entries, Entry

LONGEST_EXEMPTION: Final = timedelta(days=90)
Made = TypeVar("Made")
PAGE: Final = 200
"""Entries of a page, about."""
_HASH = re.compile(r"[0-9a-f]{24}")
_SAID: Final[Mapping[Of, str]] = {
    "network": "an address, a CIDR without bits after its prefix, or an ASN (AS64500)",
    "country": "two letters (ISO 3166-1)",
    "subject": "a subject's id",
    "device": "a device's id",
    "email_domain": "a domain: what stands after the @",
    "endpoint": "a path or glob that begins with / or *",
}


class Ledger:
    """All that the store holds of lists and exemptions."""

    def __init__(
        self,
        *,
        entries: Entries,
        mirror: Mirror,
        trail: Trail,
        pseudonyms: Pseudonyms,
        policy: Policy,
        named: NamedLists,
    ) -> None:
        """`mirror` is what this process decides by, `named` the lists of `policy` over it."""
        self._entries = entries
        self._mirror = mirror
        self._trail = trail
        self._pseudonyms = pseudonyms
        self._keyed = hashed_by(pseudonyms)
        self._following = asyncio.Lock()
        self.obey(policy, named)

    def obey(self, policy: Policy, named: NamedLists) -> None:
        """Take the lists and signals of another policy."""
        self._policy, self._named = policy, named

    async def follow(self, now: datetime) -> None:
        """Take over what changed in the store since the last time; raises StoreUnavailable, and then knows no less."""
        async with self._following:  # news out of order would undo what came later
            followed = self._mirror.followed()
            news = [self._entries.since(name, held.position, now.timestamp()) for name, held in followed.items()]
            for held, told in zip(followed.values(), await asyncio.gather(*news), strict=True):
                held.take(told)

    def lists(self) -> ListStates:
        """Return the lists of the policy, as this process knows them."""
        found = []
        for source in self._named.sources():
            one, counts = source.declared, source.counts()
            lifted = tuple(sorted(exempts(one)))
            found.append(ListState(name=source.name, kind=one.kind, of=one.of, exempts=lifted, entries=counts))
        return ListStates(lists=tuple(found))

    async def entries(self, name: str, cursor: int, count: int = PAGE) -> ListPage:
        """Return some entries that the store holds of a list; raises RequestError (404, 409)."""
        page, following = await self._entries.page(list_key(name, self._declared(name).of), cursor, count)
        shown = tuple(
            ListedEntry(
                entry=key,
                until=_instant(entry.until),
                author=entry.author,
                reason=entry.reason,
                added_at=datetime.fromtimestamp(entry.added, UTC),
            )
            for key, entry in page.items()
        )
        return ListPage(name=name, entries=shown, cursor=following)

    async def add(self, name: str, asked: Additions, *, author: str, now: datetime) -> ListReceipt:
        """Add entries to a list, all or none.

        Raises RequestError (404, 409, 422), RecordUnavailable when the change cannot be audited, StoreUnavailable.
        """
        declared = self._declared(name)
        until, reason = asked.until, asked.reason
        if until is not None and until <= now:
            raise RequestError("until: must lie ahead of now")
        keys = list(dict.fromkeys(self._key(declared, number, value) for number, value in enumerate(asked.values)))
        lapses = None if until is None else until.timestamp()
        entry = Entry(until=lapses, author=author, reason=reason, added=now.timestamp())
        said = [
            Change(at=now, change="entry_added", author=author, reason=reason, list=name, entry=key, until=until)
            for key in keys
        ]
        listed = list_key(name, declared.of)
        new = await self._make(said, lambda: self._entries.add(listed, dict.fromkeys(keys, entry), now.timestamp()))
        done = [
            ChangedEntry(entry=key, status="added" if is_new else "changed")
            for key, is_new in zip(keys, new, strict=True)
        ]
        return ListReceipt(name=name, entries=tuple(done))

    async def remove(self, name: str, asked: Removals, *, author: str, now: datetime) -> ListReceipt:
        """Take entries off a list; raises as `add` does."""
        declared = self._declared(name)
        listed = list_key(name, declared.of)
        keys = await self._present(listed, declared, asked.values)
        held = [key for key, is_there in keys.items() if is_there]
        said = [
            Change(at=now, change="entry_removed", author=author, reason=asked.reason, list=name, entry=key)
            for key in held
        ]
        if held:
            await self._make(said, lambda: self._entries.remove(listed, held))
        done = [ChangedEntry(entry=key, status="removed" if is_there else "absent") for key, is_there in keys.items()]
        return ListReceipt(name=name, entries=tuple(done))

    async def exemptions(self, cursor: int, count: int = PAGE) -> ExemptionPage:
        """Return some exemptions."""
        page, following = await self._entries.page(EXEMPTIONS, cursor, count)
        return ExemptionPage(exemptions=tuple(_exemption(key, entry) for key, entry in page.items()), cursor=following)

    async def grant(self, asked: Grant, *, author: str, now: datetime) -> Exemption:
        """Exempt a subject from a signal, in place of an exemption from the same one; raises as `add` does."""
        if why := not_exemptible(asked.code, self._policy.codes):
            raise RequestError(f"code: {why if asked.code in self._policy.codes else 'the policy has no such signal'}")
        if not now < asked.until <= now + LONGEST_EXEMPTION:
            raise RequestError(f"until: must lie ahead of now, by at most {LONGEST_EXEMPTION.days} days")
        subject, key = self._exempt(asked.subject, asked.code)
        entry = Entry(
            until=asked.until.timestamp(),
            author=author,
            reason=asked.reason,
            added=now.timestamp(),
            subject=subject,
            code=asked.code,
        )
        said = _said(key, entry, "exemption_granted", author, asked.reason, now)
        await self._make([said], lambda: self._entries.add(EXEMPTIONS, {key: entry}, now.timestamp()))
        return _exemption(key, entry)

    async def withdraw(self, asked: Withdrawal, *, author: str, now: datetime) -> Exemption:
        """End an exemption and return what it was; raises RequestError (404) when there is none, else as `add` does."""
        if asked.subject is not None and asked.code is not None:
            _, key = self._exempt(asked.subject, asked.code)
        else:
            key = asked.id or ""
        entry = await self._entries.find(EXEMPTIONS, key)
        if entry is None:
            raise RequestError("there is no such exemption", status=404)
        said = _said(key, entry, "exemption_withdrawn", author, asked.reason, now)
        await self._make([said], lambda: self._entries.remove(EXEMPTIONS, [key]))
        return _exemption(key, entry)

    def _declared(self, name: str) -> NamedList:
        declared = self._policy.file.lists.named.get(name)
        if declared is None:
            raise RequestError("the policy has no list of this name", status=404)
        if not declared.store:
            raise RequestError("its entries stand in the policy or a file: give it `store: true`", status=409)
        return declared

    def _key(self, declared: NamedList, number: int, value: str) -> str:
        """Return what the list keeps of a value; a message does not repeat it, for it may be secret."""
        try:
            return canonical(declared.of, value, self._keyed)
        except ValueError:
            raise RequestError(f"values.{number}: must be {_SAID[declared.of]}") from None

    async def _present(self, listed: str, declared: NamedList, values: Sequence[str]) -> dict[str, bool]:
        """Return the entry that each value means, and whether it is there; an id's hash, as shown, means itself."""
        meant = []
        for number, value in enumerate(values):
            own = {value: None} if declared.of in {"subject", "device"} and _HASH.fullmatch(value) else {}
            meant.append([self._key(declared, number, value), *own])
        keys = list(chain.from_iterable(meant))
        there = dict(zip(keys, await asyncio.gather(*(self._entries.find(listed, key) for key in keys)), strict=True))
        chosen = [next((key for key in either if there[key] is not None), either[0]) for either in meant]
        return {key: there[key] is not None for key in chosen}

    def _exempt(self, subject: ExemptSubject, code: str) -> tuple[str, str]:
        """Return the keyed hash of a subject, and the id of its exemption from a signal."""
        keyed = self._pseudonyms.listed
        return keyed(subject.id, subject.type), keyed(f"{subject.id}\0{code}", subject.type)

    async def _make(self, said: Sequence[Change], make: Callable[[], Awaitable[Made]]) -> Made:
        """Audit changes, make them, and take them over."""
        await asyncio.to_thread(self._trail.append, said)
        try:
            made = await make()
        except RiskdError as failure:
            failed = [replace(change, failed=str(failure)[:256]) for change in said]
            await asyncio.to_thread(self._trail.append, failed)
            raise
        with suppress(StoreUnavailable):  # the change is made; this process learns of it later
            await self.follow(said[0].at)
        return made


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _exemption(key: str, entry: Entry) -> Exemption:
    return Exemption(
        id=key,
        subject=entry.subject or "",
        code=entry.code or "",
        until=datetime.fromtimestamp(entry.until or 0, UTC),
        author=entry.author,
        reason=entry.reason,
        granted_at=datetime.fromtimestamp(entry.added, UTC),
    )


def _said(key: str, entry: Entry, change: What, author: str, reason: str, now: datetime) -> Change:
    return Change(
        at=now,
        change=change,
        author=author,
        reason=reason,
        entry=key,
        subject=entry.subject,
        code=entry.code,
        until=_instant(entry.until),
    )


__all__ = ["LONGEST_EXEMPTION", "PAGE", "Ledger"]
