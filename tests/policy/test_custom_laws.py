"""The laws of the judgement hold with custom signals too: unknown never counts, more risk never softens."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from riskd.evaluation import evaluate, evaluate_all
from riskd.facts import Facts
from tests.models import FixedModel
from tests.policy.test_custom import with_signals
from tests.test_evaluation import INPUTS, SINGLE_FIELDS, UNKNOWN, attempts, many, riskier, without, without_field

RISKY = (
    "features.attempts_1h > 5.0 && features.ips_1h > 2.0",
    "action.amount > 100.0 || action.amount * 2.0 > 150.0",
    "network.tor || network.proxy",
    "history.failures_1h + history.failures_10m > 10.0",
    'subject.leaked_credential && place.country in ["NO", "SE"]',
    'subject.amr.exists(m, m == "mfa") && features.subjects_on_ip_1h > 3.0',
    "size(subject.amr) % 2 == 1",
    'attributes.plan == "free" && attributes.items > 3.0',
    'attributes.plan.matches("^f") || attributes.gift',
    "anomaly_score > 0.5",
)
POLICY = with_signals(*[{"when": when, "weight": 0.2} for when in RISKY])
with_attributes = st.builds(
    lambda facts, attributes: replace(facts, attributes=attributes),
    attempts,
    st.fixed_dictionaries(
        {},
        optional={
            "plan": st.sampled_from(["free", "gold"]),
            "items": st.one_of(st.integers(0, 9), st.floats(0, 9)),
            "gift": st.booleans(),
            "note": st.text(max_size=3),
        },
    ),
)


@many
@given(with_attributes, st.sets(st.sampled_from(sorted(UNKNOWN)), min_size=1))
def test_knowing_less_never_raises_the_score(facts: Facts, dropped: set[str]) -> None:
    """Take any groups of facts away, the attributes among them: the score never rises."""
    assert evaluate(without(facts, dropped), POLICY, None).score <= evaluate(facts, POLICY, None).score


@many
@given(with_attributes, st.sampled_from(SINGLE_FIELDS))
def test_a_missing_field_never_raises_the_score(facts: Facts, field: tuple[str, str]) -> None:
    """Take any one field away: the score never rises."""
    assert evaluate(without_field(facts, field), POLICY, None).score <= evaluate(facts, POLICY, None).score


@many
@given(with_attributes, st.sampled_from(INPUTS), st.integers(1, 300))
def test_more_risk_never_softens(facts: Facts, risk: tuple[str, str, int], by: int) -> None:
    """Raise any one input of which more is riskier: expressions that agree with that never make the outcome milder."""
    before, after = evaluate(facts, POLICY, None), evaluate(riskier(facts, risk, by), POLICY, None)
    assert after.outcome >= before.outcome
    assert after.score >= before.score


@many
@given(with_attributes, st.one_of(st.none(), st.floats(0, 0.9999)))
def test_every_evaluation_is_sound(facts: Facts, anomaly: float | None) -> None:
    """Shares that add up to the score, each signal in one state only, nothing failed, twice and together the same."""
    model: Any = None if anomaly is None else FixedModel(anomaly)
    found = evaluate(facts, POLICY, model)
    assert evaluate_all([facts, facts], POLICY, model) == [found, found]
    assert 0 <= found.score_range[0] <= found.score <= found.score_range[1] <= 100
    assert round(sum(hit.contribution for hit in found.hits), 1) == found.score
    hits = [hit.question.code for hit in found.hits]
    assert set(hits).isdisjoint(found.unknown)
    assert len(set(hits)) == len(hits)
    assert found.degraded == ()
