"""How much, and to whom."""

from typing import Any

import pytest

from riskd.features.amount import (
    amount,
    amount_24h,
    amount_over_median_ratio,
    amount_over_p99_ratio,
    currency,
    recipient_unseen_days,
)
from tests.attempts import attempt, history

PAYMENT = {"amount": 100.0, "currency": "EUR", "recipient": "r"}


@pytest.mark.parametrize(
    ("compute", "known"), [(amount_over_median_ratio, "amount_median"), (amount_over_p99_ratio, "amount_p99")]
)
@pytest.mark.parametrize(
    ("action", "typical", "count", "ratio"),
    [
        (PAYMENT, 50.0, 3, 2.0),
        (PAYMENT, 400.0, 100, 0.25),
        (PAYMENT, 50.0, 2, None),  # too few to call anything usual
        (PAYMENT, None, 5, None),
        (PAYMENT, 0.0, 5, None),  # nothing is a multiple of nothing
        ({}, 50.0, 5, None),
    ],
)
def test_ratio(
    compute: Any,  # noqa: ANN401
    known: str,
    action: dict[str, Any],
    typical: float | None,
    count: int,
    ratio: float | None,
) -> None:
    """The amount over what the subject pays; unknown without an amount and below three confirmed ones."""
    assert compute(attempt(action=action, history=history(**{known: typical, "amount_count": count}))) == ratio


@pytest.mark.parametrize(
    ("action", "known", "days"),
    [
        (PAYMENT, {"known_recipients": 2, "recipient_age_s": 86_400.0}, 1.0),
        (PAYMENT, {"known_recipients": 2}, 3650.0),
        (PAYMENT, {"known_recipients": 0}, None),
        ({"amount": 100.0}, {"known_recipients": 2}, None),
    ],
)
def test_recipient_unseen(action: dict[str, Any], known: dict[str, Any], days: float | None) -> None:
    """Days since the recipient was paid, 3650 when never, unknown without a recipient or any known one."""
    assert recipient_unseen_days(attempt(action=action, history=history(**known))) == days


def test_sums() -> None:
    """Amount and currency are the action's; the sum of a day needs an amount and a history."""
    assert amount(attempt(action=PAYMENT)) == 100.0
    assert currency(attempt(action=PAYMENT)) == "EUR"
    assert amount_24h(attempt(action=PAYMENT, history=history(amount_24h=700.0))) == 700.0
    assert amount_24h(attempt(action=PAYMENT)) is None
    assert amount_24h(attempt(history=history(amount_24h=700.0))) is None
