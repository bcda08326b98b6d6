"""The rows a model learns from: a fixed-size sample of the trusted attempts of a log of any length, in one reading.

Trusted is what was confirmed, or allowed and never contradicted: no failed attempt, nothing denied, nothing an owner
disowned or an analyst called fraud.
"""

import hashlib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from riskd.contract import Reported
from riskd.facts import Facts
from riskd.record.schema import DecisionRecord, OutcomeRecord, Record

SAMPLE = 65_536
"""Rows kept, as many as a forest and its calibration need; about 150 MB of facts."""

CONTRADICTS = frozenset({
    Reported.LOGIN_FAILED, Reported.ACTION_FAILED, Reported.STEP_UP_FAILED, Reported.STEP_UP_ABANDONED,
    Reported.CONFIRMED_FRAUD, Reported.REPORTED_BY_USER,
})  # fmt: skip
"""Outcomes after which an attempt teaches nothing about honest people."""


@dataclass(slots=True)
class _Kept:
    facts: bytes
    confirmed: bool
    """An allow that nobody reports on counts too."""
    contradicted: bool = False

    @property
    def trusted(self) -> bool:
        return self.confirmed and not self.contradicted


class TrustedSample:
    """A bottom-k sample by a hash of the decision id: the same log always gives the same sample."""

    def __init__(self, size: int = SAMPLE) -> None:
        self._size = size
        self._rank: list[tuple[int, str]] = []
        self._kept: dict[str, _Kept] = {}
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Facts).decode
        self.decisions = 0
        """Decisions read."""
        self.outcomes = 0
        """Outcomes read."""

    def take(self, records: Iterable[Record]) -> None:
        """Read records in the order of time; an outcome counts when its decision came before it."""
        for record in records:
            if isinstance(record, DecisionRecord):
                self.decisions += 1
                if record.outcome != "deny":
                    self._offer(record)
            else:
                self.outcomes += 1
                self._settle(record)

    def facts(self) -> list[Facts]:
        """Return the trusted facts of the sample, in the order of time."""
        return sorted(
            (self._decode(kept.facts) for kept in self._kept.values() if kept.trusted), key=lambda facts: facts.time
        )

    def _offer(self, record: DecisionRecord) -> None:
        digest = hashlib.blake2b(record.decision_id.encode(), digest_size=8).digest()
        rank = -int.from_bytes(digest)
        if len(self._rank) >= self._size and rank <= self._rank[0][0]:
            return
        heapq.heappush(self._rank, (rank, record.decision_id))
        self._kept[record.decision_id] = _Kept(self._encode(record.facts), confirmed=record.outcome == "allow")
        if len(self._rank) > self._size:
            del self._kept[heapq.heappop(self._rank)[1]]

    def _settle(self, record: OutcomeRecord) -> None:
        kept = self._kept.get(record.decision_id)
        if kept is not None:
            kept.confirmed |= record.confirms
            kept.contradicted |= record.outcome in CONTRADICTS
