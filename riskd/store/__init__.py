"""History and counters over the Redis protocol: one key scheme, one script a decision, the embedded server."""

from riskd.store.attempt import LIVE_S, MATURED, Attempt, Observation, Settlement
from riskd.store.connect import Target, parse
from riskd.store.embedded import Embedded
from riskd.store.entries import EXEMPTIONS, Entries, Entry, News
from riskd.store.store import OUTCOME_WINDOW_S, Settled, Store

__all__ = [
    "EXEMPTIONS",
    "LIVE_S",
    "MATURED",
    "OUTCOME_WINDOW_S",
    "Attempt",
    "Embedded",
    "Entries",
    "Entry",
    "News",
    "Observation",
    "Settled",
    "Settlement",
    "Store",
    "Target",
    "parse",
]
