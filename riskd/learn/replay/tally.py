"""Counts decisions judged again, block by block; tallies of blocks add up to that of the log, in any order."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from heapq import nlargest
from itertools import product
from zlib import crc32

import numpy as np

from riskd.contract import Outcome
from riskd.learn.replay.compare import Example, cause, differing, example
from riskd.learn.replay.judge import Judged
from riskd.learn.replay.labels import DECIDED, TOLD, key, told
from riskd.record.schema import DecisionRecord, OutcomeRecord

OUTCOMES = len(Outcome)
CELLS = OUTCOMES * OUTCOMES
"""Cells of the matrix: recorded outcome by outcome now, row by row."""
DIMENSIONS = ("action", "country", "device", "day")
MAX_VALUES = 1_000
"""Values of one dimension, reasons or causes that are counted apart; callers choose some of them. Beyond: `OTHERS`."""
OTHERS = "(others)"
UNKNOWN = "(unknown)"
_OF = {outcome.word: int(outcome) for outcome in Outcome}


def cell(then: int, now: int) -> int:
    """Return the cell of two outcomes."""
    return then * OUTCOMES + now


SEVERER = frozenset(cell(then, now) for then, now in product(range(OUTCOMES), repeat=2) if now > then)
MILDER = frozenset(cell(then, now) for then, now in product(range(OUTCOMES), repeat=2) if now < then)


class Tally:
    """What was counted; holds bounded numbers of everything but the rows for the join, which a block carries along."""

    def __init__(self, examples: int) -> None:
        """`examples` is how many decisions are shown of those newly hit, and of those let go."""
        self.examples = examples
        self.refused: Counter[str] = Counter()
        """Lines that are no record, by reason."""
        self.outcomes = 0
        self.decisions = 0
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.policies: Counter[str] = Counter()
        self.models: Counter[str] = Counter()
        self.not_judgeable: Counter[str] = Counter()
        self.identical = 0
        self.differing: Counter[str] = Counter()
        self.degraded = [0, 0]
        """Then, now."""
        self.matrix = [0] * CELLS
        self.groups: dict[str, dict[str, list[int]]] = {name: {} for name in DIMENSIONS}
        self.reasons: dict[str, list[int]] = {}
        """Code → decisions with this reason then, by outcome, followed by those with it now."""
        self.scores = [[0] * 101, [0] * 101]
        """Then, now: decisions by whole points of score."""
        self.shadows: dict[str, list[int]] = {}
        """Candidate that was judged beside → cells of the outcome obeyed by the candidate's, as recorded."""
        self.watched: dict[str, list[int]] = {}
        """Signal in shadow → decisions in which it hit, by outcome, as recorded."""
        self.causes: Counter[str] = Counter()
        self.hit: list[Example] = []
        self.freed: list[Example] = []
        self.decided, self.told = b"", b""
        """Rows for the join, once sealed."""
        self._decided: list[tuple[int, int, int]] = []
        self._told: list[tuple[int, float, int]] = []

    def outcome(self, record: OutcomeRecord) -> None:
        """Count an outcome."""
        self.outcomes += 1
        row = told(record)
        if row is not None:
            self._told.append(row)

    def unanswered(self, record: DecisionRecord, why: str) -> None:
        """Count a decision that cannot be judged again."""
        self._seen(record)
        self.not_judgeable[_within(self.not_judgeable, why)] += 1

    def judged(self, judged: Judged) -> None:
        """Count a decision."""
        record, evaluation = judged.record, judged.evaluation
        if judged.why_not is not None:
            self.unanswered(record, judged.why_not)
            return
        self._seen(record)
        differs = differing(record, evaluation)
        self.identical += not differs
        self.differing.update(differs)
        self.degraded[0] += bool(record.degraded)
        self.degraded[1] += bool(evaluation.degraded)
        then, now = _OF[record.outcome], int(evaluation.outcome)
        at = cell(then, now)
        self.matrix[at] += 1
        self._group(record, at)
        for code in record.hits:
            self._reason(code)[then] += 1
        for hit in evaluation.hits:
            self._reason(hit.question.code)[OUTCOMES + now] += 1
        self.scores[0][min(100, max(0, int(record.score)))] += 1
        self.scores[1][int(evaluation.score)] += 1
        if at in SEVERER:
            self.causes[_within(self.causes, cause(judged))] += 1
            self._keep(self.hit, example(judged))
        elif at in MILDER:
            self._keep(self.freed, example(judged))
        token = record.facts.subject.token
        self._decided.append((key(record.decision_id), 0 if token is None else crc32(token.encode()) or 1, at))

    def seal(self) -> "Tally":
        """Pack the rows for the join, so that the tally travels light; nothing is counted after it."""
        self.decided, self.told = np.array(self._decided, DECIDED).tobytes(), np.array(self._told, TOLD).tobytes()
        self._decided, self._told = [], []
        return self

    def add(self, other: "Tally") -> None:
        """Add another tally; the rows for the join are not taken over."""
        self.outcomes += other.outcomes
        self.decisions += other.decisions
        self.first = min(filter(None, (self.first, other.first)), default=None)
        self.last = max(filter(None, (self.last, other.last)), default=None)
        for name in ("refused", "policies", "models", "not_judgeable", "differing", "causes"):
            mine: Counter[str] = getattr(self, name)
            for value, count in getattr(other, name).items():
                mine[_within(mine, value)] += count
        self.identical += other.identical
        _add(self.degraded, other.degraded)
        _add(self.matrix, other.matrix)
        for dimension, values in other.groups.items():
            _add_all(self.groups[dimension], values)
        _add_all(self.reasons, other.reasons)
        _add_all(self.shadows, other.shadows)
        _add_all(self.watched, other.watched)
        for mine_scores, scores in zip(self.scores, other.scores, strict=True):
            _add(mine_scores, scores)
        self.hit = self._top((*self.hit, *other.hit))
        self.freed = self._top((*self.freed, *other.freed))

    def _seen(self, record: DecisionRecord) -> None:
        self.decisions += 1
        when = record.when
        self.first = when if self.first is None or when < self.first else self.first
        self.last = when if self.last is None or when > self.last else self.last
        self.policies[_within(self.policies, record.policy_revision)] += 1
        self.models[_within(self.models, record.model_version or "none")] += 1
        then = _OF[record.outcome]
        if (beside := record.shadow) is not None:
            name = f"policy {beside.policy_revision}, model {beside.model_version or 'none'}"
            name = _within(self.shadows, name)
            self.shadows.setdefault(name, [0] * CELLS)[cell(then, _OF[beside.outcome])] += 1
        for code in record.shadow_hits:
            code = _within(self.watched, code)  # noqa: PLW2901 - the name it is counted under
            self.watched.setdefault(code, [0] * OUTCOMES)[then] += 1

    def _group(self, record: DecisionRecord, at: int) -> None:
        facts, groups = record.facts, self.groups
        named = (facts.action.name, facts.place.country, facts.device.kind, record.when.date().isoformat())
        for dimension, value in zip(DIMENSIONS, named, strict=True):
            counts = groups[dimension]
            name = value or UNKNOWN
            if name not in counts:
                name = _within(counts, name)
                counts.setdefault(name, [0] * CELLS)
            counts[name][at] += 1

    def _reason(self, code: str) -> list[int]:
        if code not in self.reasons:
            code = _within(self.reasons, code)
        return self.reasons.setdefault(code, [0] * (2 * OUTCOMES))

    def _keep(self, kept: list[Example], new: Example) -> None:
        kept.append(new)
        if len(kept) >= 4 * self.examples + 16:
            kept[:] = self._top(kept)

    def _top(self, examples: Iterable[Example]) -> list[Example]:
        return nlargest(self.examples, examples, key=lambda kept: kept.rank)


def _within(counts: "Counter[str] | dict[str, list[int]]", value: str) -> str:
    """Return the name under which a value is counted, so that no dimension grows without end."""
    return value if value in counts or len(counts) < MAX_VALUES else OTHERS


def _add(mine: list[int], other: list[int]) -> None:
    mine[:] = [a + b for a, b in zip(mine, other, strict=True)]


def _add_all(mine: dict[str, list[int]], other: dict[str, list[int]]) -> None:
    for value, counts in other.items():
        _add(mine.setdefault(_within(mine, value), [0] * len(counts)), counts)


__all__ = ["CELLS", "DIMENSIONS", "MILDER", "OUTCOMES", "SEVERER", "Tally", "cell"]
