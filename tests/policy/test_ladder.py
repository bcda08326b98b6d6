"""What a session proves, and which step-up is asked for."""

from datetime import timedelta
from typing import Any

import pytest

from riskd.contract import StepUp
from riskd.policy.ladder import FIRST_CHOICE_METHODS, Attack, Ladder
from riskd.policy.load import SHIPPED, load
from riskd.policy.schema import Assurance
from tests.attempts import NOON

LADDER = load(SHIPPED / "default.yaml").ladder
QUARTER = timedelta(minutes=15)
QUIET = Attack()


def ask(
    level: int = 2, enrolled: tuple[str, ...] | None = None, attack: Attack = QUIET, ladder: Ladder = LADDER
) -> StepUp:
    """What a step-up to this level must achieve."""
    return ladder.step_up(level, ladder.max_age(level), NOON, enrolled, attack)


def ladder_of(**assurance: Any) -> Ladder:  # noqa: ANN401 - parts of a policy vary
    """A ladder of one level with these parts."""
    level = {"level": 1, "acr": {"oidc": ["one"]}, "amr": ["pwd"], "max_age": "5m"}
    return Ladder(Assurance.model_validate({"levels": [level], **assurance}))


@pytest.mark.parametrize(
    ("acr", "age_s", "level", "satisfied"),
    [
        ("mfa", 10.0, 2, True),
        ("mfa", 900.0, 2, True),
        ("mfa", 901.0, 2, False),  # no longer fresh
        ("phr", 10.0, 2, True),  # more than is asked
        ("mfa", 10.0, 3, False),  # less
        ("gold", 10.0, 2, True),  # in another dialect
        ("https://refeds.org/profile/mfa", 10.0, 2, True),
        ("nonsense", 10.0, 1, False),
        (None, 10.0, 1, False),
        ("mfa", None, 2, False),
    ],
)
def test_satisfied(acr: str | None, age_s: float | None, level: int, satisfied: bool) -> None:
    """A session satisfies a level by an `acr` of that level or higher, in any dialect, that is fresh enough."""
    assert LADDER.satisfied(acr, age_s, level, QUARTER) is satisfied


def test_the_highest_claim_counts() -> None:
    """An `acr` that two levels claim proves the higher of them."""
    levels = [
        {"level": n, "acr": {"oidc": ["same"]}, "amr": ["pwd"], "max_age": "5m"} for n in (1, 4)
    ]  # fmt: skip
    assert ladder_of(levels=levels).level_of == {"same": 4}


def test_what_is_asked() -> None:
    """A step-up names the dialect's `acr` values from its level up, its age, and when it stops being worth it."""
    found = ask()
    assert found.level == 2
    assert found.acr_values == ("urn:riskd:loa:2", "2", "mfa", "phr", "phrh")
    assert found.max_age == 900
    assert found.expires_at == NOON + timedelta(minutes=10)
    assert ask(3).acr_values == ("phr", "phrh")
    assert ask(3).max_age == 300


def test_an_action_may_ask_for_fresher_evidence() -> None:
    """The age that the action allows is what the answer says."""
    assert LADDER.step_up(2, timedelta(seconds=60), NOON, None, QUIET).max_age == 60


def test_methods_reach_the_level() -> None:
    """Only methods that reach the level are named, phishing-resistant ones first, at most five."""
    assert ask().methods == ("webauthn", "smartcard", "totp", "push", "sms")
    assert ask(3).methods == ("webauthn", "smartcard")
    assert len(ask().methods) == FIRST_CHOICE_METHODS


@pytest.mark.parametrize(
    ("enrolled", "methods"),
    [
        (("sms", "totp"), ("totp", "sms")),
        (("totp", "webauthn"), ("webauthn", "totp")),
        (("carrier_pigeon", "sms"), ("sms",)),
        ((), ("webauthn", "smartcard", "totp", "push", "sms")),
        (("carrier_pigeon",), ("webauthn", "smartcard", "totp", "push", "sms")),
        (None, ("webauthn", "smartcard", "totp", "push", "sms")),
    ],
)
def test_what_is_enrolled_comes_first(enrolled: tuple[str, ...] | None, methods: tuple[str, ...]) -> None:
    """Only what the subject has enrolled is named, best first; with nothing of use enrolled, all that would do."""
    assert ask(enrolled=enrolled).methods == methods


def test_enrolled_too_weak_for_the_level() -> None:
    """What is enrolled but does not reach the level is not offered."""
    assert ask(3, ("totp", "sms")).methods == ("webauthn", "smartcard")


def test_changed_contact_data_prove_nothing() -> None:
    """After a change of contact data no code is sent there, enrolled or not."""
    changed = Attack(contact_changed=True)
    assert {"sms", "email"}.isdisjoint(ask(attack=changed).methods)
    assert ask(enrolled=("sms", "email", "totp"), attack=changed).methods == ("totp",)
    assert {"sms", "email"}.isdisjoint(ask(enrolled=("sms",), attack=changed).methods)


def test_guessing_puts_push_last() -> None:
    """While somebody guesses passwords a prompt that only needs a tap comes last."""
    assert ask(enrolled=("push", "sms", "totp")).methods == ("totp", "push", "sms")
    assert ask(enrolled=("push", "sms", "totp"), attack=Attack(guessing=True)).methods == ("totp", "sms", "push")


def test_amr_follow_the_methods() -> None:
    """The methods' `amr` values come in their order without repeats; without methods, the level's own."""
    assert ask(enrolled=("webauthn", "totp")).amr_values == ("hwk", "pop", "otp")
    assert ladder_of().step_up(1, QUARTER, NOON, None, QUIET).amr_values == ("pwd",)
    assert ladder_of().step_up(1, QUARTER, NOON, None, QUIET).methods == ()


def test_a_dialect_without_values() -> None:
    """A dialect in which the level has no `acr` leaves them out and still names methods."""
    methods = [{"name": "totp", "level": 1, "amr": ["otp"]}]
    found = ask(1, ladder=ladder_of(dialect="okta", methods=methods))
    assert found.acr_values == ()
    assert found.methods == ("totp",)
