"""The time is unusual, or the account is too fresh or too old to know."""

from riskd.signals.signal import signal


@signal(weight=0.08)
def unusual_hour(hour_deviation_hours: float, *, max_deviation_hours: float = 7.0) -> bool:
    """The hour is far from the subject's usual hours.

    False alarms: night shifts, travel across time zones.
    """
    return hour_deviation_hours > max_deviation_hours


@signal(weight=0.12)
def dormant_account(
    gap_since_success_hours: float, *, days: float = 30.0, longer_days: float = 90.0, longest_days: float = 365.0
) -> float:
    """The account wakes after a long time without a confirmed success.

    False alarms: yearly visitors; the strength grows over 30, 90 and 365 days.
    """
    idle_days = gap_since_success_hours / 24
    if idle_days < days:
        return 0.0
    return 1.0 if idle_days >= longest_days else 0.6 if idle_days >= longer_days else 0.3


@signal(weight=0.15)
def new_account(account_age_days: float, *, day: float = 1.0, week: float = 7.0, month: float = 30.0) -> float:
    """The account is new.

    False alarms: every honest newcomer; the strength falls over 1, 7 and 30 days.
    """
    if account_age_days >= month:
        return 0.0
    return 1.0 if account_age_days < day else 0.5 if account_age_days < week else 0.2


@signal(weight=0.0)
def learning_period(
    confirmed_successes: float, history_days: float, *, min_successes: float = 10.0, min_days: float = 14.0
) -> bool:
    """The subject's habits are still being learned: the score is less certain, and no one is accused.

    False alarms: none, it carries no weight and only widens the score range.
    """
    return confirmed_successes < min_successes or history_days < min_days


@signal(weight=0.12)
def rtt_mismatch(rtt_deviation_sd: float, *, max_deviation_sd: float = 4.0) -> bool:
    """The round trip takes far longer or shorter than it usually does for this subject from this country.

    False alarms: a train, a satellite link, a congested evening.
    """
    return rtt_deviation_sd > max_deviation_sd
