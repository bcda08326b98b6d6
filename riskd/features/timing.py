"""When: rhythm, gaps and round-trip time."""

from math import atan2, hypot, log, pi

from riskd.facts import Facts
from riskd.features.feature import DAY_S, feature

MIN_HOUR_COUNT = 10
"""Confirmed successes below which no usual hour is claimed."""
MIN_HOUR_CONCENTRATION = 0.3
"""Mean resultant length below which the hours are spread over the day, so that there is no usual hour (0..1)."""
MIN_RTT_COUNT = 5
MIN_RTT_SD_LOG = 0.35
"""Floor of the spread of ln(rtt): home and mobile round trips vary by 40 % without any change of place."""


def hour_of_day(facts: Facts) -> float:
    """Hour of the attempt's day in UTC, 0 ≤ h < 24."""
    time = facts.time
    return time.hour + time.minute / 60 + time.second / 3600


@feature
def hour_deviation_hours(facts: Facts) -> float | None:
    """Circular distance from the subject's mean hour of confirmed successes, 0..12 h.

    Unknown below 10 successes, or when they are spread over the whole day.
    """
    history = facts.history
    if history is None or history.hour_count < MIN_HOUR_COUNT:
        return None
    if hypot(history.hour_sin, history.hour_cos) / history.hour_count < MIN_HOUR_CONCENTRATION:
        return None
    mean_hour = atan2(history.hour_sin, history.hour_cos) * 12 / pi
    gap = abs(hour_of_day(facts) - mean_hour) % 24
    return min(gap, 24 - gap)


@feature
def gap_since_success_hours(facts: Facts) -> float | None:
    """Hours since the subject's last confirmed success."""
    history = facts.history
    if history is None or history.last_confirmed_age_s is None:
        return None
    return history.last_confirmed_age_s / 3600


@feature
def account_age_days(facts: Facts) -> float | None:
    """Age of the account, days, as the caller says."""
    return facts.subject.account_age_days


@feature
def confirmed_successes(facts: Facts) -> float | None:
    """Confirmed successes of the subject so far."""
    return None if facts.history is None else float(facts.history.confirmed)


@feature
def history_days(facts: Facts) -> float | None:
    """Days since the subject's first confirmed success; 0 without any."""
    history = facts.history
    if history is None:
        return None
    return 0.0 if history.first_confirmed_age_s is None else history.first_confirmed_age_s / DAY_S


@feature
def rtt_deviation_sd(facts: Facts) -> float | None:
    """How far ln(rtt) lies from the subject's mean in this country, in standard deviations, ≥ 0."""
    history, rtt_ms = facts.history, facts.device.rtt_ms
    if history is None or rtt_ms is None or history.rtt_count < MIN_RTT_COUNT or history.rtt_mean_log_ms is None:
        return None
    spread = max(history.rtt_sd_log_ms or 0.0, MIN_RTT_SD_LOG)
    return abs(log(max(rtt_ms, 1.0)) - history.rtt_mean_log_ms) / spread
