"""The rows a model learns from: a fixed-size sample of the trusted attempts of a log of any length, in one reading.

Trusted is an attempt that was allowed, or stepped up and confirmed, that nothing contradicts, and that is old enough
for a contradiction to have come: whose account was taken over often says so days later. Nothing younger teaches, proven
or not: of the last days only the oddest attempts, those that passed a step-up, are proven, and a threshold set on them
would be off.

Nobody teaches more than his share. Of each subject, device and network at most `FEWEST` rows are taken, or `SHARE` of
all, whichever is more: somebody who floods the log from his own device moves the model as far as his few rows do.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from riskd.facts import Facts
from riskd.learn.capped import Capped, trim
from riskd.learn.sift import ATTACK, CONFIRMED, CONTRADICTED, LEGITIMATE, Kept, Kinds, Sift, Sifted
from riskd.learn.words import Words
from riskd.record.schema import Record

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
_OUTCOMES_PER_ROW = 64
"""Words that are kept, nine bytes each, for a row: of an attack that fails sixty times as often as others log in."""
LABELLED = "labelled"
"""Kind of an attack that is known by its outcome alone."""
_EARLIEST = datetime.min.replace(tzinfo=UTC)


class Trusted(Struct, frozen=True):
    """One row to learn from."""

    rank: int
    """Hash of its decision's id, 64 bits."""
    when: datetime
    """When it was decided."""
    facts: Facts


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
        self._maturity, self._until, self._truth = maturity, until, kinds
        self.sift = Sift(now=now, since=since, until=until, kinds=kinds)
        """What is done with each block of the log."""
        most = {name: max(FEWEST[name], round(SHARE[name] * size)) for name in FEWEST}
        self._rows: Capped[Kept] = Capped(size, tuple(most.values()))
        self._attacks: Capped[Kept] = Capped(ATTACK_SAMPLE, tuple(most.values()))
        self._told = Words()
        """What outcomes said of decisions whose rank is below the threshold."""
        self._most_told = _OUTCOMES_PER_ROW * size
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
        self.add(self.sift.sift(records))

    def add(self, sifted: Sifted) -> None:
        """Take what was on a block."""
        self.decisions += sifted.decisions
        self.outcomes += sifted.outcomes
        self.left_out.update(sifted.left_out)
        self.first = min(filter(None, (self.first, sifted.first)), default=None)
        self.last = max(filter(None, (self.last, sifted.last)), default=None)
        for rank, found in sifted.found:
            if isinstance(found, Kept):
                self._offer(rank, found)
            else:
                self._settle(rank, found)
        self.sift.threshold = self._rows.threshold

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
        ripe = self._ripe(self.last)
        return self.first, ripe if self._until is None else min(ripe, self._until)

    def facts(self) -> list[Facts]:
        """Return the facts of the trusted rows, in the order of time."""
        return [row.facts for row in self.rows()]

    def attacks(self) -> list[tuple[str, Trusted]]:
        """Return attacks with their kind: of the truth, where there is one, else those that outcomes call so."""
        found = [
            (row.kind or LABELLED, Trusted(rank, row.when, self._decode(row.facts)))
            for rank, row in self._attacks.items()
            if row.kind is not None or not self._told.of(rank) & LEGITIMATE
        ]
        return sorted(found, key=lambda attack: (attack[1].when, attack[1].rank))

    def _doubt(self, rank: int, row: Kept) -> str | None:
        if row.outcome != "allow" and not self._told.of(rank) & CONFIRMED:
            return "not confirmed"
        return "too young" if self.last is not None and row.when > self._ripe(self.last) else None

    def _ripe(self, last: datetime) -> datetime:
        """Return until when attempts are old enough; dates of records reach back to the first there is."""
        return last - self._maturity if last - _EARLIEST > self._maturity else _EARLIEST

    def _offer(self, rank: int, row: Kept) -> None:
        if row.kind is not None and self._attacks.wants(rank, row.entities):
            self._attacks.add(rank, row)
        if row.outcome == "deny":
            return
        told = self._told.of(rank)
        if told & CONTRADICTED:
            if told & ATTACK and self._truth is None and self._attacks.wants(rank, row.entities):
                self._attacks.add(rank, row)
        elif self._rows.wants(rank, row.entities):
            self._rows.add(rank, row)

    def _settle(self, rank: int, said: int) -> None:
        if rank >= self._rows.threshold:
            return
        if said & CONTRADICTED:
            row = self._rows.discard(rank)  # its place is free for another
            if row is not None and said & ATTACK and self._truth is None and self._attacks.wants(rank, row.entities):
                self._attacks.add(rank, row)
        self._told.add(rank, said)
        if len(self._told) > self._most_told:
            self._forget()

    def _forget(self) -> None:
        """Keep what was told of ranks below the threshold; where that is nearly all, the threshold falls."""
        self._told.forget_from(self._rows.threshold)
        if len(self._told) > self._most_told // 2:
            self._rows.lower(self._told.rank_at(self._most_told // 2))
            self._told.forget_from(self._rows.threshold)
