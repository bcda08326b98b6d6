"""What tests of importing share: an import as the command does it, on a policy and identity of their own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from riskd.enrich.geo import Geo
from riskd.learn.importing.play import Imported, play
from riskd.learn.importing.row import Reading, Row
from riskd.learn.importing.told import ToldEnricher
from riskd.policy import Policy
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord, OutcomeRecord
from tests.conftest import IDENTITY

NOW = datetime(2026, 11, 2, tzinfo=UTC)
DATA = Path(__file__).parents[2] / "data"


@dataclass
class Log:
    """An import, and its records."""

    done: Imported
    decisions: list[DecisionRecord]
    outcomes: dict[str, list[OutcomeRecord]]


def judged(rows: Iterable[Row], reading: Reading, out: Path, policy: Policy) -> Log:
    """Play rows against the real engine and read the log that they leave."""
    enricher = ToldEnricher(IDENTITY, Geo(out.parent))
    done = play(rows, reading, out, policy=policy, model=None, enricher=enricher, pseudonyms=IDENTITY)
    decisions, outcomes = [], dict[str, list[OutcomeRecord]]()
    for record in read(done.log):
        if isinstance(record, DecisionRecord):
            decisions.append(record)
        else:
            outcomes.setdefault(record.decision_id, []).append(record)
    return Log(done, decisions, outcomes)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file and return its path."""

    def make(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return make
