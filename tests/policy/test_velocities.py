"""Velocities in the policy: every mistake is told with its place, and a sound one is counted, read and limited."""

from datetime import timedelta

import pytest

from riskd.contract import Outcome
from riskd.errors import PolicyError
from riskd.evaluation import evaluate
from riskd.features.velocity import Velocity
from riskd.policy import Policy
from riskd.policy.load import parse
from riskd.policy.velocities import written
from riskd.reference import VELOCITIES_ARE
from tests.attempts import attempt

LADDER = """\
version: 1
assurance: {levels: [{level: 2, acr: {oidc: [two]}, amr: [otp], max_age: 15m}]}
actions:
  payment: {names: [pay]}
"""


def policy(text: str) -> Policy:
    """Compile a policy with a ladder and one class of actions, whose velocities begin on line 6."""
    return parse(f"{LADDER}{text}".encode(), "riskd.yaml")


def velocities(*lines: str) -> str:
    """Declare velocities, one a line."""
    return "velocities:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


A = "name: a_1h, count: attempts, per: ip, window: 1h"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            velocities("name: a, count: attempts, per: ip, window: 1h"),
            "6:12: velocities.0.name: must end in its window, as in 'a_1h'; did you mean a_1h?",
        ),
        (
            velocities("name: a_10m, count: attempts, per: ip, window: 90m"),
            "6:12: velocities.0.name: must end in its window, as in 'a_90m'; did you mean a_90m?",
        ),
        (
            velocities("name: a_1h, count: attempts, per: ip, window: 0.5s"),
            "6:52: velocities.0.window: must be 1s to 30d, in whole seconds",
        ),
        (
            velocities("name: a_31d, count: attempts, per: ip, window: 31d"),
            "6:53: velocities.0.window: must be 1s to 30d, in whole seconds",
        ),
        (
            velocities("name: a_1h, per: ip, window: 1h"),
            "6:5: velocities.0: says none of count, sum and distinct: it needs one of the three",
        ),
        (
            velocities(f"{A}, distinct: device"),
            "6:5: velocities.0: says count and distinct: it needs one of the three",
        ),
        (
            velocities("name: a_1h, count: attempts, per: adress, window: 1h"),
            "6:40: velocities.0.per: must be subject, ip, network, device, recipient or attributes.<name>",
        ),
        (
            velocities("name: a_1h, distinct: devices, per: ip, window: 1h"),
            (
                "6:28: velocities.0.distinct: must be subject, ip, network, device, recipient, country or"
                " attributes.<name>; did you mean device?"
            ),
        ),
        (
            velocities("name: a_1h, sum: amounts, per: ip, window: 1h"),
            "6:23: velocities.0.sum: must be amount or attributes.<name>; did you mean amount?",
        ),
        (
            velocities("name: a_1h, distinct: ip, per: ip, window: 1h"),
            "6:28: velocities.0.distinct: is always 1: every ip has one ip",
        ),
        (
            "attributes: {plan: text}\n" + velocities("name: a_1h, sum: attributes.plan, per: ip, window: 1h"),
            "7:23: velocities.0.sum: attributes.plan is declared a text; only numbers have a sum",
        ),
        (velocities(A, A), "7:12: velocities.1.name: two velocities are called 'a_1h'"),
        (
            velocities(f"{A}, actions: [paymnt]"),
            "6:66: velocities.0.actions.0: no such class of actions: 'paymnt'; did you mean payment?",
        ),
        (velocities(f"{A}, floor: deny"), "6:56: velocities.0.floor: says nothing without a limit"),
        (
            velocities(f"{A}, limit: -1"),
            "6:63: velocities.0.limit: should be greater than or equal to 0 (got '-1')",
        ),
        (
            velocities(f"{A}, limit: 3")
            + "custom_signals: [{code: velocity_a_1h, when: velocity.a_1h > 3.0, weight: 0.1, text: t}]\n",
            "6:12: velocities.0.name: its limit makes the signal 'velocity_a_1h', and another is called so",
        ),
        (
            velocities(*(A.replace("a_1h", f"a{n}_1h") for n in range(33))),
            "5:1: velocities: Tuple should have at most 32 items after validation, not 33",
        ),
        (
            velocities(f"{A}, actions: [payment]")
            + "custom_signals: [{code: c, when: velocity.a_1h > 3.0, weight: 0.1, text: t}]\n",
            (
                "7:34: custom_signals.0.when: reads velocity.a_1h, which is counted for payment only:"
                " give the signal `actions` among these"
            ),
        ),
    ],
)
def test_broken(text: str, says: str) -> None:
    """A mistake is told once, with line, column and the nearest right words."""
    with pytest.raises(PolicyError) as caught:
        policy(text)
    assert [mistake.at("riskd.yaml") for mistake in caught.value.mistakes] == [f"riskd.yaml:{says}"]


def test_a_misspelt_velocity_in_an_expression() -> None:
    """An expression that reads a velocity nobody declares is a mistake with the nearest names."""
    signal = "custom_signals: [{code: c, when: velocity.payout_24h > 3.0, weight: 0.1, text: t}]\n"
    with pytest.raises(PolicyError) as caught:
        policy(velocities("name: payouts_24h, count: attempts, per: ip, window: 24h") + signal)
    (mistake,) = caught.value.mistakes
    assert "velocity.payouts_24h" in mistake.nearest


