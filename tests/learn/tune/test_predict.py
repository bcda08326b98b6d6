"""A prediction interval holds what it says, for subjects with many decisions each and days unlike each other."""

import numpy as np
import pytest

from riskd.learn.tune.predict import DAY_S, DRIFT, interval, predict


def draw(
    rng: np.random.Generator, subjects: int, *, spread: float, share: float = 0.02
) -> tuple[np.ndarray, np.ndarray]:
    """A month of decisions: which are hit, and whose they are; `spread` 0 makes all subjects alike."""
    size = rng.geometric(0.2, subjects)
    own = rng.beta(share / spread, (1 - share) / spread, subjects) if spread else np.full(subjects, share)
    subject = np.repeat(np.arange(subjects), size)
    return rng.random(len(subject)) < own[subject], subject


def month(rng: np.random.Generator, many: int) -> np.ndarray:
    """Times of a month."""
    return rng.random(many) * 30 * DAY_S


@pytest.mark.parametrize("spread", [0.0, 0.1], ids=["alike", "each their own"])
def test_the_next_month_is_covered(spread: float) -> None:
    """Nineteen of twenty next months lie in the interval, whether or not subjects resemble themselves, drift or not."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        hit, subject = draw(rng, 800, spread=spread)
        found = predict(hit, subject, month(rng, len(hit)))
        drifted = 0.02 * max(0.4, 1 + DRIFT * rng.standard_normal())
        covered += found.low <= draw(rng, 800, spread=spread, share=drifted)[0].mean() <= found.high
    assert 0.92 <= covered / 300 <= 0.985


def test_subjects_are_drawn_not_decisions() -> None:
    """What the log is worth agrees with a bootstrap over subjects, and is less than its number of decisions."""
    rng = np.random.default_rng(1)
    hit, subject = draw(rng, 2000, spread=0.3)
    found = predict(hit, subject, np.linspace(0, 30 * DAY_S, len(hit))[rng.permutation(len(hit))])
    size, hits = np.bincount(subject), np.bincount(subject, weights=hit)
    drawn = rng.integers(0, 2000, (2000, 2000))
    spread = (hits[drawn].sum(axis=1) / size[drawn].sum(axis=1)).var()
    assert found.share * (1 - found.share) / spread == pytest.approx(found.worth, rel=0.2)
    assert found.worth < len(hit) / 1.5


def test_days_unlike_each_other_widen_the_interval() -> None:
    """The same number of hits on a few bad days says less than spread over the month."""
    rng = np.random.default_rng(2)
    when = np.sort(month(rng, 10_000))
    even, bad = rng.random(10_000) < 0.02, np.zeros(10_000, dtype=np.bool_)
    days = (when // DAY_S).astype(int)
    bad[rng.choice(np.flatnonzero(np.isin(days, [3, 11, 19, 27])), even.sum(), replace=False)] = True
    assert predict(bad, np.arange(10_000), when).half_width > 2 * predict(even, np.arange(10_000), when).half_width


def test_a_trend_stretches_the_interval_to_where_it_leads() -> None:
    """A share that doubled from half to half is said, and the interval reaches on."""
    rng = np.random.default_rng(3)
    when = np.sort(month(rng, 20_000))
    hit = rng.random(20_000) < np.where(when < 15 * DAY_S, 0.02, 0.04)
    found = predict(hit, np.arange(20_000), when)
    assert found.trend is not None
    first, second = found.trend
    assert found.high >= found.share + 2 * (second - first) > second
    assert predict(rng.permutation(hit), np.arange(20_000), when).trend is None


def test_a_threshold_chosen_on_the_decisions_is_expected_to_do_worse() -> None:
    """Put just above an honest score, a threshold lets the next one through with (hits + 1) / (total + 1)."""
    hit = np.zeros(99, dtype=np.bool_)
    hit[:4] = True
    found = predict(hit, np.arange(99), np.linspace(0, DAY_S, 99), chosen=1)
    assert (found.hits, found.share) == (4, pytest.approx(0.05, rel=0.01))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_none_is_no_certainty(share: float) -> None:
    """From a hundred without a hit the next hundred may hold a few."""
    low, high = interval(share, 100)
    assert low <= share <= high
    assert 0.02 < high - low < 0.08


def test_nothing_seen_promises_nothing() -> None:
    """Without decisions the share may be anything, and is written as a dash."""
    nothing = np.zeros(0)
    found = predict(nothing.astype(np.bool_), nothing.astype(np.int64), nothing)
    assert (found.low, found.high, str(found)) == (0.0, 1.0, "-")


def test_one_decision_is_predicted_too() -> None:
    """One decision at one instant makes an interval, a wide one."""
    found = predict(np.array([True]), np.array([0]), np.array([5.0]))
    assert found.low < 0.5 < found.high == 1.0


def test_how_many_are_needed() -> None:
    """Half the width takes four times the decisions, but for what drift adds; below that no number is enough."""
    found = predict(np.arange(10_000) % 100 == 0, np.arange(10_000), np.linspace(0, 30 * DAY_S, 10_000))
    more = found.needed(0.004)
    assert more is not None
    again = predict(np.arange(more) % 100 == 0, np.arange(more), np.linspace(0, 30 * DAY_S, more))
    assert again.half_width == pytest.approx(0.004, rel=0.05)
    assert found.needed(0.002) is None
