"""Laws of the score: bounded, monotone, order-free, and each reason's share adds up to it."""

from itertools import pairwise
from math import log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.policy.combine import MAX_WEIGHT, contributions, evidence, score_of, score_range, total_evidence

weights = st.floats(0, 1)
heaps = st.lists(weights, max_size=40)
few = st.lists(weights, max_size=3)


def score(declared: list[float], statistical: list[float] | None = None) -> float:
    """Score of these weights."""
    return score_of(total_evidence([*map(evidence, declared)], [*map(evidence, statistical or [])]))


def test_nothing_is_no_risk() -> None:
    """Without any hit the score is 0 and nobody has a share."""
    assert score([]) == 0.0
    assert contributions([], []) == ([], [])


@pytest.mark.parametrize(
    ("declared", "statistical", "points"),
    [
        ([0.5], [], 50.0),
        ([0.5, 0.5], [], 75.0),
        ([0.3, 0.2], [], 44.0),
        ([0.3], [0.2], 30.0),  # the statistical one is compared, not added
        ([0.3], [0.5], 50.0),
        ([0.3], [0.5, 0.6], 60.0),
        ([0.0], [], 0.0),
        ([1.0], [], 100.0),
    ],
)
def test_by_hand(declared: list[float], statistical: list[float], points: float) -> None:
    """Declared weights combine by noisy-or, and the largest of their sum and the statistical ones counts."""
    assert score(declared, statistical) == points


def test_evidence_is_finite_and_rises() -> None:
    """Evidence is -ln(1 - w), capped so that even certainty stays a number."""
    assert evidence(0.0) == 0.0
    assert evidence(0.5) == pytest.approx(log(2))
    assert evidence(1.0) == evidence(MAX_WEIGHT) < 10


@given(heaps, few)
def test_bounded(declared: list[float], statistical: list[float]) -> None:
    """Any heap of reasons scores between 0 and 100, in tenths."""
    found = score(declared, statistical)
    assert 0 <= found <= 100
    assert found == round(found, 1)


@given(heaps, few, weights)
def test_another_reason_never_lowers(declared: list[float], statistical: list[float], more: float) -> None:
    """A further hit of either kind never lowers the score."""
    before = score(declared, statistical)
    assert score([*declared, more], statistical) >= before
    assert score(declared, [*statistical, more]) >= before


@given(st.lists(weights, min_size=1, max_size=40), few, weights, st.data())
def test_a_larger_weight_never_lowers(
    declared: list[float], statistical: list[float], larger: float, data: st.DataObject
) -> None:
    """A reason that weighs more never lowers the score."""
    position = data.draw(st.integers(0, len(declared) - 1))
    raised = [max(w, larger) if i == position else w for i, w in enumerate(declared)]
    assert score(raised, statistical) >= score(declared, statistical)


@given(heaps, few, st.randoms(use_true_random=False))
def test_order_is_free(declared: list[float], statistical: list[float], random: Random) -> None:
    """The score is the same to the last digit in whatever order the reasons come."""
    shuffled = list(declared)
    random.shuffle(shuffled)
    assert score(shuffled, statistical[::-1]) == score(declared, statistical)


@given(heaps, few)
def test_shares_add_up(declared: list[float], statistical: list[float]) -> None:
    """The contributions, in tenths as they are shown, add up to exactly the score shown; none is negative."""
    evidences = [*map(evidence, declared)], [*map(evidence, statistical)]
    of_declared, of_statistical = contributions(*evidences)
    tenths = [round(share * 10) for share in (*of_declared, *of_statistical)]
    assert sum(tenths) == round(score(declared, statistical) * 10)
    assert all(n >= 0 for n in tenths)
    assert (len(of_declared), len(of_statistical)) == (len(declared), len(statistical))


@given(heaps, few)
def test_a_larger_weight_has_no_smaller_share(declared: list[float], statistical: list[float]) -> None:
    """Of two declared reasons the heavier has at least the share of the lighter, but for one tenth of rounding."""
    shares, _ = contributions([*map(evidence, declared)], [*map(evidence, statistical)])
    ranked = sorted(zip(declared, shares, strict=True))
    assert all(low[1] <= high[1] + 0.11 for low, high in pairwise(ranked))


def test_a_statistical_reason_gets_what_it_exceeds_by() -> None:
    """Below the declared sum a statistical reason has no share; above it, the rest."""
    assert contributions([evidence(0.5)], [evidence(0.3)]) == ([50.0], [0.0])
    of_declared, of_statistical = contributions([evidence(0.5)], [evidence(0.75)])
    assert of_declared == of_statistical == [37.5]


@given(heaps, few, st.lists(weights, max_size=20), st.floats(0, 3))
def test_the_range_holds_the_score(
    declared: list[float], statistical: list[float], unknown: list[float], coarse: float
) -> None:
    """The score lies within its range, and the range within 0 to 100."""
    total = total_evidence([*map(evidence, declared)], [*map(evidence, statistical)])
    low, high = score_range(total, coarse, [*map(evidence, unknown)])
    assert 0 <= low <= score_of(total) <= high <= 100


@given(heaps, st.lists(weights, max_size=20), weights, st.floats(0, 3), st.floats(0, 3))
def test_less_known_is_wider(
    declared: list[float], unknown: list[float], more: float, coarse: float, coarser: float
) -> None:
    """Another unknown signal, or more that rests on coarse places, never narrows the range."""
    total = total_evidence([*map(evidence, declared)], [])
    held_back = [*map(evidence, unknown)]
    low, high = score_range(total, coarse, held_back)
    lower, higher = score_range(total, coarse + coarser, [*held_back, evidence(more)])
    assert lower <= low
    assert higher >= high


def test_all_known_is_a_point() -> None:
    """With nothing unknown and nothing coarse the range is the score."""
    assert score_range(evidence(0.4), 0.0, []) == (40.0, 40.0)
