"""Judges a slice of a log twice, by the current model and by a candidate, and counts what came of it by subject.

Memory does not grow with the log: rows wait on disk until the log has said what became of them (`Spill`), and counts
are kept by `GROUPS` groups of subjects, put together by a hash, which is all that the intervals need: who is in a group
has nothing to do with who is in another.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from riskd.contract import Outcome, Reported
from riskd.evaluation import MODEL, Scorer
from riskd.learn.registry.spill import PARTS, Rows, Spill
from riskd.learn.replay.judge import BATCH, judge
from riskd.learn.replay.labels import ATTACKS, LABELS, key
from riskd.learn.truth import HONEST, read_truth
from riskd.policy import Policy
from riskd.record.reader import ReadReport, read
from riskd.record.schema import DecisionRecord, OutcomeRecord

GROUPS: Final = 4096
"""Groups of subjects; a log of fewer subjects has nearly each in a group of its own."""
SCORES: Final = 101
ODD: Final = 0.99
"""An anomaly score that one honest attempt in a hundred reaches, if the calibration holds."""
DAY_S: Final = 86_400

_DECIDED = np.dtype([("id", "<u8"), ("subject", "<u8"), ("day", "<u4"), ("stopped", "u1"), ("denied", "u1")])
"""Hash of the decision's id and of its subject, day since 1970, whether (1) the current model and (2) the candidate
stop it, and whether it was denied then."""
_TOLD = np.dtype([("id", "<u8"), ("weight", "u1"), ("at", "<f8"), ("said", "u1")])
"""Hash of the decision's id, how much this word on it weighs, when it was said, and what: `_HONEST`, `_NEITHER` or the
number of a kind of attack."""
_PRESENT = np.dtype([("subject", "<u8"), ("day", "<u4")])
_BY_CURRENT, _BY_CANDIDATE = 1, 2
_HONEST, _NEITHER = 0, 255
MAX_KINDS: Final = 32
"""Kinds of attack that are told apart; a truth that names more has the rest under `others`."""
OTHERS: Final = "others"

_SAYS_NEITHER = (Reported.LOGIN_FAILED, Reported.ACTION_FAILED, Reported.STEP_UP_ABANDONED)
_MEANS = {label: (weight, 1 + ATTACKS.index(label) if label in ATTACKS else _HONEST) for label, weight in LABELS}
_MEANS |= dict.fromkeys(_SAYS_NEITHER, (0, _NEITHER))

Counts = npt.NDArray[np.int64]


def _by_group() -> Counts:
    return np.zeros(GROUPS, dtype=np.int64)


@dataclass(slots=True)
class Stopped:
    """Attempts of one sort, by group of subjects: all, and those stepped up or denied by each model."""

    of: Counts = field(default_factory=_by_group)
    by: tuple[Counts, Counts] = field(default_factory=lambda: (_by_group(), _by_group()))

    def add(self, group: Counts, stopped: npt.NDArray[np.uint8]) -> None:
        """Count attempts: the group of each, and by which models it was stopped."""
        self.of[:] += np.bincount(group, minlength=GROUPS)
        for counts, bit in zip(self.by, (_BY_CURRENT, _BY_CANDIDATE), strict=True):
            counts[:] += np.bincount(group[stopped & bit > 0], minlength=GROUPS)


@dataclass(slots=True)
class Measured:
    """What a slice of a log says of two models; arrays have one entry per group of subjects, pairs one per model."""

    decisions: int = 0
    judged: int = 0
    """Decisions that both models could be asked about; all else counts these."""
    unanswered: Counter[str] = field(default_factory=Counter)
    """Why the others could not → how many."""
    differing: int = 0
    """Decisions that one of them stops and the other lets pass."""
    attacks: dict[str, Stopped] = field(default_factory=dict)
    """Attempts known to be attacks, by kind: of the truth, or the outcome that says so."""
    honest: Stopped = field(default_factory=Stopped)
    """Attempts known to be honest, or never contradicted where outcomes are all that is known."""
    subject_days: Counts = field(default_factory=_by_group)
    """Days on which a subject made an honest attempt, summed over the subjects of the group."""
    scores: tuple[list[int], list[int]] = field(default_factory=lambda: ([0] * SCORES, [0] * SCORES))
    """Decisions by whole points of the decision's score."""
    odd: tuple[list[int], list[int]] = field(default_factory=lambda: ([0, 0], [0, 0]))
    """Decisions with an anomaly score, and those of them that reach `ODD`."""


