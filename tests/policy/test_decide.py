"""Laws of the outcome: raising the score never softens it, and the most severe wins."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.contract import Outcome
from riskd.policy.decide import by_score, most_severe, with_evidence

scores = st.floats(0, 100)
outcomes = st.sampled_from(Outcome)


@pytest.mark.parametrize(
    ("score", "outcome"),
    [
        (0.0, Outcome.ALLOW),
        (49.9, Outcome.ALLOW),
        (50.0, Outcome.STEP_UP),
        (89.9, Outcome.STEP_UP),
        (90.0, Outcome.DENY),
        (100.0, Outcome.DENY),
    ],
)
def test_thresholds(score: float, outcome: Outcome) -> None:
    """At a threshold the severer side begins."""
    assert by_score(score, 50.0, 90.0) is outcome


def test_equal_thresholds_leave_no_step_up() -> None:
    """A policy whose thresholds are equal goes from allow to deny; one with both at 0 denies all."""
    assert [by_score(score, 60.0, 60.0) for score in (59.9, 60.0)] == [Outcome.ALLOW, Outcome.DENY]
    assert by_score(0.0, 0.0, 0.0) is Outcome.DENY


@given(scores, scores, scores, scores)
def test_raising_the_score_never_softens(one: float, other: float, step_up: float, deny: float) -> None:
    """Whatever the thresholds, the higher score has at least the outcome of the lower."""
    low, high = sorted((one, other))
    step_up, deny = sorted((step_up, deny))
    assert by_score(low, step_up, deny) <= by_score(high, step_up, deny)


@given(outcomes, st.lists(outcomes, max_size=5))
def test_floors(outcome: Outcome, floors: list[Outcome]) -> None:
    """The outcome is the most severe of all that meet: no floor softens, and their order is free."""
    found = most_severe(outcome, floors)
    assert found == max([outcome, *floors])
    assert {most_severe(outcome, order) for order in permutations(floors[:4])} == {max([outcome, *floors[:4]])}


@pytest.mark.parametrize("fresh", [True, False])
def test_evidence_never_lowers_deny(fresh: bool) -> None:
    """Fresh evidence turns step_up into allow, and touches nothing else."""
    assert with_evidence(Outcome.STEP_UP, fresh=fresh) is (Outcome.ALLOW if fresh else Outcome.STEP_UP)
    assert with_evidence(Outcome.DENY, fresh=fresh) is Outcome.DENY
    assert with_evidence(Outcome.ALLOW, fresh=fresh) is Outcome.ALLOW
