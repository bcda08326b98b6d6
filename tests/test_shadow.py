"""What is judged beside is recorded and counted, and changes nothing; a signal in shadow has no say."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from riskd.evaluation import evaluate, judge, measure_all
from riskd.explain import explain
from riskd.facts import Facts
from riskd.metrics import Metrics
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load
from riskd.policy.rollout import told_to
from riskd.record.schema import ShadowRecord, decode, encode
from riskd.shadow import Shadow
from riskd.trial import Candidates
from tests.attempts import attempt
from tests.conftest import NOON
from tests.models import BrokenModel, FixedModel
from tests.policy.test_custom import with_signals
from tests.test_evaluation import attempts, many
from tests.tried import Tried, tried

SHIPPED_POLICY = load(SHIPPED / "default.yaml")
STRICT = with_signals(
    {"when": "features.attempts_1h >= 0.0", "weight": 0.6},
    {"when": 'attributes.plan == "free"', "weight": 0.2},
    thresholds={"step_up": 20, "deny": 60},
    velocities=[{"name": "logins_1h", "count": "attempts", "per": "device", "window": "1h", "limit": 2, "weight": 0.1}],
)
ODD = FixedModel(0.995)
OTHER = FixedModel(0.1)
OTHER.version = "20260102-00000000"
ABROAD = {"ip": "177.36.0.1", "device_id": "other", "attributes": {"plan": "free"}}


class Exploding(Policy):
    """A policy that cannot be judged by."""

    def plan(self, *_attempt: object) -> Any:  # noqa: ANN401
        """Fail."""
        raise RuntimeError("no plan")


class Obeyed:
    """A judged attempt."""

    def __init__(self, facts: Facts, policy: Policy, model: FixedModel | None) -> None:
        self.policy = policy
        self.evaluation = evaluate(facts, policy, model)


candidates = st.sampled_from([None, STRICT, Exploding(STRICT.file, "x")])
models = st.sampled_from([None, ODD, OTHER, BrokenModel()])


@many
@given(attempts, candidates, models, models)
def test_the_decision_never_changes(
    facts: Facts, candidate: Policy | None, beside: FixedModel | None, model: FixedModel | None
) -> None:
    """Whatever is judged beside, and however it fails, the same measures give the same decision before and after."""
    measured = measure_all([facts], model)
    before = judge(facts, SHIPPED_POLICY, measured[0])
    metrics = Metrics()
    (found,) = Shadow(candidate, beside, metrics).beside(
        [facts], measured, [Obeyed(facts, SHIPPED_POLICY, model)], model
    )
    assert judge(facts, SHIPPED_POLICY, measured[0]) == before == evaluate(facts, SHIPPED_POLICY, model)
    if isinstance(candidate, Exploding):
        assert found is None
        assert metrics.shadow_errors.at().value == 1
        return
    assert found is not None
    alone = evaluate(facts, candidate or SHIPPED_POLICY, beside or model)
    assert (found.outcome, found.score) == (alone.outcome.word, alone.score)
    hits, then = {hit.question.code for hit in alone.hits}, {hit.question.code for hit in before.hits}
    assert (set(found.new), set(found.gone)) == (hits - then, then - hits)


async def log_in(riskd: Tried) -> list[dict[str, Any]]:
    """Let somebody known and a stranger log in; return the answers without what time and chance put into them."""
    await riskd.settle(["ada"])
    decisions = await riskd.log_in(["ada", "ada", "eve"])
    decisions += await riskd.log_in(["ada"], NOON + timedelta(minutes=1), **ABROAD)
    return [decision.model_dump(exclude={"decision_id", "evaluated_at", "step_up"}) for decision in decisions]


@pytest.mark.parametrize(
    "beside",
    [
        Candidates(shadow=STRICT),
        Candidates(model=OTHER),
        Candidates(shadow=STRICT, model=OTHER),
        Candidates(shadow=Exploding(STRICT.file, "x")),
        Candidates(model=BrokenModel()),
    ],
)
async def test_answers_are_the_same_with_and_without(valkey: str, tmp_path: Path, beside: Candidates) -> None:
    """Callers of a service with something in shadow get the answers they would get without it."""
    async with tried(valkey, tmp_path / "a", SHIPPED_POLICY, beside, ODD) as riskd:
        shadowed = await log_in(riskd)
    async with tried(valkey, tmp_path / "b", SHIPPED_POLICY, model=ODD) as riskd:
        assert await log_in(riskd) == shadowed


async def test_what_is_judged_beside_is_recorded_and_counted(valkey: str, tmp_path: Path) -> None:
    """The record names the candidate and what it would have done, and its facts yield the same again."""
    async with tried(valkey, tmp_path, SHIPPED_POLICY, Candidates(shadow=STRICT, model=OTHER), ODD) as riskd:
        await log_in(riskd)
        records = riskd.records()[1:]
        counted = {sample.labels: sample.value for sample in riskd.metrics.shadow_decisions.snapshot().samples}
    assert sum(counted.values()) == len(records) == 4
    for record in records:
        beside = record.shadow
        assert beside is not None
        again = evaluate(record.facts, STRICT, OTHER)
        assert (beside.outcome, beside.score) == (again.outcome.word, again.score)
        assert (beside.policy_revision, beside.model_version) == (STRICT.revision, OTHER.version)
        assert counted[record.outcome, beside.outcome] >= 1
        assert decode(encode(record)) == record
    assert {"own_0", "own_1"} <= set(records[-1].shadow.new if records[-1].shadow else ())
    assert records[-1].facts.attributes == {"plan": "free"}  # only the candidate declares it
    counts = [next(iter(record.facts.velocities.values())) for record in records]
    assert counts == [1, 2, 1, 1]  # only the candidate declares the velocity


async def test_a_model_that_fails_beside_is_its_own_affair(valkey: str, tmp_path: Path) -> None:
    """The candidate is degraded and judged by its fail mode; the decision is neither."""
    async with tried(valkey, tmp_path, SHIPPED_POLICY, Candidates(model=BrokenModel()), FixedModel(0.1)) as riskd:
        await riskd.settle(["ada"])
        (decision,) = await riskd.log_in(["ada"])
        (record,) = riskd.records()[1:]
    assert (decision.decision, decision.degraded) == ("allow", ())
    assert record.shadow == ShadowRecord(
        policy_revision=SHIPPED_POLICY.revision, model_version=BrokenModel.version, outcome="step_up", score=0.0
    )


SIGNALS: tuple[dict[str, Any], ...] = (
    {"when": "features.attempts_1h >= 0.0", "weight": 0.9, "floor": "deny"},
    {"when": 'attributes.plan == "free"', "weight": 0.9, "floor": "deny"},
    {"when": "int(attributes.items) / size(attributes.plan) > 5", "weight": 0.9, "floor": "deny"},
)
BUILT_IN = ("new_device", "new_country", "tor_exit")
WATCHED = with_signals(
    *[{**signal, "shadow": True} for signal in SIGNALS],
    signals={code: {"shadow": True} for code in BUILT_IN},
    velocities=[
        {"name": "logins_1h", "count": "attempts", "per": "subject", "window": "1h", "limit": 0, "shadow": True}
    ],
)
WITHOUT = with_signals(signals={code: {"enabled": False} for code in BUILT_IN})


@many
@given(attempts, st.dictionaries(st.sampled_from(["plan", "items"]), st.sampled_from(["free", "", 3])))
def test_a_signal_in_shadow_has_no_say(facts: Facts, attributes: dict[str, Any]) -> None:
    """With signals in shadow all comes out as without them, even where they fail; what they say is told apart."""
    facts = replace(facts, attributes=attributes)
    watched, without = evaluate(facts, WATCHED, None), evaluate(facts, WITHOUT, None)
    for name in ("outcome", "score", "score_range", "floor", "unknown", "degraded", "exempt", "evidence_met", "vector"):
        assert getattr(watched, name) == getattr(without, name), name
    assert [(hit.question.code, hit.contribution) for hit in watched.hits] == [
        (hit.question.code, hit.contribution) for hit in without.hits
    ]
    assert [said.code for said in watched.shadow].count("own_0") == 1
    assert {said.code for said in watched.shadow} == {*BUILT_IN, "own_0", "own_1", "own_2", "velocity_logins_1h"}
    assert watched.forcing == ()


async def test_signals_in_shadow_are_counted_and_recorded(valkey: str, tmp_path: Path) -> None:
    """Hits stand apart in the record, all four states are counted, and nobody is told in the answer."""
    async with tried(valkey, tmp_path, WATCHED) as riskd:
        (decision,) = await riskd.log_in(["ada"], attributes={"plan": "", "items": 3})
        (record,) = riskd.records()
        counted = {sample.labels: sample.value for sample in riskd.metrics.shadow_signals.snapshot().samples}
    assert (decision.degraded, [reason.code for reason in decision.reasons]) == ((), ["learning_period"])
    assert record.shadow_hits == {"own_0": 1.0, "velocity_logins_1h": 1.0}
    assert (record.hits.keys(), record.errors) == ({"learning_period"}, ())
    for said in (("own_0", "hit"), ("own_1", "clear"), ("own_2", "error"), ("new_device", "unknown")):
        assert counted[said] == 1
    assert {said.code: said.strength for said in evaluate(record.facts, WATCHED, None).shadow if said.strength} == (
        record.shadow_hits
    )


def test_the_explanation_shows_signals_in_shadow() -> None:
    """They stand among the others, marked, and with no share."""
    lines = explain(attempt(network={"tor": True}), WATCHED, None).signals
    (line,) = [line for line in lines if line.code == "tor_exit"]
    assert (line.shadow, line.state, line.contribution) == (True, "hit", 0.0)
    assert sum(line.shadow for line in lines) == 7


def test_what_tripped_under_one_policy_has_not_under_another() -> None:
    """Only a signal that both declare alike is told to a candidate as tripped."""
    signal = {"when": "network.tor", "floor": "deny", "weight": 0.1}
    own, alike = with_signals(signal), with_signals(signal, thresholds={"step_up": 1, "deny": 99})
    other = with_signals({**signal, "when": "network.proxy"})
    facts = attempt(tripped=["own_0"])
    assert told_to(alike, own, facts).tripped == told_to(own, own, facts).tripped == ("own_0",)
    assert told_to(other, own, facts).tripped == ()
