"""Which changes would have turned a decision: each is tried alone, and pairs of them where none does it alone."""

from collections.abc import Generator, Sequence
from functools import reduce
from itertools import combinations
from typing import Final

from msgspec import Struct

from riskd.contract import Outcome, made
from riskd.counterfactual.account import FRESH_AUTHENTICATION
from riskd.counterfactual.catalogue import changes_for
from riskd.counterfactual.change import Change
from riskd.counterfactual.wire import Counterfactual, FactChange
from riskd.evaluation import Evaluation, Scorer, evaluate_all
from riskd.facts import Facts
from riskd.policy import Policy

MAX_EVALUATIONS: Final = 200
"""Evaluations that one search may take."""
TOGETHER: Final = 16
"""Evaluations between two pauses of a search: some two milliseconds."""
MOST_SHOWN: Final = 5
"""Ways that are told."""

Changes = tuple[Change, ...]
Steps = Generator[None, None, list[Evaluation]]


class Found(Struct, frozen=True):
    """Changes that turn the decision, and what it would have been."""

    changes: Changes
    evaluation: Evaluation


def counterfactuals(
    facts: Facts, policy: Policy, model: Scorer | None, evaluation: Evaluation
) -> tuple[Counterfactual, ...]:
    """Return the smallest sets of changes under which `evaluation` of the facts would have come out milder.

    Single changes where one suffices, else pairs; the mildest outcome first, `MOST_SHOWN` at most. Empty for an allow,
    and when none of the changes tried would have done it, alone or in a pair. Every way that is told was judged as told
    by `evaluate_all`; floors, fail modes and evidence count as they always do.
    """
    steps = in_steps(facts, policy, model, evaluation)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return tuple(end.value)


def in_steps(
    facts: Facts, policy: Policy, model: Scorer | None, evaluation: Evaluation
) -> Generator[None, None, tuple[Counterfactual, ...]]:
    """Find what `counterfactuals` returns, with a pause (yield) after each `TOGETHER` evaluations."""
    if evaluation.outcome is Outcome.ALLOW:
        return ()
    trial = _Trial(facts, policy, model, evaluation.outcome)
    changes = changes_for(facts, policy, evaluation.plan)
    singles = [(change,) for change in changes]
    judged = yield from trial.judge(singles)
    found = trial.turned(singles, judged)
    # That the step-up itself would do is known already: what would have spared it is looked for all the same.
    if all(way.changes[0].code == FRESH_AUTHENTICATION for way in found):
        done = [way.changes[0] for way in found]
        found = [*(yield from trial.first_turned(_pairs(changes, judged, done))), *found]
    found = _least(found)[:MOST_SHOWN]
    told: tuple[Counterfactual, ...] = ()
    for way in found:
        told = (*told, _told((yield from trial.sized(way))))
    return told


class _Trial:
    """The facts under trial, and what was spent on them."""

    def __init__(self, facts: Facts, policy: Policy, model: Scorer | None, outcome: Outcome) -> None:
        self._facts = facts
        self._policy = policy
        self._model = model
        self._outcome = outcome
        self._left = MAX_EVALUATIONS

    def judge(self, ways: Sequence[Changes]) -> Steps:
        """Judge the facts under each set of changes."""
        judged: list[Evaluation] = []
        for first in range(0, len(ways), TOGETHER):
            group = ways[first : first + TOGETHER]
            self._left -= len(group)
            changed = [reduce(lambda facts, change: change.apply(facts), way, self._facts) for way in group]
            judged += evaluate_all(changed, self._policy, self._model)
            yield
        return judged

    def turned(self, ways: Sequence[Changes], judged: Sequence[Evaluation]) -> list[Found]:
        """Return those under which the outcome is milder than it was."""
        return [Found(way, result) for way, result in zip(ways, judged, strict=True) if result.outcome < self._outcome]

    def first_turned(self, ways: Sequence[Changes]) -> Generator[None, None, list[Found]]:
        """Judge, a group at a time, until enough turn or what is left is needed to size them."""
        found: list[Found] = []
        # Halving finds the size of a change in as many evaluations as the number of its sizes has binary digits.
        sizes = {change.code: change.steps.bit_length() for way in ways for change in way if change.at is not None}
        kept = MOST_SHOWN * sum(sizes.values())
        for first in range(0, len(ways), TOGETHER):
            room = self._left - kept
            group = ways[first : min(first + TOGETHER, first + room)] if room > 0 else ()
            if not group or len(found) >= MOST_SHOWN:
                break
            found += self.turned(group, (yield from self.judge(group)))
        return found

    def sized(self, way: Found) -> Generator[None, None, Found]:
        """Make each change as small as it may be with the outcome that its largest size brings."""
        for place, change in enumerate(way.changes):
            if change.at is None:
                continue
            too_small, enough = 0, change.steps
            while enough - too_small > 1 and self._left > 0:
                middle = (too_small + enough) // 2
                tried = (*way.changes[:place], change.at(middle), *way.changes[place + 1 :])
                (result,) = yield from self.judge([tried])
                if result.outcome <= way.evaluation.outcome:
                    way, enough = Found(tried, result), middle
                else:
                    too_small = middle
        return way


def _pairs(changes: list[Change], judged: list[Evaluation], without: list[Change]) -> list[Changes]:
    """Pair the changes of different kinds, those first that bring the score down most."""
    scored = [(c, e.score) for c, e in zip(changes, judged, strict=True) if c not in without]
    pairs = [(a, b) for a, b in combinations(scored, 2) if a[0].code != b[0].code]
    pairs.sort(key=lambda pair: pair[0][1] + pair[1][1])
    return [(a, b) for (a, _), (b, _) in pairs]


def _least(found: list[Found]) -> list[Found]:
    """Mildest outcome first, else as found; of the same kinds of changes only the first."""
    first: dict[tuple[str, ...], Found] = {}
    for way in sorted(found, key=lambda way: way.evaluation.outcome):
        first.setdefault(tuple(change.code for change in way.changes), way)
    return list(first.values())


_WORDS: Final = {Outcome.ALLOW: "allowed", Outcome.STEP_UP: "only a step-up"}


def _told(way: Found) -> Counterfactual:
    changes, outcome = way.changes, way.evaluation.outcome
    return made(
        Counterfactual,
        text=f"{_WORDS[outcome]} {' and '.join(change.text for change in changes)}",
        decision=outcome.word,
        score=way.evaluation.score,
        changes=tuple(made(FactChange, code=c.code, text=c.text, value=c.value) for c in changes),
    )
