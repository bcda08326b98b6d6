"""What came out otherwise than expected."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from riskd.app.cases.compare import differences
from riskd.app.cases.schema import Expectation
from riskd.contract import Decision, Obligation, Reason, StepUp

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
ASKED = Decision(
    decision="step_up",
    score=60.0,
    score_range=(60.0, 70.0),
    reasons=(
        Reason(code="new_device", text="", contribution=40.0),
        Reason(code="new_country", text="", contribution=20.0),
    ),
    step_up=StepUp(
        level=2,
        acr_values=("2", "mfa"),
        amr_values=("otp",),
        methods=("totp", "sms"),
        max_age=900,
        expires_at=NOW + timedelta(minutes=10),
    ),
    obligations=(Obligation(id="step-up", type="step_up"),),
    degraded=("geo", "model"),
    decision_id="x",
    policy_revision="r",
    model_version=None,
    evaluated_at=NOW,
)
LET_IN = ASKED.model_copy(update={"decision": "allow", "step_up": None, "degraded": ()})


@pytest.mark.parametrize(
    "expected",
    [
        {"decision": "step_up"},
        {"reasons": ["new_country"], "not_reasons": ["tor_exit"]},
        {"step_up": {"level": 2, "methods": ["totp", "sms"], "max_age": "15m"}},
        {"step_up": {}},
        {"step_up": {"acr_values": ["2", "mfa"], "amr_values": ["otp"]}},
        {"obligations": ["step-up"]},
        {"degraded": ["model", "geo"]},
        {"score": {"min": 60, "max": 60}},
        {"score": {"min": 60}},
    ],
)
def test_what_is_as_expected(expected: dict[str, Any]) -> None:
    """Nothing differs: reasons and obligations are a part of all, a step-up is compared in what is said of it."""
    assert differences(Expectation.model_validate(expected), ASKED) == ()


@pytest.mark.parametrize(
    ("expected", "what", "wanted", "got"),
    [
        ({"decision": "deny"}, "decision", "deny", "step_up"),
        ({"reasons": ["tor_exit", "new_device"]}, "reasons", ["tor_exit"], ["new_device", "new_country"]),
        ({"not_reasons": ["new_device", "new_ip"]}, "not_reasons", ["new_device"], ["new_device", "new_country"]),
        ({"step_up": None}, "step_up", None, {"level": 2, "methods": ["totp", "sms"]}),
        ({"step_up": {"level": 3}}, "step_up.level", 3, 2),
        ({"step_up": {"methods": ["sms", "totp"]}}, "step_up.methods", ["sms", "totp"], ["totp", "sms"]),
        ({"step_up": {"max_age": "5m"}}, "step_up.max_age", 300.0, 900),
        ({"obligations": ["tell"]}, "obligations", ["tell"], ["step-up"]),
        ({"degraded": []}, "degraded", [], ["geo", "model"]),
        ({"degraded": ["store", "geo", "model"]}, "degraded", ["store", "geo", "model"], ["geo", "model"]),
        ({"score": {"min": 60.1}}, "score", "60.1 to 100", 60.0),
        ({"score": {"max": 59.9}}, "score", "0 to 59.9", 60.0),
    ],
)
def test_what_is_otherwise(expected: dict[str, Any], what: str, wanted: object, got: object) -> None:
    """Each thing that differs is named with what was expected and what came."""
    (difference,) = differences(Expectation.model_validate(expected), ASKED)
    assert (difference.what, difference.expected, difference.got) == (what, wanted, got)


def test_a_step_up_that_did_not_come() -> None:
    """Who expects a step-up and gets none is told what it should have been; who expects none has it."""
    expected = Expectation.model_validate({"step_up": {"level": 3, "methods": ["webauthn"]}})
    (difference,) = differences(expected, LET_IN)
    assert difference.expected == {"level": 3, "methods": ["webauthn"]}
    assert difference.got is None
    assert differences(Expectation.model_validate({"step_up": None, "degraded": []}), LET_IN) == ()