def test_what_is_counted_of_each_class() -> None:
    """A velocity without classes is counted for all, one with classes for these; equal companies are one object."""
    made = policy(velocities(A, "name: b_24h, distinct: recipient, per: subject, window: 1d, actions: [payment]"))
    other, payment = (made.plan(name, None, None, None).counted for name in ("view", "pay"))
    assert other is not None
    assert payment is not None
    assert [v.name for v in other.velocities] == ["a_1h"]
    assert [v.name for v in payment.velocities] == ["a_1h", "b_24h"]
    assert made.plan("login", None, None, None).counted is other
    assert policy("").plan("pay", None, None, None).counted is None


def test_the_id_is_the_definition() -> None:
    """Every part of a definition is in its id, the order of classes is not."""
    usual = {"name": "a_1h", "kind": "sum", "of": "amount", "per": "ip", "window_s": 3600.0, "actions": ("a", "b")}
    changes = [
        {"name": "b_1h"},
        {"kind": "distinct"},
        {"of": "attributes.amount"},
        {"per": "device"},
        {"window_s": 60.0},
        {"actions": ("a",)},
    ]
    made = [Velocity(**{**usual, **change}) for change in ({}, *changes)]
    assert len({velocity.id for velocity in made}) == len(made)
    assert Velocity(**{**usual, "actions": ("b", "a")}).id == made[0].id
    assert made[0].key == f"a_1h:{made[0].id}"


LIMITED = velocities(
    f"{A}, limit: 3, weight: 0.6, actions: [payment]",
    "name: paid_24h, sum: amount, per: recipient, window: 24h, limit: 5000, floor: deny",
    "name: ids_2d, distinct: attributes.doc, per: device, window: 2d, limit: 1.5, text: Too many papers.",
)


def test_a_limit_is_a_signal() -> None:
    """Above its limit a velocity hits with its weight, floor and text, at it it is clear, untold it is unknown."""
    made = policy(LIMITED)
    key = {name: velocity.key for name, velocity in made.velocities.items()}
    hit = evaluate(attempt(action={"name": "pay"}, velocities={key["a_1h"]: 4.0, key["paid_24h"]: 5000.0}), made, None)
    (one,) = [h for h in hit.hits if h.question.code.startswith("velocity_")]
    assert (one.question.code, one.inputs, one.strength) == ("velocity_a_1h", (4.0,), 1.0)
    assert one.question.signal.text == "More than 3 attempts per address in 1h."
    assert "velocity_ids_2d" in hit.unknown
    assert "velocity_paid_24h" not in hit.unknown
    denied = evaluate(attempt(action={"name": "view"}, velocities={key["paid_24h"]: 5000.01}), made, None)
    assert denied.outcome is Outcome.DENY
    assert "velocity_a_1h" not in denied.unknown
    texts = [q.signal.text for q in made.plan("pay", None, None, None).questions if q.signal.family == "velocity"]
    assert "More than 5,000 in amounts per recipient in 24h." in texts
    assert "Too many papers." in texts


def test_expressions_read_velocities() -> None:
    """A velocity is a number among an expression's variables, beside attributes, facts and features."""
    made = policy(
        velocities(f"{A}, limit: 100", "name: b_1d, distinct: country, per: subject, window: 24h")
        + "custom_signals: [{code: c, when: velocity.a_1h > 3.0 * velocity.b_1d && action.amount > 1.0,"
        " weight: 0.5, text: t}]\n"
    )
    a, b = (velocity.key for velocity in made.velocities.values())
    action = {"name": "pay", "amount": 2.0, "currency": "EUR"}
    for values, state in (({a: 7.0, b: 2.0}, "hit"), ({a: 6.0, b: 2.0}, "clear"), ({a: 7.0, b: None}, "unknown")):
        found = evaluate(attempt(action=action, velocities=values), made, None)
        hits = [h.question.code for h in found.hits]
        assert ("c" in hits, "c" in found.unknown) == (state == "hit", state == "unknown")


@pytest.mark.parametrize(
    ("seconds", "said"), [(1, "1s"), (90, "90s"), (120, "2m"), (5400, "90m"), (86_400, "24h"), (172_800, "2d")]
)
def test_a_window_is_written_as_names_write_it(seconds: int, said: str) -> None:
    """A window is written in its largest whole unit."""
    assert written(timedelta(seconds=seconds)) == said


def test_the_example_in_the_reference_is_sound() -> None:
    """The policy that the reference shows compiles, and counts what it says."""
    example = VELOCITIES_ARE.partition("```yaml\n")[2].partition("```")[0]
    made = policy(example)
    assert list(made.velocities) == ["payouts_per_recipient_24h", "paid_1h", "cards_on_device_7d"]
    codes = {q.code for q in made.plan("pay", None, None, None).questions}
    assert {"velocity_payouts_per_recipient_24h", "velocity_cards_on_device_7d", "many_small_payouts"} <= codes
