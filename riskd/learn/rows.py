"""The rows a model learns from: a fixed-size sample of the trusted attempts of a log of any length, in one reading.

Trusted is an attempt that was allowed, or stepped up and confirmed, that nothing contradicts, and that is old enough
for a contradiction to have come: whose account was taken over often says so days later. Nothing younger teaches, proven
or not: of the last days only the oddest attempts, those that passed a step-up, are proven, and a threshold set on them
would be off.

Nobody teaches more than his share. Of each subject, device and network at most `FEWEST` rows are taken, or `SHARE` of
all, whichever is more: somebody who floods the log from his own device moves the model as far as his few rows do.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from riskd.contract import Reported
from riskd.enrich.address import parse_address
from riskd.errors import RequestError
from riskd.facts import Facts, NetworkFacts
from riskd.learn.capped import Capped, Entities, trim
from riskd.learn.replay.labels import ATTACKS
from riskd.record.schema import DecisionRecord, OutcomeRecord, Record

SAMPLE = 65_536
"""Rows kept, as many as a forest and its calibration need; about 150 MB of facts."""
ATTACK_SAMPLE = 8_192
MATURITY = timedelta(days=14)
"""How old an attempt must be to teach: owners report a takeover within days, banks a fraud within two weeks."""
FEWEST: Final = {"subject": 8, "device": 8, "network": 64}
"""Rows that each may have in a sample of any size. A person's setups are stable after 4 to 8 logins (Wiefling et al.,
TOPS 2022), so more of one subject or device says little new; behind one network stand offices and carriers."""
SHARE: Final = {"subject": 0.001, "device": 0.001, "network": 0.005}
"""Rows that each may have, of all, where that is more: so the calibration of a large log is that of its attempts."""
_OUTCOMES_PER_ROW = 4
_MOST_KINDS = 1000

CONTRADICTS = frozenset({
    Reported.LOGIN_FAILED, Reported.ACTION_FAILED, Reported.STEP_UP_FAILED, Reported.STEP_UP_ABANDONED,
    Reported.CONFIRMED_FRAUD, Reported.REPORTED_BY_USER,
})  # fmt: skip
"""Outcomes after which an attempt teaches nothing about honest people."""
_CONFIRMED, _CONTRADICTED, _ATTACK, _LEGITIMATE = 1, 2, 4, 8
LABELLED = "labelled"
"""Kind of an attack that is known by its outcome alone."""


class Kept(Struct, frozen=True):
    """One row of the sample."""

    when: datetime
    entities: Entities
    """Subject, device and network."""
    allowed: bool
    facts: bytes
    kind: str | None = None
    """Of an attack, where a truth is known."""


class Trusted(Struct, frozen=True):
    """One row to learn from."""

    rank: int
    """Hash of its decision's id, 64 bits."""
    when: datetime
    """When it was decided."""
    facts: Facts


class Kinds:
    """Which decisions are attacks, by the truth of a simulation; ten bytes an attack."""

    def __init__(self, attacks: Iterable[tuple[str, str]]) -> None:
        names: dict[str, int] = {}
        ranks, numbers = array("Q"), array("H")
        for decision_id, kind in attacks:
            # A truth of thousands of kinds is none: what is past them counts as the first.
            number = names.setdefault(kind[:40], len(names)) if len(names) < _MOST_KINDS else names.get(kind[:40], 0)
            ranks.append(rank_of(decision_id))
            numbers.append(number)
        order = np.argsort(np.array(ranks, dtype=np.uint64))
        self._ranks = np.array(ranks, dtype=np.uint64)[order]
        self._kinds = np.array(numbers, dtype=np.uint16)[order]
        self._names = tuple(names)

    def of(self, rank: int) -> str | None:
        """Return the kind of attack a decision is, None for no attack."""
        at = int(np.searchsorted(self._ranks, np.uint64(rank)))
        return self._names[self._kinds[at]] if at < len(self._ranks) and int(self._ranks[at]) == rank else None


