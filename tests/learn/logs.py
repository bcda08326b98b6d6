"""Logs written by hand, a line a record, for tests of what is read from them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from msgspec.structs import replace

from riskd.contract import OutcomeWord, Reported
from riskd.facts import ActionFacts, DeviceFacts, Facts, NetworkFacts, SubjectFacts
from riskd.record.schema import DecisionRecord, OutcomeRecord, Record, encode_lines

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def decision_id(number: int) -> str:
    """A UUIDv7 with this number in it."""
    return str(UUID(int=(number << 80) | (7 << 76) | (2 << 62) | number))


def decision(
    number: int,
    *,
    at: datetime | None = None,
    subject: str | None = "",
    device: str | None = "",
    ip: str | None = "",
    key: str | None = "AS1",
    outcome: OutcomeWord = "allow",
    amount: float | None = None,
) -> DecisionRecord:
    """One decision; an hour after the one before, and of a subject, device and address of its own, unless told."""
    when = at or BEGIN + timedelta(hours=number)
    facts = Facts(
        time=when,
        subject=SubjectFacts(token=f"subject-{number}" if subject == "" else subject),
        action=ActionFacts(name="login", amount=amount),
        network=NetworkFacts(ip=f"address-{number}" if ip == "" else ip, key=key),
        device=DeviceFacts(id=f"device-{number}" if device == "" else device),
    )
    return DecisionRecord(
        decision_id=decision_id(number),
        evaluated_at=when,
        facts=facts,
        vector=(),
        feature_schema="",
        catalogue="",
        score=0.0,
        score_range=(0.0, 0.0),
        outcome=outcome,
        policy_revision="",
    )


def outcome(of: DecisionRecord, reported: Reported, *, confirms: bool = False, days: float = 0.0) -> OutcomeRecord:
    """What became of a decision, days later."""
    at = of.evaluated_at + timedelta(days=days, seconds=1)
    return OutcomeRecord(
        decision_id=of.decision_id, recorded_at=at, at=at, outcome=reported, source="reported", confirms=confirms
    )


def again(record: DecisionRecord, number: int, at: datetime, facts: Facts) -> DecisionRecord:
    """The same decision as another, at another time, about other facts."""
    return replace(record, decision_id=decision_id(number), evaluated_at=at, facts=replace(facts, time=at))


def write(path: Path, records: Iterable[Record]) -> Path:
    """Write a log file."""
    path.write_bytes(encode_lines(list(records)))
    return path
