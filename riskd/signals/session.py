"""The session or account is being taken over."""

from riskd.contract import Outcome
from riskd.features.feature import NEVER_DAYS
from riskd.signals.signal import signal


@signal(weight=0.55, floor=Outcome.STEP_UP, dated_by="session_hop_age_s")
def session_hop(session_hop_age_s: float, *, window_s: float = 1800.0) -> bool:
    """The session changed country, device or network in mid-flight.

    False alarms: a phone leaving Wi-Fi for mobile data, a VPN switched on.
    """
    return 0 <= session_hop_age_s <= window_s


@signal(weight=0.65, floor=Outcome.STEP_UP, dated_by="replay_age_s")
def replayed_request(replay_age_s: float, *, window_s: float = 3600.0) -> bool:
    """A device payload came a second time, from another address or for another subject.

    False alarms: a caller that reuses one payload for several attempts.
    """
    return 0 <= replay_age_s <= window_s


@signal(weight=0.48, dated_by="sessions_together_age_s")
def concurrent_sessions(
    session_distance_km: float, sessions_together_age_s: float, *, min_distance_km: float = 500.0
) -> bool:
    """Another live session of the subject is at a distant place.

    False alarms: a desktop left logged in at home while travelling.
    """
    return session_distance_km > min_distance_km and sessions_together_age_s >= 0


@signal(weight=0.90, floor=Outcome.DENY)
def takeover_sequence(takeover_steps_1d: float) -> bool:
    """Contact data, then the password, then a factor or payee were changed within a day.

    False alarms: a person who sets a whole account up anew after losing a phone.
    """
    return takeover_steps_1d >= 3


@signal(weight=0.35)
def takeover_started(takeover_steps_1d: float) -> bool:
    """Contact data and then the password were changed within a day, as a takeover begins.

    False alarms: a person tidying an account.
    """
    return takeover_steps_1d >= 2


@signal(weight=0.70, floor=Outcome.STEP_UP)
def reported(
    reported_days: float, confirmed_safe_days: float, *, memory_days: float = 7.0, safe_for_days: float = 30.0
) -> bool:
    """The subject reported an attempt as not theirs, or fraud was confirmed.

    False alarms: a person who forgot their own login; a confirmed step-up still works. The outcome
    confirmed_legitimate, for the reported attempt or one made since, sets the report aside for `safe_for_days` (0:
    never); a new report hits at once.
    """
    return reported_days <= memory_days and confirmed_safe_days >= min(safe_for_days, NEVER_DAYS)
