"""A log in which nothing moves: a real one whose decisions are dealt out over the days by chance."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.features import MODEL_FEATURES
from riskd.learn.simulate.run import Simulated
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord, OutcomeRecord, Record, encode_lines

MODELS = Path(__file__).parents[3] / "models"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 42
DECISIONS = 3_000

Change = Callable[[DecisionRecord], DecisionRecord]


def day(number: int) -> datetime:
    """The beginning of a day of the log."""
    return BEGIN + timedelta(days=number)


def changed(records: Iterable[Record], change: Change, *, since: datetime) -> list[Record]:
    """The same log, otherwise from a day on."""
    return [
        change(record) if isinstance(record, DecisionRecord) and record.when >= since else record for record in records
    ]


def write(path: Path, records: Iterable[Record]) -> Path:
    """Write a log."""
    path.write_bytes(encode_lines(list(records)))
    return path


@pytest.fixture(scope="session")
def model() -> Model:
    """The shipped model."""
    return load_model(MODELS, MODEL_FEATURES)


@pytest.fixture(scope="session")
def steady(simulated: Simulated) -> list[Record]:
    """Decisions of the real engine and what was reported of them a minute later, each on a day by chance."""
    chance = Random(7)  # noqa: S311 - numbers that repeat
    records = list(read(simulated.log))
    decisions = [record for record in records if isinstance(record, DecisionRecord)]
    at = {
        record.decision_id: BEGIN + timedelta(days=DAYS * chance.random())
        for record in chance.sample(decisions, DECISIONS)
    }
    found: list[Record] = []
    for record in records:
        when = at.get(record.decision_id)
        if when is None:
            continue
        if isinstance(record, OutcomeRecord):
            told = min(when + timedelta(minutes=1), day(DAYS) - timedelta(seconds=1))
            found.append(replace(record, recorded_at=told, at=told))
        else:
            found.append(replace(record, evaluated_at=when))
    return sorted(found, key=lambda record: record.when)


@pytest.fixture(scope="session")
def steady_log(steady: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log in which nothing moves; nobody may change it."""
    return write(tmp_path_factory.mktemp("steady") / "log.jsonl", steady)
