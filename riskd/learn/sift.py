"""What one process does of a training: reads a block of lines, and picks out what may come into the sample.

Most of a long log cannot: whatever ranks above what the sample holds by now (`Sift.threshold`) is counted and left
where it is. A threshold that is behind lets more through, and the sample turns it away.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from hashlib import blake2b

import msgspec
import numpy as np
from msgspec import Struct, field

from riskd.contract import OutcomeWord, Reported
from riskd.enrich.address import parse_address
from riskd.errors import RequestError
from riskd.facts import Facts, NetworkFacts
from riskd.learn.capped import Entities
from riskd.learn.replay.labels import ATTACKS, TOLD, told
from riskd.record.schema import DecisionRecord, OutcomeRecord, Record, decode_all

_MOST_KINDS = 1000

CONTRADICTS = frozenset({
    Reported.LOGIN_FAILED, Reported.ACTION_FAILED, Reported.STEP_UP_FAILED, Reported.STEP_UP_ABANDONED,
    Reported.CONFIRMED_FRAUD, Reported.REPORTED_BY_USER,
})  # fmt: skip
"""Outcomes after which an attempt teaches nothing about honest people."""
CONFIRMED, CONTRADICTED, ATTACK, LEGITIMATE = 1, 2, 4, 8
"""What an outcome says of its decision, together a sum."""


class Kept(Struct, frozen=True):
    """One decision that may come into the sample."""

    when: datetime
    entities: Entities
    """Subject, device and network."""
    outcome: OutcomeWord
    facts: bytes
    kind: str | None = None
    """Of an attack, where a truth is known."""


class Sifted(Struct):
    """What was on a block of lines."""

    decisions: int = 0
    outcomes: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Lines that are no record, by reason."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Why decisions teach nothing: `denied`, `in the future`, `outside the span`."""
    first: datetime | None = None
    """Time of the earliest decision of the span."""
    last: datetime | None = None
    """Time of the latest record."""
    found: list[tuple[int, Kept | int]] = field(default_factory=list)
    """In the order of the log, by the rank of their decision: decisions, and what outcomes say of them."""
    told: bytes = b""
    """Rows of `TOLD`, the outcomes that are labels."""

    @property
    def records(self) -> int:
        """Records read well."""
        return self.decisions + self.outcomes + self.left_out["in the future"]


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


class Sift:
    """What is done with a block; `threshold` may fall while a log is gone through."""

    def __init__(
        self, *, now: datetime | None, since: datetime | None, until: datetime | None, kinds: Kinds | None
    ) -> None:
        """As for `TrustedSample`."""
        self._now, self._since, self._until, self._truth = now, since, until, kinds
        self.threshold = 1 << 64
        """Rank from which on nothing comes into the sample, but attacks of a known kind."""

    def __call__(self, block: bytes) -> Sifted:
        """Read a block of lines; lines that are no record are counted."""
        refused: Counter[str] = Counter()
        sifted = self.sift(list(decode_all(block.splitlines(), refused)))
        sifted.refused = refused
        return sifted

    def sift(self, records: Iterable[Record]) -> Sifted:
        """Pick out of records what may come into the sample."""
        sifted = Sifted()
        labels = []
        encode = msgspec.msgpack.Encoder().encode
        for record in records:
            if isinstance(record, OutcomeRecord) and (label := told(record)) is not None:
                labels.append(label)
            when = record.when
            if self._now is not None and when > self._now:
                sifted.left_out["in the future"] += 1
                continue
            if sifted.last is None or when > sifted.last:
                sifted.last = when
            if isinstance(record, DecisionRecord):
                sifted.decisions += 1
                self._decision(record, sifted, encode)
            else:
                sifted.outcomes += 1
                rank = rank_of(record.decision_id)
                if rank < self.threshold:
                    sifted.found.append((rank, _said(record)))
        sifted.told = np.array(labels, TOLD).tobytes()
        return sifted

    def _decision(self, record: DecisionRecord, sifted: Sifted, encode: Callable[[Facts], bytes]) -> None:
        when, since, until = record.when, self._since, self._until
        if (since is not None and when < since) or (until is not None and when >= until):
            sifted.left_out["outside the span"] += 1
            return
        if sifted.first is None or when < sifted.first:
            sifted.first = when
        rank = rank_of(record.decision_id)
        kind = None if self._truth is None else self._truth.of(rank)
        denied = record.outcome == "deny"
        if denied:
            sifted.left_out["denied"] += 1
        if kind is not None or (rank < self.threshold and not denied):
            row = Kept(when, _entities(record.facts), record.outcome, encode(record.facts), kind)
            sifted.found.append((rank, row))


def _said(record: OutcomeRecord) -> int:
    said = CONFIRMED * record.confirms | LEGITIMATE * (record.outcome is Reported.CONFIRMED_LEGITIMATE)
    if record.outcome in CONTRADICTS:
        said |= CONTRADICTED | ATTACK * (record.outcome in ATTACKS)
    return said


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
