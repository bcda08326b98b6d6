"""Candidates beside, signals in shadow and a tripped breaker: the log is reproduced, and the report tells of them."""

from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from riskd.learn.replay.page import page
from riskd.learn.replay.report import Report, ShadowRow
from riskd.learn.replay.run import replay
from riskd.learn.replay.table import show
from riskd.policy.load import load
from riskd.trial import Candidates
from tests.app.riskd import amend
from tests.conftest import NOON
from tests.learn.replay.conftest import POLICY, order
from tests.tried import Tried, tried

PEOPLE = [f"person {number}" for number in range(70)]
BAD = {"code": "bad", "when": 'place.country == "GB"', "weight": 0.1, "floor": "deny", "text": "Everybody at home."}
WATCHED = {"code": "watched", "when": "features.attempts_1h > 0.0", "weight": 0.5, "text": "Anything.", "shadow": True}


def written(path: Path, *signals: object) -> Path:
    """Write the shipped policy with signals of its own."""
    path.write_bytes(POLICY.read_bytes())
    amend(path, custom_signals=list(signals))
    return path


@pytest.fixture
async def log(valkey: str, tmp_path: Path) -> Tried:
    """Seventy people are denied by a bad signal until it trips; the candidate has none."""
    policy = load(written(tmp_path / "bad.yaml", BAD, WATCHED))
    candidate = load(written(tmp_path / "good.yaml"))
    async with tried(valkey, tmp_path, policy, Candidates(shadow=candidate)) as riskd:
        await riskd.settle(PEOPLE)
        await riskd.log_in(PEOPLE)
        return riskd


def replayed(log: Tried, policy: str) -> Report:
    """Replay what was judged by the bad policy."""
    folder = log.log.parent
    return replay([log.log], order(folder / policy, known=(folder / "bad.yaml",), since=NOON, model="none"), now=NOON)


async def test_it_is_reproduced(log: Tried) -> None:
    """Tripped or not, in shadow or not, each decision comes out as it was recorded."""
    report = replayed(log, "bad.yaml")
    assert (report.decisions, report.identical, report.not_judgeable) == (70, 70, {})
    assert (report.matrix[1][1], report.matrix[2][2]) == (20, 50)


async def test_it_tells_what_was_judged_beside(log: Tried) -> None:
    """Report, page and table show what the candidate would have done, and where signals in shadow hit."""
    report = replayed(log, "bad.yaml")
    revision = load(log.log.parent / "good.yaml").revision
    assert report.shadows == (
        ShadowRow(f"policy {revision}, model none", 70, ((0, 0, 0), (20, 0, 0), (50, 0, 0)), severer=0, milder=70),
    )
    assert [(row.code, row.hits, row.outcomes) for row in report.watched] == [("watched", 70, (0, 20, 50))]
    screen = StringIO()
    show(report, Console(file=screen, width=200))
    for text in (page(report), screen.getvalue(), msgspec.json.encode(report).decode()):
        assert revision in text
        assert "watched" in text
    assert "step_up → allow 20, deny → allow 50" in screen.getvalue()


async def test_what_had_tripped_says_nothing_of_another_signal(log: Tried) -> None:
    """Under a policy that declares the signal otherwise, all are judged with its full power."""
    written(log.log.parent / "other.yaml", {**BAD, "text": "Reworded."}, WATCHED)
    report = replayed(log, "other.yaml")
    assert (report.judged, report.matrix[1][2], report.matrix[2][2]) == (70, 20, 50)
