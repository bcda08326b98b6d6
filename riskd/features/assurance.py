"""What the session proves, and what is asked for."""

from riskd.facts import Facts
from riskd.features.feature import feature, flag, signal_feature


@feature
def auth_age_minutes(facts: Facts) -> float | None:
    """Minutes since the subject last actively authenticated."""
    return None if facts.subject.auth_age_s is None else facts.subject.auth_age_s / 60


@signal_feature
def auth_context(facts: Facts) -> str | None:
    """The session's authentication context class (`acr`)."""
    return facts.subject.acr


@signal_feature
def leaked(facts: Facts) -> float | None:
    """1 when the credential is known from a breach corpus, by the caller's word or else by the policy's hash set."""
    return flag(facts.subject.leaked_credential)


@signal_feature
def email_disposable(facts: Facts) -> float | None:
    """1 when the subject's e-mail domain hands out throw-away addresses."""
    return flag(facts.subject.email_disposable)


@signal_feature
def action_name(facts: Facts) -> str | None:
    """Name of the action."""
    return facts.action.name


@signal_feature
def endpoint(facts: Facts) -> str | None:
    """Normalised path of the endpoint."""
    return facts.action.path


@signal_feature
def path_obfuscated(facts: Facts) -> float | None:
    """1 when the raw path differs from its normalised form in a way no honest client writes it."""
    return flag(facts.action.path_obfuscated)
