"""What a log has to teach, by subject and time, on disk: memory stays the same however long the log is.

A decision teaches what its outcomes say: what confirms it makes its device, network and place known, what reports it
takes that back. Only ids that this installation's key sealed count, and they say what was decided: an id that somebody
made up teaches nothing, nor does a denied one. What else a line says is taken where it has the form that riskd writes.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from riskd.decision_id import base_of
from riskd.enrich.address import parse_address
from riskd.enrich.identity import Pseudonyms
from riskd.errors import RequestError
from riskd.learn.importing.glean import HASH, TELLING, Gleaned, Outline, form
from riskd.learn.importing.order import scratch
from riskd.learn.importing.subjects import Held, Told
from riskd.outcome import confirms
from riskd.policy import Policy
from riskd.store import Attempt

LESSON: Final = 500
"""Outcomes of one subject that are taught at a time."""
_TABLES = (
    "CREATE TABLE decision (base TEXT PRIMARY KEY, token TEXT, request TEXT, attempt BLOB) WITHOUT ROWID",
    "CREATE TABLE event (base TEXT, at REAL, outcome TEXT, verdict INT, UNIQUE (base, outcome))",
    "CREATE TABLE subject (token TEXT PRIMARY KEY, hash TEXT) WITHOUT ROWID",
    "CREATE TABLE told (id TEXT PRIMARY KEY, hash TEXT) WITHOUT ROWID",
)
_EVENT = """INSERT INTO event VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET at = min(at, excluded.at)"""
"""A log and its copy tell a thing once."""
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
        self._outlines = msgspec.msgpack.Decoder(list[Outline]).decode
        for table in _TABLES:
            self._file.execute(table)

    def take(self, gleaned: Gleaned) -> None:
        """Take what was on a block of the log."""
        self._file.execute("BEGIN")
        for outline in self._outlines(gleaned.decisions):
            self.decisions += 1
            try:
                base, _ = self._pseudonyms.sealer.open(outline.decision_id)
            except ValueError:
                self.left_out["made with other identity keys"] += 1
            else:
                self._take_decision(outline, base)
        for decision_id, at, outcome in gleaned.outcomes:
            try:
                base, verdict = self._pseudonyms.sealer.open(decision_id)
            except ValueError:
                continue
            if outcome in TELLING or confirms(outcome, verdict):
                row = (base, at, outcome.value, int(verdict))
                self._file.execute(_EVENT, row)
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
            known = replace(self._decode(attempt), subject=subject)
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

    def _take_decision(self, outline: Outline, base: str) -> None:
        if outline.token is None:
            self.left_out["of nobody: anonymous, or the store was down"] += 1
            return
        if outline.time > self._now or not HASH.fullmatch(outline.token):
            self.left_out["damaged"] += 1
            return
        attempt = self._encode(self._settled(outline, base))
        row = (base, outline.token, None if outline.request is None else f"r{outline.request}", attempt)
        try:
            self._file.execute("INSERT INTO decision VALUES (?, ?, ?, ?)", row)
        except sqlite3.IntegrityError:  # recorded twice: a repeat after a reload
            self.decisions -= 1

    def _settled(self, outline: Outline, base: str) -> Attempt:
        """Return a decision's attempt with what keys and policy say of it."""
        plan = self._policy.plan(*outline.asked)
        attempt = outline.attempt
        return replace(
            attempt,
            decision_id=base,
            address=self._address(attempt.address),
            device=self._device(attempt.device),
            sensitive=plan.sensitive,
            change=plan.change,
        )

    def _address(self, kept: str | None) -> str | None:
        """Return the key of an address as it was kept: hashed or plain; a truncated one has none."""
        if kept is None or HASH.fullmatch(kept):
            return kept
        try:
            return self._pseudonyms.ip(parse_address(kept))
        except RequestError:
            return None

    def _device(self, kept: str | None) -> str | None:
        if kept is not None and self._policy.file.record.keep.device_id == "plain":
            return self._pseudonyms.device(kept)
        return form(HASH, kept)
