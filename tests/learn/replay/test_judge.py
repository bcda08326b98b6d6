"""The pass that replay and tuning share: what is judged, and what other thresholds would make of it."""

from pathlib import Path

import pytest

from riskd.anomaly.load import load_model
from riskd.evaluation import evaluate
from riskd.features import MODEL_FEATURES
from riskd.learn.replay.judge import BATCH, Judged, judge
from riskd.policy.load import load
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord
from tests.learn.replay.conftest import MODELS, POLICY, Logged, amended


@pytest.fixture(scope="module")
def judged(logged: Logged) -> list[Judged]:
    """The log under the shipped policy and model."""
    records = (record for record in read(logged.log) if isinstance(record, DecisionRecord))
    return list(judge(records, load(POLICY), load_model(MODELS, MODEL_FEATURES)))


def test_batches_are_judged_as_single_attempts(logged: Logged, judged: list[Judged]) -> None:
    """Records come back in their order, each with the very evaluation that it gets alone."""
    records = [record for record in read(logged.log) if isinstance(record, DecisionRecord)]
    assert [one.record for one in judged] == records
    policy, model = load(POLICY), load_model(MODELS, MODEL_FEATURES)
    for one in judged[::7]:
        if one.record.model_version is not None:
            again = evaluate(one.record.facts, policy, model)
            assert (again.score, again.vector, again.outcome) == (
                one.evaluation.score,
                one.evaluation.vector,
                one.evaluation.outcome,
            )
    assert len(records) <= BATCH or judged[BATCH].record == records[BATCH]


@pytest.mark.parametrize(("step_up", "deny"), [(0, 100), (10, 20), (30, 95), (50, 85), (99, 99), (0, 0)])
def test_other_thresholds_need_no_new_judging(judged: list[Judged], tmp_path: Path, step_up: int, deny: int) -> None:
    """`outcome_at` is what a policy with these thresholds decides: floors, fail mode and evidence counted."""
    text = POLICY.read_text(encoding="utf-8")
    own = "    thresholds: {step_up: 35, deny: 85}\n"
    assert own in text
    path = amended(tmp_path, ("  step_up: 50\n  deny: 85\n", f"  step_up: {step_up}\n  deny: {deny}\n"), (own, ""))
    policy, model = load(path), load_model(MODELS, MODEL_FEATURES)
    records = [one.record for one in judged]
    for one, other in zip(judged, judge(records, policy, model), strict=True):
        assert one.outcome_at(step_up, deny) is other.evaluation.outcome


def test_as_judged_at_its_own_thresholds(judged: list[Judged]) -> None:
    """At the plan's own thresholds the outcome is the evaluation's."""
    assert any(one.evaluation.evidence_met for one in judged)
    for one in judged:
        plan = one.evaluation.plan
        assert one.outcome_at(plan.step_up_at, plan.deny_at) is one.evaluation.outcome


def test_nothing_is_nothing() -> None:
    """No records, no judgements."""
    assert list(judge([], load(POLICY), None)) == []
