"""What stays open while policies come and go keeps to the one in use."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from riskd.app.parts import open_parts, policy_writer
from riskd.contract import Reported
from riskd.metrics import Metrics
from riskd.policy.load import load
from riskd.record.reader import read
from riskd.record.schema import OutcomeRecord
from riskd.settings import Settings
from tests.app.riskd import amend

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def record(number: int, at: datetime) -> OutcomeRecord:
    """Return a record of that moment."""
    return OutcomeRecord(
        decision_id=f"decision {number}",
        recorded_at=at,
        at=at,
        subject=None,
        outcome=Reported.LOGIN_SUCCEEDED,
        source="reported",
        decided="allow",
        confirms=True,
    )


async def test_a_log_file_that_is_open_ends_by_the_new_rules(tmp_path: Path, policy: Path) -> None:
    """A shorter age ends the file that is open at that age, a longer one keeps it open, and no record is lost."""
    settings = Settings(data_dir=tmp_path / "data", policy=policy, models_dir=tmp_path / "models")
    parts = open_parts(settings, "redis://127.0.0.1:1", load(policy), metrics=Metrics())
    log = settings.data_dir / "log"
    try:
        parts.writer.append(record(0, NOON))
        parts.writer.append(record(1, NOON + timedelta(minutes=30)))
        amend(policy, record={"rotate_every": "1h"})
        parts.obey(load(policy))
        parts.writer.append(record(2, NOON + timedelta(minutes=59)))
        assert len(list(log.glob("*.jsonl"))) == 1
        parts.writer.append(record(3, NOON + timedelta(minutes=61)))
        assert len(list(log.glob("*.jsonl"))) == 2
        amend(policy, record={"rotate_every": "24h"})
        parts.obey(load(policy))
        parts.writer.append(record(4, NOON + timedelta(hours=20)))
        assert len(list(log.glob("*.jsonl"))) == 2
    finally:
        await parts.close()
    assert [kept.decision_id for kept in read(log)] == [f"decision {number}" for number in range(5)]


@pytest.mark.parametrize(("written", "together", "apart"), [("0s", 50, 70), ("30d", 86_000, 86_500)])
def test_rotation_stays_within_reason(tmp_path: Path, policy: Path, written: str, together: int, apart: int) -> None:
    """No rule makes a file a record or a file for ever: a file ends after a minute at least and a day at most."""
    settings = Settings(data_dir=tmp_path / "data", policy=policy, models_dir=tmp_path / "models")
    amend(policy, record={"rotate_every": written})
    writer = policy_writer(settings, load(policy), Metrics())
    counts = []
    for number, seconds in enumerate((0, together, apart)):
        writer.append(record(number, NOON + timedelta(seconds=seconds)))
        counts.append(len(list((settings.data_dir / "log").glob("*.jsonl"))))
    writer.close()
    assert counts == [1, 1, 2]
