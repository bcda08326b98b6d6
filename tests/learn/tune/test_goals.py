"""Each goal's threshold is what trying all of them would find."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from riskd.learn.share import Share
from riskd.learn.tune.gather import ALWAYS, NEVER
from riskd.learn.tune.goals import LeastCost, MaxStepUp, MinCatch, turned

turns = st.lists(st.sampled_from([ALWAYS, NEVER, *range(0, 1001, 37)]), min_size=1, max_size=60).map(np.array)
highest = st.integers(0, 1000)
share = st.floats(0.001, 0.999)


@given(turns, highest)
def test_turned_counts_what_a_threshold_turns(decisions: np.ndarray, top: int) -> None:
    """At each threshold, what turns at it or above."""
    assert turned(decisions, top).tolist() == [int((decisions >= at).sum()) for at in range(top + 1)]


@given(turns, turns, highest, share)
def test_the_lowest_threshold_that_keeps_to_a_share(
    honest: np.ndarray, attacks: np.ndarray, top: int, most: float
) -> None:
    """No lower one is expected to keep to it; without one, nothing is chosen and it is said why."""
    fits = [at for at in range(top + 1) if (honest >= at).sum() + 1 <= most * (len(honest) + 1)]
    goal = MaxStepUp(most)
    assert goal.choose(honest, attacks, top) == (fits[0] if fits else None)
    why = goal.unreached(honest, attacks, top)
    assert (why is None) == (Share(int((honest >= top).sum()), len(honest)).interval[0] <= most)


@given(turns, turns, highest, share)
def test_the_highest_threshold_that_catches_a_share(
    honest: np.ndarray, attacks: np.ndarray, top: int, least: float
) -> None:
    """No higher one catches as much."""
    fits = [at for at in range(top + 1) if (attacks >= at).sum() >= least * len(attacks)]
    goal = MinCatch(least)
    assert goal.choose(honest, attacks, top) == (fits[-1] if fits else None)
    assert "no more" in str(goal.unreached(honest, attacks, top))


@given(turns, turns, highest, st.floats(0, 100), st.floats(0, 100))
def test_the_cheapest_threshold(
    honest: np.ndarray, attacks: np.ndarray, top: int, step_up: float, missed: float
) -> None:
    """Nothing costs less."""

    def cost(at: int) -> float:
        return float(step_up * (honest >= at).sum() + missed * (len(attacks) - (attacks >= at).sum()))

    goal = LeastCost(step_up, missed)
    chosen = goal.choose(honest, attacks, top)
    assert cost(chosen) == min(map(cost, range(top + 1)))
    assert goal.unreached(honest, attacks, top) is None


def test_attacks_needed() -> None:
    """A share near one takes more attacks to be told from all of them."""
    assert MinCatch(0.5).attacks_needed == 20
    assert MinCatch(0.99).attacks_needed == 100
    assert MaxStepUp(0.01).attacks_needed == 0
