"""Counts of an evaluation, per group of subjects: all that shares, curves and their intervals are computed from.

Decisions come part by part, joined with what is true of them. Two things need another order and go on through `Spill`:
what belongs to one attack in steps, and what belongs to one subject.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from riskd.learn.evaluate.labelled import HONEST_KIND
from riskd.learn.evaluate.resample import GROUPS, Counts, groups_of
from riskd.learn.evaluate.scan import TENTHS
from riskd.learn.evaluate.spill import Rows, Spill
from riskd.learn.simulate.attempt import IN_STEPS

HISTORY_CLASSES = ("0", "1-4", "5+")
"""Confirmed successes before the attempt."""
DIMENSIONS: Final = ("history", "action", "country", "device")
BINS = TENTHS + 1
SCORE, ANOMALY = "score", "anomaly"
_DECADES_PER_BIN = 0.005
THRESHOLDS: Final[dict[str, npt.NDArray[np.float64]]] = {
    SCORE: np.arange(BINS) / 10,
    ANOMALY: 1.0 - np.power(10.0, -_DECADES_PER_BIN * np.arange(BINS)),
}
"""What each bin begins at: points of the score; the anomaly, by the logarithm of its tail."""
TAILS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Tail probabilities at which the calibration is looked at."""
SAMPLED = 1000
"""Honest attempts, and as many attacks, that the importance of features is measured on."""
STEP = np.dtype([
    ("sequence", "<u8"), ("id", "<u8"), ("subject", "<u8"), ("at", "<f8"), ("kind", "<i2"), ("stopped", "?"),
])  # fmt: skip
"""One of several attempts that are one attack."""
ACTED = np.dtype([
    ("subject", "<u8"), ("at", "<f8"), ("attack", "?"), ("stopped", "?"), ("login", "?"), ("history", "u1"),
])  # fmt: skip
"""What a subject did, or what was done to it with its password."""
MOST_REAUTHENTICATIONS = 255
_EARLY, _LATE = 0, 1

Ids = npt.NDArray[np.uint64]
Key = tuple[str, ...]


