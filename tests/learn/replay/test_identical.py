"""An unchanged policy and model reproduce what was decided, to the last digit, in good days and in bad."""

from riskd.learn.replay.run import replay
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord
from tests.conftest import NOON
from tests.learn.replay.conftest import Logged, order


def test_every_decision_comes_out_as_it_was_recorded(logged: Logged) -> None:
    """Outcome, score, range, reasons, hits, unknowns, errors, anomaly, vector and evidence of all decisions agree."""
    report = replay([logged.log], order(), now=NOON)
    assert report.decisions == len(logged.decisions) == report.judged
    assert report.identical == report.judged
    assert report.differing == {}
    assert report.not_judgeable == {}
    assert report.newly_hit.decisions == report.let_go.decisions == 0
    assert report.outcomes == logged.outcomes


def test_the_log_holds_what_is_hard_to_reproduce(logged: Logged) -> None:
    """The log of these tests has degraded decisions, met evidence, all outcomes, and several in one call."""
    records = [record for record in read(logged.log) if isinstance(record, DecisionRecord)]
    down = {source for record in records for source in record.facts.down}
    assert {"store", "model"} <= down
    assert {record.outcome for record in records} == {"allow", "step_up", "deny"}
    assert any(record.evidence_met for record in records)
    assert any(record.model_version is None for record in records)
    assert any(record.facts.subject.token is None for record in records)
    assert len({record.evaluated_at for record in records}) < len(records)


def test_degraded_decisions_stay_degraded(logged: Logged) -> None:
    """What was judged without store or model is judged without it again."""
    report = replay([logged.log], order(), now=NOON)
    degraded = sum(bool(decision.degraded) for decision in logged.decisions)
    assert report.degraded == (degraded, degraded)
    assert degraded > 0
