"""What became of the decisions, joined to them: a label stands in another line of the log, hours or days later.

The join needs the decision's id and no memory of the log: both sides are cut into `PARTS` by their ids, each part goes
to a temporary file, and at the end one part at a time is joined. That holds 13 bytes per decision and 17 per outcome on
disk, and a `PARTS`-th of them in memory.

An attack is what an analyst confirmed as fraud, what the owner disowned, and who failed the step-up. Honest is what an
analyst confirmed, who passed a step-up, and whose login or action succeeded and was never disowned. A wrong password or
an abandoned step-up says neither. Where several outcomes of one decision disagree, an analyst's word outweighs the
owner's, that outweighs a passed step-up, that a plain success, and that a failed step-up; of equals the latest counts.
"""

from collections.abc import Iterable
from hashlib import blake2b
from tempfile import SpooledTemporaryFile
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from riskd.contract import Reported
from riskd.record.schema import OutcomeRecord

PARTS = 64
_IN_MEMORY = 64 * 1024
"""Bytes of one side of one part that are kept without a file: all of a small log."""

LABELS: Final[tuple[tuple[Reported, int], ...]] = (
    (Reported.STEP_UP_FAILED, 1),
    (Reported.LOGIN_SUCCEEDED, 2),
    (Reported.ACTION_COMPLETED, 2),
    (Reported.STEP_UP_PASSED, 3),
    (Reported.REPORTED_BY_USER, 4),
    (Reported.CONFIRMED_LEGITIMATE, 5),
    (Reported.CONFIRMED_FRAUD, 5),
)
"""Outcomes that are labels, and how much each weighs against another of the same decision."""
ATTACKS: Final = (Reported.CONFIRMED_FRAUD, Reported.REPORTED_BY_USER, Reported.STEP_UP_FAILED)
HONEST: Final = (
    Reported.CONFIRMED_LEGITIMATE, Reported.STEP_UP_PASSED, Reported.LOGIN_SUCCEEDED, Reported.ACTION_COMPLETED,
)  # fmt: skip

_NUMBER = {label: number for number, (label, _) in enumerate(LABELS)}
_WEIGHT = np.array([weight for _, weight in LABELS], dtype=np.uint8)
DECIDED = np.dtype([("id", "<u8"), ("subject", "<u4"), ("cell", "u1")])
"""A decision: hash of its id, hash of its subject (0 = none), and its cell of the matrix."""
TOLD = np.dtype([("id", "<u8"), ("at", "<f8"), ("label", "u1")])
"""An outcome: hash of the decision's id, when it happened (s), and its number in `LABELS`."""

Rows = npt.NDArray[np.void]


def key(decision_id: str) -> int:
    """Return the 64 bits that stand for a decision's id: among 10⁸ decisions two share them with a chance of 3·10⁻⁴."""
    return int.from_bytes(blake2b(decision_id.encode(), digest_size=8).digest(), "little")


def told(record: OutcomeRecord) -> tuple[int, float, int] | None:
    """Return an outcome as a row of `TOLD`; None when it is no label."""
    number = _NUMBER.get(record.outcome)
    return None if number is None else (key(record.decision_id), record.at.timestamp(), number)


class Join:
    """Takes both sides in any order, then joins them."""

    def __init__(self) -> None:
        self._decided = [_part() for _ in range(PARTS)]
        self._told = [_part() for _ in range(PARTS)]

    def add(self, decided: bytes, outcomes: bytes) -> None:
        """Take rows of `DECIDED` and of `TOLD`, as bytes."""
        _spread(np.frombuffer(decided, DECIDED), self._decided)
        _spread(np.frombuffer(outcomes, TOLD), self._told)

    def cells(self, cells: int) -> dict[Reported, list[int]]:
        """Return for each label how many of its decisions are in each of the matrix's `cells`."""
        found = np.zeros((len(LABELS), cells), dtype=np.int64)
        for decided_part, told_part in zip(self._decided, self._told, strict=True):
            decided, outcomes = _whole(decided_part, DECIDED), _whole(told_part, TOLD)
            if len(decided) and len(outcomes):
                _join(decided, outcomes, found)
        return {label: row.tolist() for (label, _), row in zip(LABELS, found, strict=True)}

    def close(self) -> None:
        """Delete the temporary files."""
        for part in (*self._decided, *self._told):
            part.close()


def _join(decided: Rows, outcomes: Rows, found: npt.NDArray[np.int64]) -> None:
    order = np.lexsort((outcomes["at"], _WEIGHT[outcomes["label"]], outcomes["id"]))
    outcomes = outcomes[order]
    last = np.append(outcomes["id"][1:] != outcomes["id"][:-1], True)
    outcomes = outcomes[last]  # of each decision the weightiest and latest
    at = np.minimum(np.searchsorted(outcomes["id"], decided["id"]), len(outcomes) - 1)
    known = outcomes["id"][at] == decided["id"]
    np.add.at(found, (outcomes["label"][at[known]], decided["cell"][known]), 1)


def _part() -> IO[bytes]:
    return SpooledTemporaryFile(max_size=_IN_MEMORY)


def _spread(rows: Rows, parts: list[IO[bytes]]) -> None:
    of = rows["id"] % PARTS
    for part in np.unique(of).tolist():
        parts[part].write(rows[of == part].tobytes())


def _whole(part: IO[bytes], row: np.dtype[np.void]) -> Rows:
    part.seek(0)
    return np.frombuffer(part.read(), row)


class Subjects:
    """How many distinct subjects there are, about: linear counting (Whang et al. 1990) in 4 MB, whatever the log.

    Within 0.1 % up to a million subjects, 0.5 % at twenty million.
    """

    _SIZE = 1 << 22

    def __init__(self) -> None:
        self._seen = np.zeros(self._SIZE, dtype=np.uint8)

    def add(self, decided: bytes, groups: Iterable[frozenset[int]]) -> None:
        """Take rows of `DECIDED`; each group is a set of cells, and up to eight are counted apart."""
        rows = np.frombuffer(decided, DECIDED)
        rows = rows[rows["subject"] != 0]
        flags = np.zeros(256, dtype=np.uint8)
        for number, cells in enumerate(groups):
            flags[list(cells)] |= 1 << number
        np.bitwise_or.at(self._seen, rows["subject"] % self._SIZE, flags[rows["cell"]])

    def count(self, group: int) -> int:
        """Return about how many subjects have a decision in a group's cells."""
        empty = self._SIZE - int(np.count_nonzero(self._seen & (1 << group)))
        return round(self._SIZE * float(np.log(self._SIZE / max(1, empty))))
