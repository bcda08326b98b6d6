"""Features become hits, clears and unknowns, each with a stable reason code. The same families as the features."""

from riskd.signals import amount, assurance, device, lists, network, place, session, statistical, timing, velocity
from riskd.signals.signal import ANOMALY_SCORE, INPUTS, SIGNALS, Signal, State, answer, catalogue_revision

CATALOGUE: str = catalogue_revision()
"""Revision of the signals declared here; a record names the one it was made under."""

__all__ = [
    "ANOMALY_SCORE",
    "CATALOGUE",
    "INPUTS",
    "SIGNALS",
    "Signal",
    "State",
    "amount",
    "answer",
    "assurance",
    "device",
    "lists",
    "network",
    "place",
    "session",
    "statistical",
    "timing",
    "velocity",
]
