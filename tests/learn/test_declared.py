"""Which declared inputs a head reads: those that hold on later attacks, on others than those attacked before."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pytest
from msgspec.structs import replace

from riskd.facts import Facts
from riskd.features import MODEL_FEATURES
from riskd.features.declared import AmountInput, AttributeInput, HourInput, VelocityInput
from riskd.features.velocity import Velocity
from riskd.learn.declared import LEAST_AMOUNTS, LEAST_LATER, Declared, candidates, columns, learned, usual_amounts
from tests.attempts import NOON, attempt

SPENT = Velocity(name="spent_1h", kind="sum", of="amount", per="subject", window_s=3600)
PAID = Velocity(name="paid_1h", kind="count", of="attempts", per="subject", window_s=3600)
POINTS = Velocity(name="points_1h", kind="sum", of="attributes.points", per="subject", window_s=3600)
Flags = npt.NDArray[np.bool_]


def payments(many: int, *, subjects: int = 400, share: float = 0.04) -> tuple[list[Facts], Flags]:
    """Payments in the order of time: attacks are farther away.

    `age` names the subject, and a subject is attacked once; attacks before the last third are in the shop that then the
    honest go to; `noise` says nothing.
    """
    chance = np.random.default_rng(5)
    attack = chance.random(many) < share
    victims = iter(chance.permutation(subjects).tolist() * many)
    made, honest = [], chance.integers(subjects, size=many).tolist()
    for number, is_attack in enumerate(attack.tolist()):
        who = next(victims) if is_attack else honest[number]
        early = number < many * 2 / 3
        shop = "gift cards" if is_attack == early and chance.random() < 0.9 else "books"
        one = attempt(
            subject={"token": f"s{who}"},
            action={"name": "payment", "amount": 20.0, "currency": "EUR"},
            attributes={
                "age": 20.0 + who / 7,
                "shop": shop,
                "noise": float(chance.random()),
                "km": float(chance.lognormal(5.5 if is_attack else 4.0, 0.8)),
            },
            velocities={SPENT.key: 60.0, PAID.key: 3.0},
        )
        made.append(replace(one, time=NOON + timedelta(minutes=number)))
    return made, attack


def features(many: int) -> npt.NDArray[np.float32]:
    """Features that tell nothing."""
    return np.random.default_rng(6).random((many, len(MODEL_FEATURES))).astype(np.float32)


def labels_of(declared: Declared, facts: Sequence[Facts], attack: Flags) -> list[str]:
    """What is read of it."""
    found = learned(declared, facts, features(len(facts)), attack, np.ones(len(facts)), seed=1)
    return [one.input.label for one in found]


def test_what_holds_is_read_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The distance goes with attacks; the age names victims, the meaning of the shop moves, and noise says nothing."""
    monkeypatch.setattr("riskd.learn.declared._ROUNDS", 20)
    facts, attack = payments(4500)
    declared = Declared({"age": "number", "shop": "text", "noise": "number", "km": "number"}, (PAID,))
    assert labels_of(declared, facts, attack) == ["velocity.paid_1h", "attributes.km"]


def test_too_few_later_attacks_say_nothing() -> None:
    """Where nobody can say what holds, velocities alone are read."""
    facts, attack = payments(3000, share=0.006)
    assert 10 <= attack.sum() < 3 * LEAST_LATER
    assert labels_of(Declared({"km": "number"}, (SPENT,)), facts, attack) == ["velocity.spent_1h"]


def test_counts_may_only_raise_the_risk() -> None:
    """So may sums of money and the odds of a category; of amounts and numbers the direction is not known beforehand."""
    facts, attack = payments(300)
    declared = Declared({"age": "number", "shop": "text", "own": "flag"}, (PAID, SPENT, POINTS))
    found = [learn(facts, attack) for learn in candidates(declared)]
    told = [(type(one.input), one.direction) for one in found if one is not None]
    assert told == [
        (AmountInput, 0), (HourInput, 0), (VelocityInput, 1), (VelocityInput, 1), (VelocityInput, 0),
        (AttributeInput, 0), (AttributeInput, 1), (AttributeInput, 0),
    ]  # fmt: skip


def test_a_policy_without_amounts_or_velocities_reads_none() -> None:
    """Logins have no amount: nothing is learned of it."""
    facts = [attempt() for _ in range(50)]
    amount, hour, spent = (learn(facts, np.zeros(50, dtype=bool)) for learn in candidates(Declared({}, (SPENT,))))
    assert (amount, spent) == (None, None)
    assert hour is not None


def test_the_usual_amount_is_that_of_honest_attempts() -> None:
    """Their median, for each currency of which there are enough; attacks do not move it, nor do zeros."""

    def paid(amount: float, currency: str) -> Facts:
        return attempt(action={"amount": amount, "currency": currency})

    facts = [paid(amount, "EUR") for amount in (10.0, 30.0, 50.0)] * LEAST_AMOUNTS
    facts += [paid(1e6, "EUR"), paid(0.0, "EUR")] * 500 + [paid(7.0, "NOK")] * (LEAST_AMOUNTS - 1)
    attack = np.array([one.action.amount == 1e6 for one in facts])
    assert usual_amounts(facts, attack) == {"EUR": 30.0}


@pytest.mark.filterwarnings("error")
def test_columns_hold_any_number_a_log_may_say() -> None:
    """Beyond a float32 it is cut, unknown is NaN; without inputs there are no columns."""
    inputs = (AttributeInput("km"),)
    facts = [attempt(attributes={"km": value}) for value in (1e300, -1e300, 2.5, "far")]
    read = columns(inputs, facts)[:, 0]
    assert np.isfinite(read[:3]).all()
    assert read[2] == 2.5
    assert np.isnan(read[3])
    assert columns((), facts).shape == (4, 0)
