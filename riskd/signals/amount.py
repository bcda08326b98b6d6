"""The money is over the limit, unlike the subject, or goes to a stranger."""

from collections.abc import Mapping
from types import MappingProxyType

from riskd.signals.signal import signal

NO_LIMITS: Mapping[str, float] = MappingProxyType({})


@signal(weight=0.60)
def amount_over_limit(amount: float, currency: str, *, limits: Mapping[str, float] = NO_LIMITS) -> bool:
    """The amount is above the policy's limit for this action and currency.

    False alarms: a rare large purchase. The limits come from the action's `limits` in the policy.
    """
    limit = limits.get(currency)
    return limit is not None and amount > limit


@signal(weight=0.36)
def unusual_amount(
    amount_over_median_ratio: float,
    amount_over_p99_ratio: float,
    *,
    max_median_ratio: float = 10.0,
    max_p99_ratio: float = 1.5,
) -> bool:
    """The amount is far above what this subject has been paying.

    False alarms: rent, a car, a holiday.
    """
    return amount_over_median_ratio > max_median_ratio or amount_over_p99_ratio > max_p99_ratio


@signal(weight=0.45)
def cumulative_amount(amount_24h: float, currency: str, *, limits: Mapping[str, float] = NO_LIMITS) -> bool:
    """The amounts of 24 hours add up to more than the policy's daily limit.

    False alarms: a day of bills. The limits come from the action's `daily_limits` in the policy.
    """
    limit = limits.get(currency)
    return limit is not None and amount_24h > limit


@signal(weight=0.15)
def new_payee(recipient_unseen_days: float, *, memory_days: float = 730.0) -> bool:
    """The recipient was never paid in a confirmed success of this subject.

    False alarms: every first purchase; it matters beside a large amount or a new device.
    """
    return recipient_unseen_days > memory_days
