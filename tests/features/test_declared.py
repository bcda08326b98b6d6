"""What a model reads beside the features: as it is, as a multiple of the usual, as what was learned; or unknown."""

import pytest

from riskd.features.declared import AmountInput, AttributeInput, HourInput, VelocityInput, encoded
from tests.attempts import attempt

USUAL = {"EUR": 50.0, "JPY": 8000.0}


@pytest.mark.parametrize(
    ("action", "read"),
    [
        ({"amount": 200.0, "currency": "EUR"}, 4.0),
        ({"amount": 200.0, "currency": "JPY"}, 0.025),
        ({"amount": 0.0, "currency": "EUR"}, 0.0),
        ({"amount": 200.0, "currency": "NOK"}, None),
        ({"currency": "EUR"}, None),
        ({}, None),
    ],
)
def test_money_is_a_multiple_of_what_is_usual(action: dict[str, object], read: float | None) -> None:
    """In every currency that was learned; another one, or no amount, is unknown. Sums of a velocity alike."""
    assert AmountInput(USUAL).read(attempt(action=action)) == read
    summed = VelocityInput("spent_24h:0a1b2c3d", USUAL)
    assert summed.read(attempt(action=action, velocities={"spent_24h:0a1b2c3d": action.get("amount")})) == read


def test_the_hour_is_that_of_the_moment() -> None:
    """Noon in UTC is 12, whatever the client's clock says."""
    assert HourInput().read(attempt(device={"utc_offset_minutes": 120})) == 12.0


def test_a_count_is_read_as_it_is() -> None:
    """Under the very definition that was learned: another, or what the attempt does not present, is unknown."""
    count = VelocityInput("payments_24h:0a1b2c3d")
    assert count.read(attempt(velocities={"payments_24h:0a1b2c3d": 7.0})) == 7.0
    assert count.read(attempt(velocities={"payments_24h:ffffffff": 7.0})) is None
    assert count.read(attempt(velocities={"payments_24h:0a1b2c3d": None})) is None
    assert count.read(attempt()) is None


def test_attributes_of_another_kind_are_unknown() -> None:
    """A category counts by what was learned of it, numbers and flags as they are, anything else not at all."""
    inputs = (AttributeInput("shop", {"books": -2.0}), AttributeInput("km"))
    told = [
        encoded(inputs, attempt(attributes=given))
        for given in ({"shop": "books", "km": 3}, {"shop": "toys", "km": True}, {"shop": 7.0, "km": "far"},
                      {"km": float("inf")}, {})
    ]  # fmt: skip
    assert told == [(-2.0, 3.0), (None, 1.0), (None, None), (None, None), (None, None)]


def test_inputs_are_called_as_in_a_policy() -> None:
    """By the words of its expressions; a velocity's fingerprint stays out of sight."""
    inputs = (AmountInput(USUAL), HourInput(), VelocityInput("spent_24h:0a1b2c3d"), AttributeInput("shop"))
    assert [one.label for one in inputs] == ["action.amount", "time.hour", "velocity.spent_24h", "attributes.shop"]
