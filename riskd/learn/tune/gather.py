"""Reads a log once into what tuning needs of it: for every decision, the threshold at which it turns into a step-up.

Floors, the fail mode and fresh evidence are in that one number: what they force is stepped up at any threshold, and
what fresh evidence answers at none. Some 60 bytes are held per decision and 100 per subject.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from riskd.contract import Outcome, Reported
from riskd.evaluation import Evaluation, Scorer
from riskd.learn.replay.judge import Judged, judge
from riskd.learn.replay.labels import ATTACKS, LABELS, key
from riskd.learn.tune.places import Place, place_of, places
from riskd.policy import Policy
from riskd.policy.text import Path
from riskd.record.schema import DecisionRecord, OutcomeRecord, Record

ALWAYS, NEVER = 32_767, -1
"""Turns at every threshold: a floor, the fail mode or a deny forces it · at none: fresh evidence answers it."""
HONEST, ATTACK, NEITHER = 0, 1, 2

_NEITHER = (Reported.LOGIN_FAILED, Reported.ACTION_FAILED, Reported.STEP_UP_ABANDONED)
"""Says neither who it was nor that it was someone else; outweighed by every label."""
_MEANS = {label: (weight, ATTACK if label in ATTACKS else HONEST) for label, weight in LABELS}
_MEANS |= dict.fromkeys(_NEITHER, (0, NEITHER))

_COLUMNS = ("place", "subject", "step_up", "deny", "steps_up", "denies", "floor")

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Decisions:
    """A judged log, one entry a decision in each array."""

    places: tuple[Place, ...]
    place: Ints
    """Number of its place."""
    subject: Ints
    """0, 1, 2 … in the order of appearance; a decision without a subject is one of its own."""
    when: npt.NDArray[np.float64]
    """Seconds since 1970."""
    step_up: Ints
    """The threshold in force, tenths of a point."""
    deny: Ints
    """The threshold in force, tenths of a point."""
    steps_up: Ints
    """Up to which step_up threshold, in tenths, it is not allowed, were nothing denied: its score, ALWAYS or NEVER."""
    denies: Ints
    """Up to which deny threshold, in tenths, it is denied: its score, or ALWAYS."""
    said: Ints
    """HONEST, ATTACK, or NEITHER."""
    floor: Ints
    """What forces it, number in `floors`; 0 is nothing."""
    floors: tuple[str, ...]
    """`new_device`, `fail mode (store)`…"""
    unanswered: Counter[str] = field(default_factory=Counter)
    """Decisions left out because their records cannot answer the policy, by why."""
    unproven_denies: int = 0
    """Denies that nobody vouched for: mostly attacks, so they count as neither."""

    def only(self, which: Flags) -> "Decisions":
        """Return the decisions that are asked for."""
        arrays = {name: getattr(self, name)[which] for name in (*_COLUMNS, "when", "said")}
        return Decisions(self.places, floors=self.floors, **arrays)

    def turns(self, deny: Ints | int) -> Ints:
        """Return up to which step_up threshold, in tenths, each is not allowed, with deny set at `deny` tenths."""
        return np.where(self.denies >= deny, ALWAYS, self.steps_up)


def gather(
    records: Iterable[Record],
    policy: Policy,
    model: Scorer | None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Decisions:
    """Judge a log, in any order, under the policy that is to be tuned.

    Only decisions with `since` ≤ time < `until` count, with whatever came out about them later.
    """
    by_path = places(policy)
    rows = _Rows(policy, by_path, since, until)
    for judged in judge(rows.split(records), policy, model):
        rows.add(judged)
    return rows.finish(tuple(by_path.values()))


class _Rows:
    """Grows the arrays."""

    def __init__(
        self, policy: Policy, by_path: dict[Path, Place], since: datetime | None, until: datetime | None
    ) -> None:
        self._policy = policy
        self._since, self._until = since, until
        self._number = {path: number for number, path in enumerate(by_path)}
        self._columns = {name: array("q") for name in _COLUMNS}
        self._when, self._ids = array("d"), array("Q")
        self._vouchable = array("b")
        self._subjects: dict[str, int] = {}
        self._next_subject = 0
        self._floors: dict[str, int] = {"": 0}
        self._told: dict[str, array[Any]] = {
            "id": array("Q"), "at": array("d"), "weight": array("b"), "means": array("b")
        }  # fmt: skip
        self._unanswered: Counter[str] = Counter()

    def split(self, records: Iterable[Record]) -> Iterator[DecisionRecord]:
        """Pass decisions on and keep what outcomes say."""
        for record in records:
            if isinstance(record, OutcomeRecord):
                self._tell(record)
            elif (self._since is None or record.when >= self._since) and (
                self._until is None or record.when < self._until
            ):
                yield record

    def _tell(self, record: OutcomeRecord) -> None:
        weight, means = _MEANS[record.outcome]
        self._told["id"].append(key(record.decision_id))
        self._told["at"].append(record.at.timestamp())
        self._told["weight"].append(weight)
        self._told["means"].append(means)

    def add(self, judged: Judged) -> None:
        record, evaluation = judged.record, judged.evaluation
        if judged.why_not is not None:
            self._unanswered[judged.why_not] += 1
            return
        plan, column = evaluation.plan, self._columns
        steps_up, denies = _turns(evaluation)
        column["place"].append(self._number[place_of(self._policy, record.facts.action, plan.action)])
        column["subject"].append(self._subject(record.facts.subject.token))
        column["step_up"].append(tenths(plan.step_up_at))
        column["deny"].append(tenths(plan.deny_at))
        column["steps_up"].append(steps_up)
        column["denies"].append(denies)
        column["floor"].append(self._floors.setdefault(_forced_by(evaluation), len(self._floors)))
        self._when.append(record.when.timestamp())
        self._ids.append(key(record.decision_id))
        self._vouchable.append(record.outcome != Outcome.DENY.word)

    def _subject(self, token: str | None) -> int:
        number = self._next_subject if token is None else self._subjects.setdefault(token, self._next_subject)
        self._next_subject += number == self._next_subject
        return number

    def finish(self, all_places: tuple[Place, ...]) -> Decisions:
        said = self._labels()
        unproven = (said < 0) & (np.array(self._vouchable) == 0)
        said[unproven] = NEITHER
        said[said < 0] = HONEST  # never contradicted
        columns = {name: np.array(values, dtype=np.int64) for name, values in self._columns.items()}
        return Decisions(
            all_places,
            when=np.array(self._when),
            said=said,
            floors=tuple(self._floors),
            unanswered=self._unanswered,
            unproven_denies=int(unproven.sum()),
            **columns,
        )

    def _labels(self) -> Ints:
        """Join outcomes to decisions: the weightiest of each, of equals the latest; -1 where nobody spoke."""
        told = {name: np.array(values) for name, values in self._told.items()}
        ids = np.array(self._ids)
        said = np.full(len(ids), -1, dtype=np.int64)
        if not len(told["id"]) or not len(ids):
            return said
        order = np.lexsort((told["at"], told["weight"], told["id"]))
        of, means = told["id"][order], told["means"][order]
        last = np.append(of[1:] != of[:-1], True)
        of, means = of[last], means[last]
        at = np.minimum(np.searchsorted(of, ids), len(of) - 1)
        known = of[at] == ids
        said[known] = means[at[known]]
        return said


def tenths(threshold: float) -> int:
    """Return the least score, in tenths of a point, that reaches a threshold."""
    return math.ceil(threshold * 10 - 1e-6)


def _turns(evaluation: Evaluation) -> tuple[int, int]:
    """Return up to which step_up threshold a decision is no allow, and up to which deny threshold it is a deny."""
    score = round(evaluation.score * 10)
    if evaluation.floor is Outcome.DENY:
        return ALWAYS, ALWAYS
    if evaluation.evidence_fresh:
        return NEVER, score
    return ALWAYS if evaluation.floor is Outcome.STEP_UP else score, score


def _forced_by(evaluation: Evaluation) -> str:
    """Name the hits and the fail mode whose floor is the most severe; empty when nothing is forced."""
    floor = evaluation.floor
    if floor is Outcome.ALLOW:
        return ""
    codes = sorted(hit.question.code for hit in evaluation.hits if hit.question.floor is floor)
    if not codes:
        return f"fail mode ({', '.join(sorted(evaluation.degraded))})"
    return " and ".join(codes)