def measure(
    log: Sequence[Path],
    truth: Path | None,
    policy: Policy,
    models: tuple[Scorer | None, Scorer],
    *,
    since: datetime,
    until: datetime | None = None,
    known: Sequence[Policy] = (),
    report: ReadReport | None = None,
    tell: Callable[[int], None] = lambda _decisions: None,
) -> Measured:
    """Judge the decisions with `since` ≤ time < `until` by both `models`: the current one, or None, and the candidate.

    `truth` is what a simulation left beside its log; without it the log's outcomes are the labels. `known` are policies
    that the log may have been made under. Raises ConfigError for a truth that is missing or damaged.
    """
    found = Measured()
    with (
        closing(Spill(_DECIDED, "id")) as decided,
        closing(Spill(_TOLD, "id")) as told,
        closing(Spill(_PRESENT, "subject")) as present,
    ):
        kinds = [label.value for label in ATTACKS]
        if truth is not None:
            kinds = []
            for line in read_truth(truth):
                told.add(key(line.decision_id), 0, 0.0, _number(line.label, kinds))

        def decisions() -> Iterator[DecisionRecord]:
            for record in read(log, since=since, until=until, report=report):
                if isinstance(record, DecisionRecord):
                    yield record
                elif truth is None:
                    told.add(*_told(record))

        _judge(decisions(), policy, models, known, decided, found, tell)
        for part in range(PARTS):
            _settle(decided.part(part), told.part(part), kinds, present, found, vouched=truth is not None)
        for part in range(PARTS):
            subjects = np.unique(present.part(part))["subject"]
            found.subject_days += np.bincount(subjects % GROUPS, minlength=GROUPS)
    return found


def _judge(
    records: Iterable[DecisionRecord],
    policy: Policy,
    models: tuple[Scorer | None, Scorer],
    known: Sequence[Policy],
    decided: Spill,
    found: Measured,
    tell: Callable[[int], None],
) -> None:
    left = iter(records)
    while batch := list(islice(left, BATCH)):
        for current, candidate in zip(*(judge(batch, policy, model, known) for model in models), strict=True):
            record = current.record
            found.decisions += 1
            why = "the model was down" if MODEL in record.degraded else current.why_not or candidate.why_not
            if why is not None:
                found.unanswered[why] += 1
                continue
            found.judged += 1
            stopped = 0
            for number, evaluation in enumerate((current.evaluation, candidate.evaluation)):
                stopped |= (evaluation.outcome > Outcome.ALLOW) << number
                found.scores[number][int(evaluation.score)] += 1
                if evaluation.anomaly is not None:
                    found.odd[number][0] += 1
                    found.odd[number][1] += evaluation.anomaly >= ODD
            found.differing += stopped in {_BY_CURRENT, _BY_CANDIDATE}
            decided.add(
                key(record.decision_id),
                _hash(record.facts.subject.token or record.decision_id),
                max(0, int(record.when.timestamp()) // DAY_S),
                stopped,
                record.outcome == Outcome.DENY.word,
            )
        tell(found.decisions)


def _settle(decided: Rows, told: Rows, kinds: Sequence[str], present: Spill, found: Measured, *, vouched: bool) -> None:
    """Join one part's decisions with what is known of them, and count; `vouched`: the unknown are not honest."""
    said = np.full(len(decided), _NEITHER if vouched else _HONEST)  # never contradicted
    if not vouched:
        said[decided["denied"] == 1] = _NEITHER  # nobody ever says of whom a deny has stopped
    if len(told) and len(decided):
        told = told[np.lexsort((told["at"], told["weight"], told["id"]))]
        told = told[np.append(told["id"][1:] != told["id"][:-1], True)]  # of each decision the weightiest and latest
        at = np.minimum(np.searchsorted(told["id"], decided["id"]), len(told) - 1)
        heard = told["id"][at] == decided["id"]
        said[heard] = told["said"][at[heard]]
    group = (decided["subject"] % GROUPS).astype(np.int64)
    for number in np.unique(said).tolist():
        if number != _NEITHER:
            which = said == number
            sort = found.honest if number == _HONEST else found.attacks.setdefault(kinds[number - 1], Stopped())
            sort.add(group[which], decided["stopped"][which])
    honest = decided[said == _HONEST]
    seen = np.empty(len(honest), dtype=_PRESENT)
    seen["subject"], seen["day"] = honest["subject"], honest["day"]
    present.extend(np.unique(seen))


def _number(label: str, kinds: list[str]) -> int:
    """Return what stands for a label of the truth; a new kind of attack is entered in `kinds`."""
    if label == HONEST:
        return _HONEST
    label = label[:64]
    if label not in kinds:
        if len(kinds) >= MAX_KINDS - 1:
            label = OTHERS
        if label not in kinds:
            kinds.append(label)
    return 1 + kinds.index(label)


def _told(record: OutcomeRecord) -> tuple[int, int, float, int]:
    weight, means = _MEANS[record.outcome]
    return key(record.decision_id), weight, record.at.timestamp(), means


def _hash(token: str) -> int:
    return int.from_bytes(blake2b(token.encode(), digest_size=8).digest())
