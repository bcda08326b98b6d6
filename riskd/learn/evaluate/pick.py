"""A second, quick reading of a log that fetches a few decisions whole: to be shown, and as a sample for the model."""

import re
from collections.abc import Set as AbstractSet

from msgspec import Struct

from riskd.learn.blocks import Engine, Log
from riskd.learn.replay.labels import key
from riskd.record.schema import DecisionRecord, LineError, decode

_ID = re.compile(rb'"decision_id"\s*:\s*"([0-9A-Za-z_.:-]{1,64})"')


class Pick(Struct, frozen=True):
    """What is done with a block of lines."""

    wanted: frozenset[int]
    """Hashes of the ids asked for."""

    def __call__(self, block: bytes) -> dict[int, DecisionRecord]:
        """Return the decisions that are wanted, by the hash of their id; only their lines are decoded."""
        found: dict[int, DecisionRecord] = {}
        for line in block.splitlines():
            asked = _ID.search(line)
            if asked is None or key(asked[1].decode()) not in self.wanted:
                continue
            try:
                record = decode(line)
            except LineError:  # counted in the first reading
                continue
            if isinstance(record, DecisionRecord) and key(record.decision_id) in self.wanted:
                found[key(record.decision_id)] = record
        return found


def pick(log: Log, engine: Engine, wanted: AbstractSet[int]) -> dict[int, DecisionRecord]:
    """Return the decisions whose ids have one of these hashes."""
    found: dict[int, DecisionRecord] = {}
    if wanted:
        for _, decisions in engine.over(log, Pick(frozenset(wanted))):
            found |= decisions
    return found
