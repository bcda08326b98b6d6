"""Custom signals: declared in the policy, judged like the built-in ones."""

import json
from typing import Any

import pytest

from riskd.answer import answer
from riskd.contract import Decision, Outcome
from riskd.decision_id import Sealer, Verdict, new_base
from riskd.evaluation import Evaluation, evaluate
from riskd.explain import SignalLine, explain
from riskd.facts import Facts
from riskd.features import FEATURES
from riskd.policy import Policy
from riskd.policy.cel import WrongExpressionError
from riskd.policy.load import SHIPPED, parse
from riskd.policy.text import read
from riskd.signals import State
from tests.attempts import NOON, attempt, history
from tests.models import FixedModel
from tests.test_evaluation import Faulty

DEFAULT = (SHIPPED / "default.yaml").read_bytes()
ID = Sealer(b"s" * 32).seal(new_base(int(NOON.timestamp() * 1000)), Verdict.STEP_UP)
ATTRIBUTES = {"plan": "text", "items": "number", "gift": "flag"}


def with_signals(*signals: dict[str, Any], **more: Any) -> Policy:  # noqa: ANN401 - any part of a policy
    """The shipped policy with custom signals; what they leave out is filled in."""
    filled = [
        {"code": f"own_{number}", "weight": 0.3, "text": "Something of our own.", **signal}
        for number, signal in enumerate(signals)
    ]
    parts = {**read(DEFAULT.decode()), "attributes": ATTRIBUTES, "custom_signals": filled, **more}
    return parse(json.dumps(parts).encode(), "riskd.yaml")


PAYOUT = {
    "code": "big_payout_new_device",
    "when": 'action.amount > 500.0 && features.device_known_days < 1.0 && attributes.plan == "free"',
    "weight": 0.4,
    "floor": "step_up",
    "text": "A large payout from a device known for less than a day.",
    "actions": ["payment"],
}
POLICY = with_signals(PAYOUT, {"when": "attributes.items > 20.0", "weight": 0.0})


def payment(**more: Any) -> Facts:  # noqa: ANN401
    """A payment of 600 EUR from a device that became known an hour ago."""
    usual = {
        "action": {"name": "payout", "amount": 600.0, "currency": "EUR"},
        "device": {"id": "d"},
        "history": history(device_age_s=10.0, device_known_age_s=3600.0),
        "attributes": {"plan": "free"},
    }
    return attempt(**{**usual, **more})


def codes(found: Evaluation) -> set[str]:
    """Codes of the hits."""
    return {hit.question.code for hit in found.hits}


def decided(facts: Facts, policy: Policy = POLICY) -> Decision:
    """Judge and answer."""
    return answer(evaluate(facts, policy, None), facts, policy, decision_id=ID, model_version=None, at=NOON)


def line(facts: Facts, code: str, policy: Policy = POLICY) -> SignalLine:
    """What the explanation says of a signal."""
    return next(line for line in explain(facts, policy, None).signals if line.code == code)


def test_a_hit_is_a_reason_like_any_other() -> None:
    """It brings its points, its text, what it read and the floor it forced; the answer is one the contract allows."""
    decision = decided(payment())
    (reason,) = [reason for reason in decision.reasons if reason.code == "big_payout_new_device"]
    assert reason.text == "A large payout from a device known for less than a day."
    assert reason.detail == {
        "action.amount": 600.0, "features.device_known_days": 0.0417, "attributes.plan": "free", "floor": "step_up",
    }  # fmt: skip
    assert reason.contribution > 0
    assert decision.decision == "step_up"
    assert round(sum(reason.contribution for reason in decision.reasons), 1) == decision.score
    assert Decision.model_validate_json(decision.model_dump_json()) == decision


def test_clear_unknown_and_error() -> None:
    """False is clear, a missing input unknown, an attribute of another kind an error with the fail mode as floor."""
    assert "big_payout_new_device" not in codes(evaluate(payment(attributes={"plan": "gold"}), POLICY, None))
    for missing in ({"attributes": {}}, {"history": None}, {"action": {"name": "payout"}}):
        found = evaluate(payment(**missing), POLICY, None)
        assert "big_payout_new_device" in found.unknown
    found = evaluate(payment(attributes={"plan": 3}), POLICY, None)
    assert found.degraded == ("signal:big_payout_new_device",)
    assert (found.outcome, found.floor) == (Outcome.STEP_UP, Outcome.STEP_UP)
    assert "big_payout_new_device" not in {*codes(found), *found.unknown}


