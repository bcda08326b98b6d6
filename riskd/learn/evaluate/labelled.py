"""What is true of each decision: from a simulation's truth, or else from the outcomes that were reported.

Outcomes are read as everywhere (`riskd.learn.replay.labels`): the weightiest counts, of equals the latest.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from riskd.learn.evaluate.scan import hash_of, printable
from riskd.learn.evaluate.spill import Rows
from riskd.learn.replay.labels import ATTACKS, LABELS, key
from riskd.learn.truth import HONEST, read_truth

TRUE = np.dtype([("id", "<u8"), ("sequence", "<u8"), ("kind", "<i2"), ("password", "?")])
"""What is true of a decision: hash of its id, hash of what it belongs to (0: nothing), number of its kind, and whether
the password was right."""
UNSAID, HONEST_KIND = -1, 0
"""Numbers of no kind of attack."""
OTHER = "other"
_MOST_KINDS = 24
_CHUNK = 65_536

_WEIGHT = np.array([weight for _, weight in LABELS], dtype=np.uint8)


class Kinds:
    """Kinds of attack, by number; those beyond `_MOST_KINDS` are one, `other`."""

    def __init__(self) -> None:
        self.names: list[str] = [HONEST]
        self._numbers = {HONEST: HONEST_KIND}

    def number(self, name: str) -> int:
        """Return the number of a kind, 0 for honest."""
        name = printable(name)
        found = self._numbers.get(name)
        if found is not None:
            return found
        if len(self.names) >= _MOST_KINDS:
            name = OTHER
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


def truths(path: Path, kinds: Kinds) -> Iterator[Rows]:
    """Yield the lines of a truth file as rows of `TRUE`, some thousands at a time.

    Raises ConfigError for a file that is missing or damaged, with the line.
    """
    rows: list[tuple[int, int, int, bool]] = []
    for true in read_truth(path):
        kind = kinds.number(true.label)
        sequence = 0 if true.sequence is None else hash_of(f"{kind} {true.sequence}")
        rows.append((key(true.decision_id), sequence, kind, true.password_right))
        if len(rows) == _CHUNK:
            yield np.array(rows, TRUE)
            rows = []
    yield np.array(rows, TRUE)


def true_of(told: Rows, kinds: Kinds) -> Rows:
    """Turn outcomes (rows of `TOLD`) into rows of `TRUE`: the label each decision ended with."""
    told = told[np.lexsort((told["at"], _WEIGHT[told["label"]], told["id"]))]
    rows = np.zeros(len(told), TRUE)
    rows["id"], rows["password"] = told["id"], True
    numbers = [kinds.number(label.value) if label in ATTACKS else HONEST_KIND for label, _ in LABELS]
    rows["kind"] = np.array(numbers, np.int16)[told["label"]]
    return rows


def joined(decided: Rows, true: Rows) -> Rows:
    """Return for each decision its row of `TRUE`, the last of several; its kind is `UNSAID` where there is none."""
    found = np.zeros(len(decided), TRUE)
    found["kind"] = UNSAID
    if len(true):
        order = np.argsort(true["id"], kind="stable")
        ids = true["id"][order]
        at = np.searchsorted(ids, decided["id"], side="right") - 1
        known = (at >= 0) & (ids[at] == decided["id"])
        found[known] = true[order[at[known]]]
    return found
