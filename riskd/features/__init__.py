"""Facts, and the learned population tables, become named numbers; pure. A family per module."""

from riskd.features import amount, assurance, device, lists, network, place, rarity, session, timing, velocity
from riskd.features.feature import FEATURES, Extractor, Fault, Feature, schema_hash

MODEL_FEATURES: tuple[str, ...] = tuple(f.name for f in FEATURES.values() if f.model)
"""What the anomaly model reads, in order."""

__all__ = [
    "FEATURES",
    "MODEL_FEATURES",
    "Extractor",
    "Fault",
    "Feature",
    "amount",
    "assurance",
    "device",
    "lists",
    "network",
    "place",
    "rarity",
    "schema_hash",
    "session",
    "timing",
    "velocity",
]
