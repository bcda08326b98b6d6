"""Score, floors and evidence become one outcome. Where several meet, the most severe wins, by `max`."""

from collections.abc import Iterable

from riskd.contract import Outcome


def by_score(score: float, step_up: float, deny: float) -> Outcome:
    """Outcome of a score against its thresholds, all 0 to 100: at a threshold the severer side begins."""
    if score >= deny:
        return Outcome.DENY
    if score >= step_up:
        return Outcome.STEP_UP
    return Outcome.ALLOW


def most_severe(outcome: Outcome, floors: Iterable[Outcome]) -> Outcome:
    """Apply floors: the least outcomes that hits, faults or a degraded source force."""
    return max(outcome, *floors, Outcome.ALLOW)


def with_evidence(outcome: Outcome, *, fresh: bool) -> Outcome:
    """Lower step_up to allow when fresh evidence already achieves it; deny is never lowered."""
    return Outcome.ALLOW if fresh and outcome is Outcome.STEP_UP else outcome
