"""Whose session: hops, concurrent sessions, replays, account changes and reports."""

from riskd.facts import Facts
from riskd.features.feature import DAY_S, NEVER_DAYS, days_since, feature, signal_feature
from riskd.features.place import net_distance_km, vague


@signal_feature
def session_hop_age_s(facts: Facts) -> float | None:
    """Seconds since this session changed country, device or network too fast; -1 when it never did.

    Unknown without a session id.
    """
    if facts.history is None or facts.subject.session is None:
        return None
    age = facts.history.session_hop_age_s
    return -1.0 if age is None else age


@signal_feature
def session_distance_km(facts: Facts) -> float | None:
    """Distance to the farthest other live session of the subject, accuracy radii taken off, km; 0 without another."""
    history = facts.history
    if history is None or facts.place.latitude is None or vague(facts):
        return None
    farthest_km = 0.0
    for other in history.sessions:
        if other.latitude is not None and other.longitude is not None and not other.vague:
            net_km = net_distance_km(facts.place, other.latitude, other.longitude, other.accuracy_km)
            farthest_km = max(farthest_km, net_km)
    return farthest_km


@signal_feature
def sessions_together_age_s(facts: Facts) -> float | None:
    """Seconds since this session and the latest-started other live session have both been live.

    Without a session id of its own an attempt has only the other session's age.
    """
    history = facts.history
    if history is None:
        return None
    ages = [other.started_age_s for other in history.sessions]
    if facts.subject.session is not None:
        ages.append(history.session_age_s or 0.0)
    return min(ages, default=0.0)


@signal_feature
def replay_age_s(facts: Facts) -> float | None:
    """Seconds since the subject's device payload came a second time from elsewhere; -1 when it never did.

    Unknown when neither this attempt carries a payload digest nor an earlier one was replayed.
    """
    if facts.payload is not None and facts.payload.elsewhere:
        return 0.0
    earlier = None if facts.history is None else facts.history.replayed_age_s
    if earlier is not None:
        return earlier
    return None if facts.payload is None else -1.0


@feature
def success_after_failures_hours(facts: Facts) -> float | None:
    """Hours since a success that came straight after a burst of failures; 3650 days when there was none."""
    history = facts.history
    if history is None:
        return None
    age = history.success_after_failures_age_s
    return NEVER_DAYS * 24 if age is None else age / 3600


@signal_feature
def takeover_steps_1d(facts: Facts) -> float | None:
    """How far a takeover went in 24 hours, 0..3: contact changed, password changed too, then also factor or payee.

    In any order, since only the last time of each is kept: repeating the first step must not hide the others.
    """
    history = facts.history
    if history is None:
        return None
    if not _within_a_day(history.contact_change_age_s):
        return 0.0
    if not _within_a_day(history.password_change_age_s):
        return 1.0
    ends = _within_a_day(history.factor_change_age_s) or _within_a_day(history.recipient_added_age_s)
    return 3.0 if ends else 2.0


def _within_a_day(age_s: float | None) -> bool:
    return age_s is not None and age_s <= DAY_S


@feature
def credential_change_hours(facts: Facts) -> float | None:
    """Hours since the subject's contact, password or factors were last changed; 3650 days when never."""
    history = facts.history
    if history is None:
        return None
    contact_age_s, password_age_s = history.contact_change_age_s, history.password_change_age_s
    factor_age_s = history.factor_change_age_s
    if contact_age_s is None and password_age_s is None and factor_age_s is None:
        return NEVER_DAYS * 24
    return min([age for age in (contact_age_s, password_age_s, factor_age_s) if age is not None]) / 3600


@signal_feature
def reported_days(facts: Facts) -> float | None:
    """Days since an attempt was reported as not the subject's, or fraud was confirmed; 3650 when never.

    Answered, and so never, once a later success was confirmed: after a report that takes a passed step-up. While the
    report counts as a mistake, a success took none and answers nothing.
    """
    history = facts.history
    if history is None:
        return None
    reported_age_s, success_age_s = history.reported_age_s, history.last_confirmed_age_s
    if reported_age_s is None:
        return NEVER_DAYS
    if history.confirmed_safe_age_s is None and success_age_s is not None and success_age_s < reported_age_s:
        return NEVER_DAYS
    return reported_age_s / DAY_S


@signal_feature
def confirmed_safe_days(facts: Facts) -> float | None:
    """Days since the subject's last report was confirmed to be a mistake; 3650 when it was not, or none was made."""
    history = facts.history
    if history is None:
        return None
    return days_since(history.confirmed_safe_age_s)