def test_an_expression_that_fails_is_an_error_of_its_signal() -> None:
    """A division by zero costs its own signal and no other; where the fail mode is allow it forces nothing."""
    policy = with_signals({"when": "10 / size(subject.amr) > 3"}, {"when": "network.tor"})
    found = evaluate(attempt(subject={"amr": ()}, network={"tor": True}), policy, None)
    assert found.degraded == ("signal:own_0",)
    assert "own_1" in codes(found)
    assert found.outcome is Outcome.STEP_UP
    assert evaluate(attempt(subject={"amr": ()}, action={"name": "read"}), policy, None).outcome is Outcome.ALLOW


def test_it_holds_for_its_actions_only() -> None:
    """Classes are named, `other` among them; without any it is for all."""
    policy = with_signals(
        {"when": "network.tor", "actions": ["payment", "other"]},
        {"when": "network.tor", "actions": ["login"]},
        {"when": "network.tor"},
    )
    for name, expected in (("transfer", {0, 2}), ("unheard_of", {0, 2}), ("login", {1, 2}), ("export", {2})):
        found = evaluate(attempt(action={"name": name}, network={"tor": True}), policy, None)
        assert {code for code in codes(found) if code.startswith("own")} == {f"own_{number}" for number in expected}
        assert len([q for q in found.plan.questions if q.code.startswith("own")]) == len(expected)


def test_unknown_widens_the_range() -> None:
    """What an unknown signal might bring is in the range, as for the built-in ones."""
    plain, own = with_signals(), with_signals({"when": 'attributes.plan == "free"', "weight": 0.9})
    without, unknown = evaluate(attempt(), plain, None), evaluate(attempt(), own, None)
    assert unknown.score == without.score
    assert unknown.score_range[1] > without.score_range[1]


def test_a_coarse_place_widens_the_range_downward() -> None:
    """A hit that rests on the place is worth less when the place is coarse."""
    policy = with_signals({"when": 'place.country == "KP"'}, {"when": "network.tor"})
    near, far = (
        evaluate(attempt(place={"country": "KP", "accuracy_km": km}, network={"tor": True}), policy, None)
        for km in (10.0, 900.0)
    )
    assert near.score == far.score
    assert 0 < far.score_range[0] < near.score_range[0] == near.score


def test_a_weightless_signal_only_tells() -> None:
    """With weight 0 it is named as a reason of no points, and a floor of its own still holds."""
    found = evaluate(attempt(attributes={"items": 21}), POLICY, None)
    assert ("own_1", 0.0) in [(hit.question.code, hit.contribution) for hit in found.hits]
    assert (found.score, found.outcome) == (0.0, Outcome.ALLOW)
    policy = with_signals({"when": "attributes.items > 20.0", "weight": 0, "floor": "deny"})
    assert evaluate(attempt(attributes={"items": 21}), policy, None).outcome is Outcome.DENY


def test_points_are_those_of_the_weight() -> None:
    """It adds up with the built-in signals as a built-in signal of the same weight would."""
    policy = with_signals({"when": "network.tor", "weight": 0.45}, signals={"tor_exit": {"weight": 0.45}})
    found = evaluate(attempt(network={"tor": True}), policy, None)
    assert {hit.question.code: hit.contribution for hit in found.hits} == {"own_0": 34.9, "tor_exit": 34.9}
    assert found.score == 69.8


def test_the_anomaly_score_and_the_moment_may_be_read() -> None:
    """`anomaly_score` is the model's, unknown without one; `time.hour` is the attempt's."""
    policy = with_signals({"when": "anomaly_score > 0.5"}, {"when": f"time.hour == {NOON.hour}.0"})
    model: Any = FixedModel(0.7)
    assert {"own_0", "own_1"} <= codes(evaluate(attempt(), policy, model))
    found = evaluate(attempt(), policy, None)
    assert "own_0" in found.unknown
    assert "own_1" in codes(found)


def test_a_failed_feature_fails_the_signals_that_read_it() -> None:
    """The slow way, taken when a feature failed, gives custom signals the answers of the fast way."""
    policy = with_signals({"when": "features.tor > 0.0"}, {"when": "network.tor"}, {"when": "attributes.gift"})
    model: Any = Faulty(("tor",))
    found = evaluate(attempt(network={"tor": True}), policy, model)
    assert {"signal:own_0", "signal:tor_exit"} <= set(found.degraded)
    assert "own_1" in codes(found)
    assert "own_2" in found.unknown


