"""Which of the policy's named lists name the attempt."""

from riskd.facts import Facts
from riskd.features.feature import signal_feature


@signal_feature
def deny_lists(facts: Facts) -> str | None:
    """Names of the deny lists that name the attempt, separated by commas; empty when none does."""
    denied = facts.lists.denied
    return None if denied is None else ", ".join(denied)
