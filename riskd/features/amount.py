"""How much, and to whom."""

from riskd.facts import Facts
from riskd.features.feature import days_since, feature, signal_feature

MIN_AMOUNT_COUNT = 3
"""Confirmed amounts below which nothing is called usual."""


@signal_feature
def amount(facts: Facts) -> float | None:
    """Amount attempted, major units of its currency."""
    return facts.action.amount


@signal_feature
def currency(facts: Facts) -> str | None:
    """Currency of the amount, ISO 4217."""
    return facts.action.currency


@feature
def amount_over_median_ratio(facts: Facts) -> float | None:
    """Amount over the median of the subject's last 100 confirmed amounts in this currency."""
    history, value = facts.history, facts.action.amount
    if history is None or value is None or history.amount_count < MIN_AMOUNT_COUNT or not history.amount_median:
        return None
    return value / history.amount_median


@feature
def amount_over_p99_ratio(facts: Facts) -> float | None:
    """Amount over the 99th percentile of the subject's last 100 confirmed amounts in this currency."""
    history, value = facts.history, facts.action.amount
    if history is None or value is None or history.amount_count < MIN_AMOUNT_COUNT or not history.amount_p99:
        return None
    return value / history.amount_p99


@signal_feature
def amount_24h(facts: Facts) -> float | None:
    """Sum the subject attempted in this currency in this hour and the 24 before it, this amount included."""
    if facts.history is None or facts.action.amount is None:
        return None
    return facts.history.amount_24h


@feature
def recipient_unseen_days(facts: Facts) -> float | None:
    """Days since the recipient was last paid in a confirmed success; 3650 = never."""
    history = facts.history
    if history is None or facts.action.recipient is None or not history.known_recipients:
        return None
    return days_since(history.recipient_age_s)
