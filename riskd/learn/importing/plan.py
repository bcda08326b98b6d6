"""What a log has to teach, by subject and time, on disk: memory stays the same however long the log is.

A decision teaches what its outcomes say: what confirms it makes its device, network and place known, what reports it
takes that back. Only ids that this installation's key sealed count, and they say what was decided: an id that somebody
made up teaches nothing, nor does a denied one. What else a line says is taken where it has the form that riskd writes.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from riskd.contract import Reported
from riskd.decision_id import base_of
from riskd.enrich.address import parse_address
from riskd.enrich.identity import Pseudonyms
from riskd.errors import RequestError
from riskd.facts import PlaceFacts
from riskd.learn.importing.order import scratch
from riskd.learn.importing.subjects import Held, Told
from riskd.outcome import confirms
from riskd.policy import Policy
from riskd.record.schema import DecisionRecord, Record
from riskd.store import Attempt

REPORTS: Final = frozenset({Reported.CONFIRMED_FRAUD, Reported.REPORTED_BY_USER})
TELLING: Final = REPORTS | {Reported.CONFIRMED_LEGITIMATE}
"""Outcomes that teach after any verdict: reports, and what sets them aside."""
LESSON: Final = 500
"""Outcomes of one subject that are taught at a time."""
MAX_FAMILY: Final = 128
"""Characters of the longest family that is taught."""
_HASH = re.compile(r"[0-9a-f]{24}")
_NETWORK = re.compile(r"AS\d{1,10}|[0-9a-f]{24}")
_COUNTRY, _LANGUAGE, _CURRENCY = re.compile(r"[A-Z]{2}"), re.compile(r"[a-z]{2,8}"), re.compile(r"[A-Z]{3}")
_CLIENT, _KIND = re.compile(r"[^\x00-\x1f]{1,256}"), re.compile(r"[a-z]{1,16}")
_TABLES = (
    "CREATE TABLE decision (base TEXT PRIMARY KEY, token TEXT, request TEXT, attempt BLOB) WITHOUT ROWID",
    "CREATE TABLE event (base TEXT, at REAL, outcome TEXT, verdict INT)",
    "CREATE TABLE subject (token TEXT PRIMARY KEY, hash TEXT) WITHOUT ROWID",
    "CREATE TABLE told (id TEXT PRIMARY KEY, hash TEXT) WITHOUT ROWID",
)
_MAP_TOLD = """INSERT OR IGNORE INTO subject
    SELECT decision.token, told.hash FROM told JOIN decision ON {column} = told.id"""
_UNMAPPED = """SELECT count(DISTINCT decision.token), count(*) FROM event JOIN decision USING (base)
    WHERE decision.token NOT IN (SELECT token FROM subject)"""
_IN_ORDER = """SELECT subject.hash, decision.attempt, event.at, event.outcome, event.verdict
    FROM event JOIN decision USING (base) JOIN subject USING (token) ORDER BY subject.hash, event.at, event.rowid"""


class Event(Struct, frozen=True):
    """One outcome that teaches, with its attempt."""

    attempt: Attempt
    outcome: str
    verdict: int
    at: float


class Lesson(Struct, frozen=True):
    """Up to `LESSON` outcomes of one subject, in the order of time."""

    subject: str
    """Keyed hash of the id."""
    events: list[Event]


class Plan:
    """Takes a log and the map of its subjects, in any order; then yields lessons."""

    def __init__(self, folder: Path, policy: Policy, pseudonyms: Pseudonyms, now: datetime) -> None:
        """Keep it in a file in `folder`, with what the policy says of actions and of what records keep."""
        self._now = now
        self.decisions = 0
        """Decisions of the log."""
        self.left_out: Counter[str] = Counter()
        """Decisions that cannot teach, by reason."""
        self._file = scratch(folder / "plan.sqlite")
        self._policy = policy
        self._pseudonyms = pseudonyms
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Attempt).decode
        for table in _TABLES:
            self._file.execute(table)

    def take(self, records: Iterable[Record]) -> None:
        """Read a log."""
        self._file.execute("BEGIN")
        for record in records:
            try:
                base, verdict = self._pseudonyms.sealer.open(record.decision_id)
            except ValueError:
                if isinstance(record, DecisionRecord):
                    self.decisions += 1
                    self.left_out["made with other identity keys"] += 1
                continue
            if isinstance(record, DecisionRecord):
                self.decisions += 1
                self._take_decision(record, base)
            elif record.outcome in TELLING or confirms(record.outcome, verdict):
                row = (base, record.at.timestamp(), record.outcome.value, int(verdict))
                self._file.execute("INSERT INTO event VALUES (?, ?, ?, ?)", row)
        self._file.execute("COMMIT")

    def map_held(self, pairs: Iterable[Held]) -> None:
        """Take a map of tokens; what is known already stays."""
        rows = ((pair.token, pair.subject) for pair in pairs)
        self._many("INSERT OR IGNORE INTO subject VALUES (?, ?)", rows)

    def map_told(self, told: Iterable[Told]) -> None:
        """Take whose decisions were, once the log is read."""
        rows = ((base_of(one.id) if one.by == "decision_id" else f"r{one.id}", one.subject) for one in told)
        self._many("INSERT OR IGNORE INTO told VALUES (?, ?)", rows)
        self._file.execute("CREATE INDEX IF NOT EXISTS by_request ON decision (request) WHERE request IS NOT NULL")
        for column in ("decision.base", "decision.request"):
            self._file.execute(_MAP_TOLD.format(column=column))

    def unmapped(self) -> tuple[int, int]:
        """Return how many subjects nobody knows the owners of, and how many outcomes of theirs cannot be taught."""
        subjects, events = self._file.execute(_UNMAPPED).fetchone()
        return subjects, events

    def lessons(self) -> Iterator[Lesson]:
        """Yield what can be taught, subject after subject, each in the order of time."""
        lesson: Lesson | None = None
        for subject, attempt, at, outcome, verdict in self._file.execute(_IN_ORDER):
            if lesson is not None and (lesson.subject != subject or len(lesson.events) >= LESSON):
                yield lesson
                lesson = None
            if lesson is None:
                lesson = Lesson(subject, [])
            known = msgspec.structs.replace(self._decode(attempt), subject=subject)
            lesson.events.append(Event(known, outcome, verdict, at))
        if lesson is not None:
            yield lesson

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _many(self, statement: str, rows: Iterable[tuple[str, str]]) -> None:
        self._file.execute("BEGIN")
        try:
            self._file.executemany(statement, rows)
        finally:
            self._file.execute("COMMIT")

    def _take_decision(self, record: DecisionRecord, base: str) -> None:
        token = record.facts.subject.token
        if token is None:
            self.left_out["of nobody: anonymous, or the store was down"] += 1
            return
        if record.facts.time > self._now or not _HASH.fullmatch(token):
            self.left_out["damaged"] += 1
            return
        attempt = self._encode(self._attempt(record, base, token))
        row = (base, token, None if record.request_id is None else f"r{record.request_id}", attempt)
        try:
            self._file.execute("INSERT INTO decision VALUES (?, ?, ?, ?)", row)
        except sqlite3.IntegrityError:  # recorded twice: a repeat after a reload
            self.decisions -= 1

    def _attempt(self, record: DecisionRecord, base: str, token: str) -> Attempt:
        """Return a decision's attempt as it was counted, as far as its record still says."""
        facts = record.facts
        action, network, place, device = facts.action, facts.network, facts.place, facts.device
        plan = self._policy.plan(action.name, action.path, action.method, action.resource_type)
        located = _is_place(place)
        currency = _of(_CURRENCY, action.currency)
        return Attempt(
            decision_id=base,
            now=facts.time.timestamp(),
            token=token,
            subject="",
            address=self._address(network.ip),
            network=_of(_NETWORK, network.key),
            device=self._device(device.id),
            family=_family(device.family),
            country=_of(_COUNTRY, place.country),
            language=_of(_LANGUAGE, device.language),
            recipient=_of(_HASH, action.recipient),
            session=_of(_HASH, facts.subject.session),
            latitude=place.latitude if located else None,
            longitude=place.longitude if located else None,
            accuracy_km=place.accuracy_km if located else None,
            vague=bool(network.tor or network.proxy or network.relay or network.mobile),
            rtt_ms=device.rtt_ms,
            amount=action.amount if currency is not None else None,
            currency=currency,
            sensitive=plan.sensitive,
            change=plan.change,
            client=None if _family(device.family) is None else _of(_CLIENT, device.client),
            os_family=_family(device.os_family),
            kind=_of(_KIND, device.kind),
            browser_major=device.browser_major if 0 <= (device.browser_major or 0) < 10**6 else None,
        )

    def _address(self, kept: str | None) -> str | None:
        """Return the key of an address as it was kept: hashed or plain; a truncated one has none."""
        if kept is None or _HASH.fullmatch(kept):
            return kept
        try:
            return self._pseudonyms.ip(parse_address(kept))
        except RequestError:
            return None

    def _device(self, kept: str | None) -> str | None:
        if kept is not None and self._policy.file.record.keep.device_id == "plain":
            return self._pseudonyms.device(kept)
        return _of(_HASH, kept)


def _of(form: re.Pattern[str], text: str | None) -> str | None:
    """Return a text that has the form; None for any other."""
    return text if text is not None and form.fullmatch(text) else None


def _family(family: str | None) -> str | None:
    """Return a family; None for one that was masked in the record: a store does not know it by that."""
    return None if family is None or len(family) > MAX_FAMILY or _HASH.fullmatch(family) else family


def _is_place(place: PlaceFacts) -> bool:
    if place.latitude is None or place.longitude is None:
        return False
    return abs(place.latitude) <= 90 and abs(place.longitude) <= 180 and (place.accuracy_km or 0) >= 0
