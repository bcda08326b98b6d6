"""Another past of the account and its session, or other proof of who acts."""

from msgspec.structs import replace

from riskd.counterfactual.change import DAY_S, Change, in_history
from riskd.facts import Facts, PayloadSeen
from riskd.policy import Plan, Policy

OLD_DAYS = 3650.0
"""Age of an account of long standing, days: beyond every knob's reach."""


def without_failures(facts: Facts) -> Change | None:
    """Without the subject's failures of the last hour, and no success straight after them."""
    history = facts.history
    if history is None or (not history.failures_1h and history.success_after_failures_age_s is None):
        return None
    cleared = {"failures_10m": 0, "failures_1h": 0, "failure_ips_1h": 0, "success_after_failures_age_s": None}
    return Change("without_failures", "without the recent failures", lambda facts: in_history(facts, **cleared))


def without_changes(facts: Facts) -> Change | None:
    """Without the changes of contact data, password, factors and payees."""
    names = ("contact_change_age_s", "password_change_age_s", "factor_change_age_s", "recipient_added_age_s")
    if facts.history is None or all(getattr(facts.history, name) is None for name in names):
        return None
    cleared = dict.fromkeys(names)
    return Change(
        "without_changes", "without the recent changes to the account", lambda facts: in_history(facts, **cleared)
    )


def settled_report(facts: Facts) -> Change | None:
    """Once the subject's report of an attempt, or the fraud, is confirmed to have been a mistake."""
    if facts.history is None or facts.history.reported_age_s is None:
        return None
    return Change(
        "settled_report",
        "with the report confirmed to be a mistake",
        lambda facts: in_history(facts, confirmed_safe_age_s=0.0),
    )


def steady_session(facts: Facts) -> Change | None:
    """In a session that did not change country, device or network in mid-flight."""
    if facts.history is None or facts.history.session_hop_age_s is None:
        return None
    return Change(
        "steady_session",
        "without the session's change of country, device or network",
        lambda facts: in_history(facts, session_hop_age_s=None),
    )


def only_session(facts: Facts) -> Change | None:
    """Without the subject's other live sessions."""
    if facts.history is None or not facts.history.sessions:
        return None
    return Change("only_session", "without the other live sessions", lambda facts: in_history(facts, sessions=()))


def own_payload(facts: Facts) -> Change | None:
    """With a device payload that was never seen before."""
    replayed = facts.payload is not None and facts.payload.elsewhere
    if not replayed and (facts.history is None or facts.history.replayed_age_s is None):
        return None

    def apply(facts: Facts) -> Facts:
        fresh = replace(facts, payload=facts.payload and PayloadSeen(age_s=None, elsewhere=False))
        return in_history(fresh, replayed_age_s=None)

    return Change("own_payload", "with a device payload of its own", apply)


def recent_success(facts: Facts) -> Change | None:
    """With a confirmed success of the subject a day ago."""
    if facts.history is None or (facts.history.last_confirmed_age_s or 0.0) <= DAY_S:
        return None
    return Change(
        "recent_success",
        "after a confirmed success the day before",
        lambda facts: in_history(facts, last_confirmed_age_s=DAY_S),
    )


def old_account(facts: Facts) -> Change | None:
    """On an account of long standing."""
    age_days = facts.subject.account_age_days
    if age_days is None or age_days >= OLD_DAYS:
        return None
    return Change(
        "old_account",
        "on an account of long standing",
        lambda facts: replace(facts, subject=replace(facts.subject, account_age_days=OLD_DAYS)),
    )


def unleaked_credential(facts: Facts) -> Change | None:
    """With a password that is in no breach corpus."""
    if not facts.subject.leaked_credential:
        return None
    return Change(
        "unleaked_credential",
        "with a password that did not leak",
        lambda facts: replace(facts, subject=replace(facts.subject, leaked_credential=False)),
    )


def lasting_email(facts: Facts) -> Change | None:
    """With an e-mail address that is not disposable."""
    if not facts.subject.email_disposable:
        return None
    return Change(
        "lasting_email",
        "with an e-mail address that is not disposable",
        lambda facts: replace(facts, subject=replace(facts.subject, email_disposable=False)),
    )


def off_deny_lists(facts: Facts) -> Change | None:
    """On none of the policy's deny lists."""
    if not facts.lists.denied:
        return None

    def apply(facts: Facts) -> Facts:
        return replace(facts, lists=replace(facts.lists, denied=()))

    return Change("off_deny_lists", "were it on no deny list", apply)


def plain_path(facts: Facts) -> Change | None:
    """With the path written plainly."""
    if not facts.action.path_obfuscated:
        return None
    return Change(
        "plain_path",
        "with the path written plainly",
        lambda facts: replace(facts, action=replace(facts.action, path_obfuscated=False)),
    )


def sources_up(facts: Facts) -> Change | None:
    """With every source up, and nothing in those that were down that speaks against the subject."""
    if not facts.down:
        return None
    return Change("sources_up", "with every source up", lambda facts: replace(facts, down=()))


def fresh_authentication(policy: Policy, plan: Plan) -> Change | None:
    """With an authentication just now, of the level that a step-up asks for."""
    acr = next((acr for acr, level in policy.ladder.level_of.items() if level >= plan.level), None)
    if acr is None:
        return None
    return Change(
        FRESH_AUTHENTICATION,
        f"with a fresh authentication of level {plan.level}",
        lambda facts: replace(facts, subject=replace(facts.subject, acr=acr, auth_age_s=0.0)),
        value=float(plan.level),
    )


FRESH_AUTHENTICATION = fresh_authentication.__name__
