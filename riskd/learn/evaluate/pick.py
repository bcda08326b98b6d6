"""A second, quick reading of a log that fetches a few decisions whole: to be shown, and as a sample for the model."""

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from riskd.learn.replay.labels import key
from riskd.record.schema import DecisionRecord, LineError, decode

_ID = re.compile(rb'"decision_id"\s*:\s*"([0-9A-Za-z_.:-]{1,64})"')


def pick(lines: Iterable[bytes], wanted: AbstractSet[int]) -> dict[int, DecisionRecord]:
    """Return the decisions whose ids have one of these hashes; only their lines are decoded."""
    found: dict[int, DecisionRecord] = {}
    for line in lines if wanted else ():
        asked = _ID.search(line)
        if asked is None or key(asked[1].decode()) not in wanted:
            continue
        try:
            record = decode(line)
        except LineError:  # counted in the first reading
            continue
        if isinstance(record, DecisionRecord) and key(record.decision_id) in wanted:
            found[key(record.decision_id)] = record
    return found
