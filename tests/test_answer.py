"""From an evaluation to what the PEP gets."""

from datetime import timedelta
from typing import Any

import pytest

from riskd.answer import CONTACT_DISTRUST_S, GUESSING, answer, verdict_of
from riskd.contract import Decision, Outcome
from riskd.decision_id import Sealer, Verdict, new_base
from riskd.evaluation import Evaluation, evaluate
from riskd.facts import Facts
from riskd.policy.load import SHIPPED, load
from riskd.signals import SIGNALS
from tests.attempts import NOON, attempt, history

POLICY = load(SHIPPED / "default.yaml")
ID = Sealer(b"s" * 32).seal(new_base(int(NOON.timestamp() * 1000)), Verdict.STEP_UP)
REPORTED = history(reported_age_s=60.0)


def answered(facts: Facts) -> tuple[Evaluation, Decision]:
    """Judge and answer."""
    evaluation = evaluate(facts, POLICY, None)
    return evaluation, answer(evaluation, facts, POLICY, decision_id=ID, model_version="20260101-00000000", at=NOON)


def test_what_every_answer_carries() -> None:
    """Every answer names its id, policy, model and time, and is one that the contract allows."""
    _, decision = answered(attempt(network={"tor": True, "listed": ("feed",)}))
    assert decision.policy_revision == POLICY.revision
    assert decision.model_version == "20260101-00000000"
    assert decision.evaluated_at == NOON
    assert decision.decision_id == ID
    assert Decision.model_validate(decision.model_dump()) == decision
    assert Decision.model_validate_json(decision.model_dump_json()) == decision


def test_reasons_in_words() -> None:
    """A reason has the signal's own text, what it read, rounded, and its points; they add up to the score."""
    facts = attempt(subject={"account_age_days": 0.123456}, network={"tor": True}, history=REPORTED)
    _, decision = answered(facts)
    reasons = {reason.code: reason for reason in decision.reasons}
    assert reasons["new_account"].text == SIGNALS["new_account"].text
    assert reasons["new_account"].detail == {"account_age_days": 0.1235}
    assert reasons["tor_exit"].detail == {"tor": 1.0}
    assert round(sum(reason.contribution for reason in decision.reasons), 1) == decision.score


def test_a_floor_is_named() -> None:
    """A hit that forces an outcome says which, one that does not says nothing of it."""
    _, decision = answered(attempt(history=REPORTED, network={"tor": True}))
    floors = {reason.code: reason.detail.get("floor") for reason in decision.reasons}
    assert floors["reported"] == "step_up"
    assert floors["tor_exit"] is None


def test_a_step_up_says_what_it_must_achieve() -> None:
    """A step_up has a level, methods and an end, and comes as an obligation too; the other outcomes have none."""
    _, decision = answered(attempt(history=REPORTED, subject={"token": "t", "enrolled_factors": ["totp"]}))
    assert decision.decision == "step_up"
    assert decision.step_up is not None
    assert decision.step_up.methods == ("totp",)
    assert decision.step_up.expires_at == NOON + timedelta(minutes=10)
    (obligation,) = decision.obligations
    assert obligation.properties["acr_value"] == decision.step_up.acr_values[0]
    assert obligation.properties["amr_values"] == list(decision.step_up.amr_values)
    assert answered(attempt())[1].step_up is None
    assert answered(attempt(network={"denied": True, "listed": ("feed",)}))[1].step_up is None


@pytest.mark.parametrize(
    ("groups", "verdict"),
    [
        ({}, Verdict.ALLOW),
        ({"history": REPORTED}, Verdict.STEP_UP),
        ({"network": {"denied": True, "listed": ("feed",)}}, Verdict.DENY),
        ({"history": REPORTED, "subject": {"acr": "mfa", "auth_age_s": 5.0}}, Verdict.ALLOW_BY_EVIDENCE),
    ],
)
def test_the_verdict_goes_into_the_id(groups: dict[str, Any], verdict: Verdict) -> None:
    """What was decided is told, and whether fresh evidence had already met a step-up."""
    evaluation, _ = answered(attempt(**groups))
    assert verdict_of(evaluation) is verdict
    assert (evaluation.outcome is Outcome.ALLOW) is (verdict in {Verdict.ALLOW, Verdict.ALLOW_BY_EVIDENCE})


@pytest.mark.parametrize(("age_s", "trusted"), [(CONTACT_DISTRUST_S - 1, False), (CONTACT_DISTRUST_S, True)])
def test_contact_data_are_trusted_again_after_a_week(age_s: float, trusted: bool) -> None:
    """For a week after contact data changed, no code goes there."""
    facts = attempt(
        history=history(reported_age_s=60.0, contact_change_age_s=age_s),
        subject={"token": "t", "enrolled_factors": ["sms", "totp"]},
    )
    step_up = answered(facts)[1].step_up
    assert step_up is not None
    assert ("sms" in step_up.methods) is trusted


def test_guessing_is_told_by_signals_that_exist() -> None:
    """The hits that speak of guessing are signals of the catalogue."""
    assert set(SIGNALS) >= GUESSING


def test_a_failed_signal_is_named() -> None:
    """Sources that were down, and signals that failed, are in the answer."""
    _, decision = answered(attempt(down=("geo",), subject={"account_age_days": "old"}))
    assert decision.degraded == ("geo", "signal:new_account")
