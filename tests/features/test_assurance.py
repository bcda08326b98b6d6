"""What the session proves, and what is asked for."""

import pytest

from riskd.features import FEATURES
from riskd.features.assurance import action_name, auth_age_minutes, auth_context, endpoint
from tests.attempts import attempt


@pytest.mark.parametrize(
    ("feature", "group", "fact"),
    [
        ("leaked", "subject", "leaked_credential"),
        ("email_disposable", "subject", "email_disposable"),
        ("path_obfuscated", "action", "path_obfuscated"),
    ],
)
def test_flags(feature: str, group: str, fact: str) -> None:
    """A flag is 1 or 0 as the facts say, and unknown when they do not."""
    compute = FEATURES[feature].compute
    assert [compute(attempt(**{group: {fact: value}})) for value in (True, False, None)] == [1.0, 0.0, None]


def test_texts_and_ages() -> None:
    """Texts are the facts' own; the age of the authentication comes in minutes."""
    facts = attempt(subject={"auth_age_s": 90.0, "acr": "mfa"}, action={"name": "export", "path": "/export"})
    assert auth_age_minutes(facts) == 1.5
    assert auth_context(facts) == "mfa"
    assert action_name(facts) == "export"
    assert endpoint(facts) == "/export"
    assert auth_age_minutes(attempt()) is None
