"""What is asked for needs more than the session proves."""

from collections.abc import Mapping
from types import MappingProxyType

from riskd.contract import Outcome
from riskd.signals.signal import signal

NO_LEVELS: Mapping[str, int] = MappingProxyType({})


@signal(weight=0.10)
def sensitive_endpoint(action_name: str, *, sensitive: bool = False) -> bool:
    """The action or endpoint is of a sensitive class: administration, payment, export, credential change.

    False alarms: it says what is at stake, not who acts; it matters beside other reasons. The classes come from the
    policy's `actions` and `resources`.
    """
    return sensitive and bool(action_name)


@signal(weight=0.0, floor=Outcome.STEP_UP)
def stale_authentication(auth_age_minutes: float, *, max_age_minutes: float = 0.0) -> bool:
    """The last authentication is older than this action allows.

    False alarms: none; the policy's `requires.max_age` says what is too old (0: any age will do).
    """
    return 0 < max_age_minutes < auth_age_minutes


@signal(weight=0.0, floor=Outcome.STEP_UP)
def weak_authentication(auth_context: str, *, level: int = 0, levels: Mapping[str, int] = NO_LEVELS) -> bool:
    """The session's authentication is weaker than this action needs.

    False alarms: an `acr` that the assurance ladder does not list counts as level 0. The policy's `requires.level` says
    what is needed.
    """
    return levels.get(auth_context, 0) < level


@signal(weight=0.45)
def leaked_credential(leaked: float) -> bool:
    """The credential is known from a breach.

    False alarms: a breach corpus that matches a common password, not this account; among a thousand million hashes
    one password in 1,100 by chance, if the caller sends the shortest prefix.
    """
    return leaked > 0


@signal(weight=0.20)
def disposable_email(email_disposable: float) -> bool:
    """The account's e-mail domain hands out throw-away addresses.

    False alarms: privacy-minded people with forwarding addresses.
    """
    return email_disposable > 0


@signal(weight=0.40)
def path_obfuscation(path_obfuscated: float) -> bool:
    """The path is written so that a filter might read it differently than the application.

    False alarms: clients that double-encode by mistake.
    """
    return path_obfuscated > 0
