"""What one process does of an evaluation: reads a block of lines and returns what is needed of them, as small rows."""

import math
from collections import Counter
from hashlib import blake2b
from typing import Final

import numpy as np
from msgspec import Struct, field

from riskd.contract import Outcome
from riskd.learn.replay.labels import TOLD, key, told
from riskd.learn.simulate.attempt import LOGIN
from riskd.record.schema import DecisionRecord, decode_all

DECIDED = np.dtype([
    ("id", "<u8"), ("subject", "<u8"), ("at", "<f8"), ("tail", "<f4"), ("score", "<u2"), ("action", "<u2"),
    ("country", "<u2"), ("device", "<u2"), ("outcome", "u1"), ("history", "u1"), ("login", "?"), ("degraded", "?"),
])  # fmt: skip
"""A decision: hash of its id, hash of its subject (0: none), when (s), 1 - anomaly (NaN: no model), score in tenths of
a point, numbers of the names of action, country and device, outcome, class of history, whether it is a login, whether a
source was down."""
HIT = np.dtype([("id", "<u8"), ("code", "<u2")])
"""A reason of a login that was stepped up or denied."""
NAMED: Final = ("action", "country", "device", "code")
"""What is named in a block by its own numbers."""
UNKNOWN = "unknown"
TENTHS = 1000
_LONGEST = 64
"""Characters of a name that are kept."""
_MOST_NAMES = 65_535
_LEAST_TAIL = 1e-6


class Scanned(Struct, frozen=True):
    """What was on a block of lines."""

    decided: bytes
    """Rows of `DECIDED`."""
    told: bytes
    """Rows of `TOLD`, the outcomes that are labels."""
    hits: bytes
    """Rows of `HIT`."""
    names: dict[str, tuple[str, ...]]
    decisions: int = 0
    outcomes: int = 0
    newest: float = -math.inf
    """When the latest record was made, s."""
    refused: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)


def history_class(record: DecisionRecord) -> int:
    """Return 0 for no confirmed success before the attempt, 1 for one to four, 2 for more."""
    confirmed = 0 if record.facts.history is None else record.facts.history.confirmed
    return (confirmed > 0) + (confirmed > 4)


def scan(block: bytes) -> Scanned:
    """Read a block of lines; lines that are no record are counted."""
    names: dict[str, dict[str, int]] = {kind: {} for kind in NAMED}
    decided: list[tuple[object, ...]] = []
    outcomes: list[tuple[int, float, int]] = []
    hits: list[tuple[int, int]] = []
    refused: Counter[str] = Counter()
    models: Counter[str] = Counter()
    policies: Counter[str] = Counter()
    reported, newest = 0, -math.inf
    for record in decode_all(block.splitlines(), refused):
        at = record.when.timestamp()
        newest = max(newest, at)
        if not isinstance(record, DecisionRecord):
            reported += 1
            label = told(record)
            if label is not None:
                outcomes.append(label)
            continue
        facts, number = record.facts, key(record.decision_id)
        token, login, outcome = facts.subject.token, facts.action.name == LOGIN, int(Outcome.of(record.outcome))
        anomaly = record.anomaly
        decided.append((
            number,
            0 if token is None else hash_of(token),
            at,
            math.nan if anomaly is None else min(1.0, max(_LEAST_TAIL, 1.0 - anomaly)),
            min(TENTHS, max(0, round(record.score * 10))) if math.isfinite(record.score) else TENTHS,
            _number(names["action"], facts.action.name),
            _number(names["country"], facts.place.country),
            _number(names["device"], facts.device.kind),
            outcome,
            history_class(record),
            login,
            bool(record.degraded),
        ))  # fmt: skip
        if login and outcome:
            hits += [(number, _number(names["code"], code)) for code, _ in record.reasons]
        models[printable(record.model_version or "none")] += 1
        policies[printable(record.policy_revision)] += 1
    return Scanned(
        np.array(decided, DECIDED).tobytes(),
        np.array(outcomes, TOLD).tobytes(),
        np.array(hits, HIT).tobytes(),
        {kind: tuple(numbers) for kind, numbers in names.items()},
        len(decided),
        reported,
        newest,
        refused,
        models,
        policies,
    )


def hash_of(text: str) -> int:
    """Return 64 bits that stand for a text, never 0."""
    return int.from_bytes(blake2b(text.encode(errors="replace"), digest_size=8).digest(), "little") | 1


def _number(numbers: dict[str, int], name: str | None) -> int:
    if len(numbers) >= _MOST_NAMES:
        return 0
    return numbers.setdefault(UNKNOWN if name is None else printable(name), len(numbers))


def printable(name: str, longest: int = _LONGEST) -> str:
    """Return a name that may be shown: no longer than it should be, nothing in it that a terminal obeys."""
    name = name[:longest]
    return name if name.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