def test_what_the_explanation_says() -> None:
    """A custom signal has state, weight, points, inputs and why, in whatever state it is."""
    hit = line(payment(), "big_payout_new_device")
    assert (hit.state, hit.weight, hit.why) == ("hit", 0.4, PAYOUT["text"])
    assert list(hit.inputs) == ["action.amount", "features.device_known_days", "attributes.plan"]
    assert hit.inputs["attributes.plan"] == "free"
    unknown = line(payment(attributes={}), "big_payout_new_device")
    assert (unknown.state, unknown.why) == ("unknown", "missing: attributes.plan")
    failed = line(payment(attributes={"plan": 3}), "big_payout_new_device")
    assert failed.state == "error"
    assert failed.inputs["attributes.plan"] == "failed: a number, not the text that is declared"
    clear = line(payment(attributes={"plan": "gold", "items": 3}), "own_1")
    assert (clear.state, clear.contribution) == ("clear", 0.0)


def test_what_is_read_is_told_short() -> None:
    """A list is one text, a long text is cut: what a caller sent does not swell the answer."""
    policy = with_signals({"when": '"a" in subject.amr && attributes.plan != ""'})
    facts = attempt(subject={"amr": ("a", "b")}, attributes={"plan": "x" * 256})
    (reason,) = [reason for reason in decided(facts, policy).reasons if reason.code == "own_0"]
    assert reason.detail == {"subject.amr": "a, b", "attributes.plan": f"{'x' * 100}…"}


def test_it_can_be_asked_alone() -> None:
    """The declared signal answers for inputs by name, as a built-in one does."""
    signal = POLICY.custom[0].signal
    inputs = {"action.amount": 600.0, "features.device_known_days": 0.5, "attributes.plan": "free"}
    assert signal.check(inputs) == (State.HIT, 1.0)
    assert signal.check({**inputs, "action.amount": 6.0}) == (State.CLEAR, 0.0)
    assert signal.check({"action.amount": 600.0}) == (State.UNKNOWN, 0.0)
    assert (signal.family, signal.floor, dict(signal.knobs)) == ("custom", Outcome.STEP_UP, {})


def test_an_obligation_may_wait_for_it() -> None:
    """Obligations name custom signals as they name built-in ones."""
    rule = {"id": "call", "type": "custom", "outcomes": ["step_up"], "signals": ["big_payout_new_device"]}
    policy = with_signals(PAYOUT, obligations=[rule])
    assert "call" in [due.id for due in decided(payment(), policy).obligations]
    assert "call" not in [due.id for due in decided(payment(attributes={"plan": "gold"}), policy).obligations]


def test_a_policy_without_any_reads_nothing_more() -> None:
    """Without custom signals nothing is fetched, and what signals read are the features alone."""
    policy = parse(DEFAULT, "riskd.yaml")
    assert policy.read_more is None
    assert len(policy.inputs) == len(FEATURES) + 1
    assert POLICY.inputs[len(FEATURES) + 1 :] == ("action.amount", "attributes.plan", "attributes.items")


def test_what_it_spells_and_declares_is_recorded() -> None:
    """Texts in expressions are the policy's words, parts of paths too; declared attributes are recorded."""
    policy = with_signals(
        {"when": 'action.path.startsWith("/pay2/v9x") || action.name == "wire7"'},
        record={"keep": {"attributes": ["note"]}},
    )
    assert {"pay2", "v9x", "wire7"} <= policy.words
    assert policy.recorded_attributes == {"plan", "items", "gift", "note"}


def test_an_unsound_file_makes_no_policy() -> None:
    """A policy made without the loader refuses a wrong expression all the same."""
    wrong = POLICY.file.custom_signals[0].model_copy(update={"when": "network.tro"})
    with pytest.raises(WrongExpressionError, match="no such variable"):
        Policy(POLICY.file.model_copy(update={"custom_signals": (wrong,)}), "unsound")


def test_the_revision_is_that_of_the_whole_file() -> None:
    """Another expression is another revision; the order of signals counts too."""
    one, other = {"when": "network.tor"}, {"when": "network.proxy"}
    revisions = {with_signals(*signals).revision for signals in ((one,), (other,), (one, other), (other, one))}
    assert len(revisions) == 4


def test_two_hundred_signals() -> None:
    """Two hundred signals are a policy, each asked; two hundred and one are too many."""
    many = [{"when": f'attributes.items > {number}.0 && attributes.plan != "p{number}"'} for number in range(200)]
    found = evaluate(attempt(attributes={"items": 100, "plan": "free"}), with_signals(*many), None)
    assert len([code for code in codes(found) if code.startswith("own")]) == 100
    with pytest.raises(Exception, match="at most 200 items"):
        with_signals(*many, {"when": "network.tor"})