class TrustedSample:
    """Takes records in any order; the same log always gives the same sample."""

    def __init__(
        self,
        size: int = SAMPLE,
        *,
        maturity: timedelta = MATURITY,
        now: datetime | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        kinds: Kinds | None = None,
    ) -> None:
        """Decisions with `since` ≤ time < `until` teach; what is dated after `now` is nobody's word and left out.

        With `kinds`, attacks are set aside to measure by; they are trusted or not as if that were not known.
        """
        self._maturity, self._now, self._since, self._until, self._truth = maturity, now, since, until, kinds
        most = {name: max(FEWEST[name], round(SHARE[name] * size)) for name in FEWEST}
        self._rows: Capped[Kept] = Capped(size, tuple(most.values()))
        self._attacks: Capped[Kept] = Capped(ATTACK_SAMPLE, tuple(most.values()))
        self._told: dict[int, int] = {}
        """What outcomes said of decisions whose rank is below the threshold."""
        self._most_told = _OUTCOMES_PER_ROW * size
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Facts).decode
        self.decisions = 0
        """Decisions read."""
        self.outcomes = 0
        """Outcomes read."""
        self.first: datetime | None = None
        """Time of the earliest decision of the span."""
        self.last: datetime | None = None
        """Time of the latest record: how old an attempt is counts from here."""
        self.left_out: Counter[str] = Counter()
        """Why decisions teach nothing. Of the whole log: `denied`, `in the future`, `outside the span`. Of the sample,
        once `rows` was called: `not confirmed`, `too young`, `capped`."""

    def take(self, records: Iterable[Record]) -> None:
        """Read records."""
        for record in records:
            when = record.when
            if self._now is not None and when > self._now:
                self.left_out["in the future"] += 1
                continue
            if self.last is None or when > self.last:
                self.last = when
            if isinstance(record, DecisionRecord):
                self.decisions += 1
                self._offer(record)
            else:
                self.outcomes += 1
                self._settle(record)

    def rows(self) -> list[Trusted]:
        """Return the trusted rows, in the order of time."""
        for reason in ("not confirmed", "too young", "capped"):
            del self.left_out[reason]
        ripe: list[tuple[int, Kept]] = []
        for rank, row in self._rows.items():
            why = self._doubt(rank, row)
            if why is None:
                ripe.append((rank, row))
            else:
                self.left_out[why] += 1
        # The share is taken of what is left when everybody has his fewest rows, which no flood adds to.
        fewest = len(trim(iter(ripe), tuple(FEWEST.values())))
        kept = trim(iter(ripe), tuple(max(FEWEST[name], int(SHARE[name] * fewest)) for name in FEWEST))
        self.left_out["capped"] += len(ripe) - len(kept)
        found = [Trusted(rank, row.when, self._decode(row.facts)) for rank, row in kept]
        return sorted(found, key=lambda row: (row.when, row.rank))

    def span(self) -> tuple[datetime, datetime]:
        """Return the time that teaches: from the first decision until all that comes is too young.

        Raises ValueError when there was no decision.
        """
        if self.first is None or self.last is None:
            raise ValueError("no decision was read")
        ripe = self.last - self._maturity
        return self.first, ripe if self._until is None else min(ripe, self._until)

    def facts(self) -> list[Facts]:
        """Return the facts of the trusted rows, in the order of time."""
        return [row.facts for row in self.rows()]

    def attacks(self) -> list[tuple[str, Trusted]]:
        """Return attacks with their kind: of the truth, where there is one, else those that outcomes call so."""
        found = [
            (row.kind or LABELLED, Trusted(rank, row.when, self._decode(row.facts)))
            for rank, row in self._attacks.items()
            if row.kind is not None or not self._told.get(rank, 0) & _LEGITIMATE
        ]
        return sorted(found, key=lambda attack: (attack[1].when, attack[1].rank))

    def _doubt(self, rank: int, row: Kept) -> str | None:
        if not row.allowed and not self._told.get(rank, 0) & _CONFIRMED:
            return "not confirmed"
        return "too young" if self.last is not None and row.when > self.last - self._maturity else None

    def _offer(self, record: DecisionRecord) -> None:
        since, until = self._since, self._until
        if (since is not None and record.when < since) or (until is not None and record.when >= until):
            self.left_out["outside the span"] += 1
            return
        if self.first is None or record.when < self.first:
            self.first = record.when
        rank = rank_of(record.decision_id)
        kind = None if self._truth is None else self._truth.of(rank)
        entities = _entities(record.facts)
        if kind is not None and self._attacks.wants(rank, entities):
            self._attacks.add(rank, self._kept(record, entities, kind))
        if record.outcome == "deny":
            self.left_out["denied"] += 1
            return
        told = self._told.get(rank, 0)
        if told & _CONTRADICTED:
            if told & _ATTACK and self._truth is None and self._attacks.wants(rank, entities):
                self._attacks.add(rank, self._kept(record, entities))
        elif self._rows.wants(rank, entities):
            self._rows.add(rank, self._kept(record, entities))

    def _kept(self, record: DecisionRecord, entities: Entities, kind: str | None = None) -> Kept:
        return Kept(record.when, entities, record.outcome == "allow", self._encode(record.facts), kind)

    def _settle(self, record: OutcomeRecord) -> None:
        rank = rank_of(record.decision_id)
        if rank >= self._rows.threshold:
            return
        said = _CONFIRMED * record.confirms | _LEGITIMATE * (record.outcome is Reported.CONFIRMED_LEGITIMATE)
        if record.outcome in CONTRADICTS:
            said |= _CONTRADICTED | _ATTACK * (record.outcome in ATTACKS)
            row = self._rows.discard(rank)  # its place is free for another
            if row is not None and said & _ATTACK and self._truth is None and self._attacks.wants(rank, row.entities):
                self._attacks.add(rank, row)
        self._told[rank] = self._told.get(rank, 0) | said
        if len(self._told) > self._most_told:
            self._forget()

    def _forget(self) -> None:
        """Keep what was told of ranks below the threshold; where that is nearly all, the threshold falls."""
        ranks = sorted(rank for rank in self._told if rank < self._rows.threshold)
        if len(ranks) > self._most_told // 2:
            self._rows.lower(ranks[self._most_told // 2])
        self._told = {rank: said for rank, said in self._told.items() if rank < self._rows.threshold}


def rank_of(decision_id: str) -> int:
    """Return the 64 bits that decide whether a decision is in the sample; nobody can choose them."""
    return int.from_bytes(blake2b(decision_id.encode(errors="replace"), digest_size=8).digest())


def _entities(facts: Facts) -> Entities:
    """Say whom a row is from; one that nothing is known of shares its cap with all such."""
    subject, device, network = facts.subject.token, facts.device.id, _network(facts.network)
    if subject is None and device is None and network is None:
        return None, "unknown", None
    return subject, device, network


def _network(network: NetworkFacts) -> str | None:
    """Return what is known of the address's prefix: the prefix itself, or the address as it was kept."""
    if network.key is not None and not network.key.startswith("AS"):
        return network.key  # a keyed hash of the prefix
    if network.ip is None:
        return None
    try:
        return parse_address(network.ip).prefix
    except RequestError:  # kept as a hash or as a prefix
        return network.ip


def ranks_of(rows: Iterable[Trusted]) -> npt.NDArray[np.uint64]:
    """Return the ranks as an array."""
    return np.array([row.rank for row in rows], dtype=np.uint64)
