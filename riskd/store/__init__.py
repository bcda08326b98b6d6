"""History and counters over the Redis protocol: one key scheme, one script a decision, the embedded server."""

from riskd.store.attempt import MATURED, Attempt, Observation, Settlement
from riskd.store.connect import Target, parse
from riskd.store.embedded import Embedded
from riskd.store.store import Settled, Store

__all__ = ["MATURED", "Attempt", "Embedded", "Observation", "Settled", "Settlement", "Store", "Target", "parse"]
