"""Amounts that would have passed: found by halving, exact to the digits in which they are told."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.contract import Outcome
from riskd.counterfactual import Change, changes_for
from riskd.evaluation import evaluate
from riskd.facts import Facts
from riskd.policy import Policy
from tests.attempts import attempt, history
from tests.counterfactual.asked import KNOWN, sized, step_of, strict, told
from tests.models import FixedModel
from tests.test_cases import policy
from tests.test_evaluation import many


def paying(amount: float, currency: str = "EUR", **past: Any) -> Facts:  # noqa: ANN401
    """A payment of a subject with a past."""
    action = {"name": "purchase", "amount": amount, "currency": currency}
    return attempt(action=action, history=history(**{**KNOWN, "amount_24h": amount, **past}))


AMOUNTS = [
    (1000.0, 1000.01, "EUR", "for up to 1,000 EUR", 1000.0),
    (1000.0, 1e15, "EUR", "for up to 1,000 EUR", 1000.0),
    (1234.56, 5000.0, "EUR", "for up to 1,230 EUR", 1230.0),
    (1239.99, 5000.0, "EUR", "below 1,240 EUR", 1239.99),
    (999.99, 1000.0, "EUR", "below 1,000 EUR", 999.99),
    (0.05, 0.07, "EUR", "for up to 0.05 EUR", 0.05),
    (12.5, 20.0, "EUR", "for up to 12.50 EUR", 12.5),
    (100_000.0, 100_001.0, "JPY", "for up to 100,000 JPY", 100_000.0),
    (99_999.0, 250_000.0, "JPY", "below 100,000 JPY", 99_999.0),
    (10.0005, 11.0, "KWD", "for up to 10 KWD", 10.0),
]


@pytest.mark.parametrize(("limit", "amount", "currency", "words", "value"), AMOUNTS)
def test_amounts_are_found_by_halving(limit: float, amount: float, currency: str, words: str, value: float) -> None:
    """The largest amount of three digits, or just below one, that would have passed, in the currency's own units."""
    its_policy = strict(signals={"sensitive_endpoint": {"enabled": False}}, limits={}, daily_limits={})
    payment = its_policy.file.actions["payment"].model_dump(exclude_unset=True) | {
        "limits": {currency: limit}, "daily_limits": {}
    }  # fmt: skip
    its_policy = strict(signals={"sensitive_endpoint": {"enabled": False}}, actions={"payment": payment})
    (way, *_) = told(paying(amount, currency), its_policy)
    assert way.text == f"allowed {words}"
    assert way.changes[0].value == value


@many
@given(st.floats(0.01, 1e12), st.floats(1.0001, 1e3), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_the_amount_told_is_exact_to_its_digits(limit: float, times: float, currency: str) -> None:
    """Whatever the limit, the amount told passes and the next one that could be told does not."""
    payment = {"names": ["purchase"], "limits": {currency: limit}}
    its_policy = strict(actions={"payment": payment})
    facts = paying(limit * times, currency, amount_24h=0.0)
    evaluation = evaluate(facts, its_policy, None)
    change = next((c for c in changes_for(facts, its_policy, evaluation.plan) if c.code == "amount"), None)
    found = [way for way in told(facts, its_policy) if way.changes[0].code == "amount"]
    if change is None or not found:  # nothing above the limit, or nothing below it, that could be paid
        assert evaluation.outcome is Outcome.ALLOW or change is None or passes(change, facts, its_policy) is None
        return
    value = found[0].changes[0].value
    step = step_of(change, value)
    assert step is not None
    assert isinstance(value, float)
    assert value <= limit
    if step > 1:
        larger = sized(change, step - 1).value
        assert isinstance(larger, float)
        assert larger > limit or larger == value


def passes(change: Change, facts: Facts, its_policy: Policy) -> bool | None:
    """True when the change turns the facts, else None."""
    before = evaluate(facts, its_policy, None).outcome
    return True if evaluate(change.apply(facts), its_policy, None).outcome < before else None


def test_a_day_of_payments_counts_the_smaller_amount() -> None:
    """The sum of the day shrinks with the amount: what is left of the daily limit may still be paid."""
    payment = {"names": ["purchase"], "daily_limits": {"EUR": 1000.0}}
    (way, *_) = told(paying(400.0, amount_24h=1100.0), strict(actions={"payment": payment}))
    assert way.text == "allowed for up to 300 EUR"


def test_the_mildest_outcome_is_the_one_that_is_sized() -> None:
    """Where less would be asked and still less allowed, the amount is told that is allowed."""
    payment = {"names": ["purchase"], "limits": {"EUR": 1000.0}, "daily_limits": {"EUR": 500.0}}
    denying = strict(actions={"payment": payment}, signals={"amount_over_limit": {"floor": "deny"}})
    (way, *_) = told(paying(2000.0), denying)
    assert way.text == "allowed for up to 500 EUR"


class OddWhenSmall(FixedModel):
    """A model for which next to nothing is as odd as too much."""

    def score_all(self, vectors: Sequence[Any]) -> list[float]:
        """Odd but for a vector that holds a ratio between a half and two."""
        return [0.0 if any(v is not None and 0.5 <= v <= 2 for v in vector) else 0.9999 for vector in vectors]


def test_a_usual_amount_is_tried_too() -> None:
    """Where the smallest amounts are odd as well, the largest from the usual one upwards is told, and not "up to"."""
    past = history(known_countries=1, amount_count=9, amount_median=100.0, amount_p99=100.0, amount_24h=900.0)
    facts = attempt(action={"name": "read", "amount": 900.0, "currency": "EUR"}, history=past)
    (way, *_) = told(facts, policy("default"), OddWhenSmall(0.0))
    assert (way.text, way.changes[0].value) == ("allowed for 200 EUR", 200.0)