@dataclass
class Tally:
    """The counts. Shares are by key, e.g. `("stopped", "spray")`: hits and total, per group of subjects."""

    kinds: Sequence[str]
    names: Mapping[str, Sequence[str]]
    """Of actions, countries and devices, by number."""
    since: float
    """When what is judged begins, s; earlier decisions only tell which accounts were attacked."""
    cut: float
    """When the later part of the time begins, s."""
    examples: int
    """Decisions kept of each kind to be shown."""
    decisions: int = 0
    degraded: int = 0
    unlabelled: int = 0
    """Decisions in the time judged of which nothing is known."""
    subjects: int = 0
    honest_reasons: Counter[str] = field(default_factory=Counter)
    shares: dict[Key, tuple[Counts, Counts]] = field(default_factory=dict)
    by_score: dict[tuple[str, int, int], Counts] = field(default_factory=dict)
    """Measure, kind and, of honest attempts, part of the time → groups by bins."""
    groups: dict[str, Counts] = field(init=False)
    """Dimension → groups of subjects, by names, by honest, honest stopped, attacks, attacks stopped."""
    calibration: Counts = field(init=False)
    """Honest attempts with a tail of at most each of `TAILS`; last, all with a tail."""
    reauthentications: Counts = field(init=False)
    """Subjects by the most history they had and their number of step-ups and denials."""
    misses: dict[int, Ids] = field(default_factory=dict)
    false_alarms: Ids = field(default_factory=lambda: np.zeros(0, np.uint64))
    sample: dict[int, Ids] = field(default_factory=dict)
    """Kind → some of its attempts."""

    def __post_init__(self) -> None:
        """Make room for what is counted by name."""
        self._names = {"history": HISTORY_CLASSES} | dict(self.names)
        self.groups = {name: _counts(len(self._names[name]), 4) for name in DIMENSIONS}
        self.calibration = _counts(len(TAILS) + 1)
        self.reauthentications = _counts(len(HISTORY_CLASSES), MOST_REAUTHENTICATIONS + 1)

    def share(self, *key: str) -> tuple[Counts, Counts]:
        """Return hits and total of a share, to be counted or read."""
        return self.shares.setdefault(key, (_counts(), _counts()))

    def of_kind(self, measure: str, kind: int) -> Counts:
        """Return the counts by score of a kind, over the whole time."""
        early, late = (self.by_score.get((measure, kind, part), 0) for part in (_EARLY, _LATE))
        return np.asarray(early + late + _counts(BINS))

    def honest_part(self, measure: str, *, late: bool) -> Counts:
        """Return the counts by score of the honest attempts in one part of the time."""
        return self.by_score.get((measure, HONEST_KIND, int(late)), _counts(BINS))

    def take(self, decided: Rows, true: Rows, hits: Rows, steps: Spill, acted: Spill) -> None:
        """Count decisions with what is true of them; hand on attacks in steps, and what subjects did."""
        kind = true["kind"]
        inside = decided["at"] >= self.since
        self.unlabelled += int(np.count_nonzero(inside & (kind < 0)))
        known = (decided["subject"] != 0) & (kind >= 0)
        attacked = known & (kind > HONEST_KIND) & true["password"]
        acted.add(_acted(decided, known & (attacked | (inside & (kind == HONEST_KIND))), attacked))
        judged = inside & (kind >= 0)
        decided, true = decided[judged], true[judged]
        self.decisions += len(decided)
        self.degraded += int(np.count_nonzero(decided["degraded"]))
        honest = true["kind"] == HONEST_KIND
        self._honest(decided[honest], hits)
        self._attacks(decided[~honest], true[~honest], steps)
        self._by_score(decided, true["kind"])
        self._by_group(decided, honest)
        for number in np.unique(true["kind"]).tolist():
            ids = decided["id"][true["kind"] == number]
            self.sample[number] = _smallest(self.sample.get(number), ids, SAMPLED)

    def _honest(self, rows: Rows, hits: Rows) -> None:
        group, stopped, login = _group(rows), rows["outcome"] > 0, rows["login"]
        self._count(("honest_logins",), group[login], stopped[login])
        self._count(("honest_denied",), group[login], rows["outcome"][login] > 1)
        self._count(("honest_actions",), group[~login], stopped[~login])
        for number, name in enumerate(HISTORY_CLASSES):
            these = login & (rows["history"] == number)
            self._count(("by_history", name), group[these], stopped[these])
        codes = hits["code"][np.isin(hits["id"], rows["id"][login & stopped])]
        for code, count in zip(*(x.tolist() for x in np.unique(codes, return_counts=True)), strict=True):
            self.honest_reasons[self.names["code"][code]] += count
        self.false_alarms = _smallest(self.false_alarms, rows["id"][stopped], self.examples)
        tail = rows["tail"]
        for column, share in enumerate(TAILS):
            np.add.at(self.calibration[:, column], group[tail <= share * (1 + 1e-6)], 1)
        np.add.at(self.calibration[:, len(TAILS)], group[~np.isnan(tail)], 1)

    def _attacks(self, rows: Rows, true: Rows, steps: Spill) -> None:
        group, stopped = _group(rows), rows["outcome"] > 0
        let_in = ~stopped & true["password"]
        for number in np.unique(true["kind"]).tolist():
            these, name = true["kind"] == number, self.kinds[number]
            self._count(("let_in", name), group[these], let_in[these])
            if name in IN_STEPS:
                these &= true["sequence"] != 0
                step = np.zeros(int(np.count_nonzero(these)), STEP)
                for column in ("id", "subject", "at"):
                    step[column] = rows[column][these]
                step["sequence"], step["kind"], step["stopped"] = true["sequence"][these], number, stopped[these]
                steps.add(step)
            else:
                self._count(("stopped", name), group[these], stopped[these])
                self._missed(number, rows["id"][these & let_in])

    def take_steps(self, rows: Rows) -> None:
        """Count attacks in steps: stopped when any of the steps was; of those that came through, the last is kept."""
        if not len(rows):
            return
        rows = rows[np.lexsort((rows["at"], rows["sequence"]))]
        begins = _begins(rows["sequence"])
        stopped = np.logical_or.reduceat(rows["stopped"], begins)
        first, last = rows[begins], rows[np.append(begins[1:], len(rows)) - 1]
        for number in np.unique(first["kind"]).tolist():
            these = first["kind"] == number
            self._count(("stopped", self.kinds[number]), _group(first[these]), stopped[these])
            self._missed(number, last["id"][these & ~stopped])

    def take_acted(self, rows: Rows) -> None:
        """Count what needs all of a subject: honest logins after an attack, and step-ups per subject."""
        if not len(rows):
            return
        rows = rows[np.lexsort((rows["at"], rows["subject"]))]
        begins = _begins(rows["subject"])
        lengths = np.diff(np.append(begins, len(rows)))
        honest = ~rows["attack"]
        since = np.minimum.reduceat(np.where(honest, np.inf, rows["at"]), begins)
        after = honest & rows["login"] & (rows["at"] > np.repeat(since, lengths))
        self._count(("after_attack",), _group(rows[after]), rows["stopped"][after])
        tries = np.add.reduceat(honest.astype(np.int64), begins)
        stops = np.add.reduceat((honest & rows["stopped"]).astype(np.int64), begins).clip(max=MOST_REAUTHENTICATIONS)
        history = np.maximum.reduceat(np.where(honest, rows["history"], 0), begins)
        there = tries > 0
        self.subjects += int(np.count_nonzero(there))
        group = (rows["subject"][begins] % GROUPS).astype(np.int64)
        np.add.at(self.reauthentications, (group[there], history[there], stops[there]), 1)

    def _by_score(self, rows: Rows, kind: npt.NDArray[np.int16]) -> None:
        group, late = _group(rows), rows["at"] >= self.cut
        modelled = ~np.isnan(rows["tail"])
        decades = -np.log10(np.where(modelled, rows["tail"], 1.0).astype(np.float64))
        anomaly = (decades / _DECADES_PER_BIN + 1e-3).astype(np.int64).clip(0, BINS - 1)
        for measure, bins, counted in (
            (SCORE, rows["score"].astype(np.int64), np.ones(len(rows), np.bool_)),
            (ANOMALY, anomaly, modelled),
        ):
            for number in np.unique(kind).tolist():
                for part in (_EARLY, _LATE):
                    these = counted & (kind == number) & ((late if number == HONEST_KIND else False) == part)
                    if these.any():
                        counts = self.by_score.setdefault((measure, number, part), _counts(BINS))
                        np.add.at(counts, (group[these], bins[these]), 1)

    def _by_group(self, rows: Rows, honest: npt.NDArray[np.bool_]) -> None:
        group, stopped = _group(rows), rows["outcome"] > 0
        first = np.where(honest, 0, 2)
        for name, counts in self.groups.items():
            np.add.at(counts, (group, rows[name], first), 1)
            np.add.at(counts, (group[stopped], rows[name][stopped], first[stopped] + 1), 1)

    def _count(self, key: Key, group: npt.NDArray[np.int64], hit: npt.NDArray[np.bool_]) -> None:
        hits, total = self.share(*key)
        np.add.at(total, group, 1)
        np.add.at(hits, group[hit], 1)

    def _missed(self, kind: int, ids: Ids) -> None:
        self.misses[kind] = _smallest(self.misses.get(kind), ids, self.examples)


def _acted(decided: Rows, which: npt.NDArray[np.bool_], attacked: npt.NDArray[np.bool_]) -> Rows:
    rows = np.zeros(int(np.count_nonzero(which)), ACTED)
    for column in ("subject", "at", "login", "history"):
        rows[column] = decided[column][which]
    rows["attack"], rows["stopped"] = attacked[which], decided["outcome"][which] > 0
    return rows


def _counts(*shape: int) -> Counts:
    return np.zeros((GROUPS, *shape), np.uint32)


def _group(rows: Rows) -> npt.NDArray[np.int64]:
    return groups_of(rows["subject"], rows["id"] if "id" in (rows.dtype.names or ()) else rows["subject"])


def _begins(keys: Ids) -> npt.NDArray[np.int64]:
    return np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))


def _smallest(kept: Ids | None, more: Ids, count: int) -> Ids:
    """Keep the smallest ids, which are hashes: a sample that is the same however the log is read."""
    together = more if kept is None else np.concatenate((kept, more))
    return np.sort(together)[:count]
