"""The index, its noise floor and interval, and the day of a change, against numbers worked out otherwise."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from riskd.learn.drift.stability import (
    change_point,
    chi_square,
    compare,
    difference,
    floor,
    psi,
    spread,
    terms,
)

Counts = npt.NDArray[np.int64]
GROUPS = 32
SHARES = np.array([0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05])


def drawn(rng: np.random.Generator, decisions: int, shares: npt.NDArray[np.float64], rows: int = GROUPS) -> Counts:
    """Independent decisions, dealt into rows."""
    found: Counts = np.stack([rng.multinomial(decisions // rows, shares) for _ in range(rows)])
    return found


def test_the_index_is_the_formula() -> None:
    """It equals the sum over the bins worked out by hand, is the same both ways, and nothing where nothing moved."""
    then, now = np.array([500, 300, 200]), np.array([400, 300, 300])
    by_hand = sum((q - p) * math.log(q / p) for p, q in ((0.5, 0.4), (0.3, 0.3), (0.2, 0.3)))
    assert psi(then * 1000, now * 1000) == pytest.approx(by_hand, rel=1e-4)
    assert psi(then, now) == pytest.approx(psi(now, then))
    assert psi(then, then) == 0
    assert terms(then, now).sum() == pytest.approx(psi(then, now))


def test_empty_bins_and_periods_make_no_infinity() -> None:
    """A bin that was empty is finite, one that is empty on both sides is nothing, an empty period says nothing."""
    assert 0.1 < psi(np.array([1000, 0, 0]), np.array([900, 100, 0])) < 1
    assert terms(np.array([10, 0]), np.array([20, 0])).tolist() == [0, 0]
    empty = np.zeros((GROUPS, 2), dtype=np.int64)
    assert psi(empty.sum(axis=0), np.array([1, 2])) == 0
    found = compare(empty, empty + 1, empty)
    assert (found.psi, found.floor, found.reading) == (0, math.inf, "steady")


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 10.828), (2, 13.816), (5, 20.515), (10, 29.588), (30, 59.703)])
def test_the_quantile_of_chi_square(freedom: int, quantile: float) -> None:
    """It is the printed tables' 99.9 % to 4 %."""
    assert chi_square(freedom) == pytest.approx(quantile, rel=0.04)


@pytest.mark.parametrize(("then", "now"), [(320, 64), (3200, 640), (64_000, 3200)])
def test_chance_alone_hardly_passes_the_floor(then: int, now: int) -> None:
    """Over 400 pairs of periods where nothing moved, at most three do, whatever the sample; a thousandth is meant."""
    rng = np.random.default_rng(then)
    over = 0
    for _ in range(400):
        one, other, blocks = drawn(rng, then, SHARES), drawn(rng, now, SHARES), drawn(rng, then, SHARES, 4)
        over += psi(one.sum(axis=0), other.sum(axis=0)) > floor(one, other, blocks)
    assert over <= 3


def test_subjects_with_many_decisions_are_no_alarm() -> None:
    """Where each decision comes twenty times over, the floor falls no lower than without the copies, and holds."""
    rng = np.random.default_rng(3)
    over, floors = 0, []
    for _ in range(200):
        one, other = drawn(rng, 3200, SHARES) * 20, drawn(rng, 640, SHARES) * 20
        blocks = drawn(rng, 3200, SHARES, 4) * 20
        floors.append(floor(one, other, blocks) / floor(one // 20, other // 20, blocks // 20))
        over += psi(one.sum(axis=0), other.sum(axis=0)) > floor(one, other, blocks)
    assert over <= 2
    assert 1 <= np.median(floors) < 2
    assert spread(drawn(rng, 64_000, SHARES) * 20).design_effect == pytest.approx(20, rel=0.4)


def test_weeks_unlike_each_other_are_no_alarm() -> None:
    """Where shares of every week of the reference differ, one more week like them is below the floor."""
    rng = np.random.default_rng(5)
    over = 0
    for _ in range(200):
        weeks = [rng.dirichlet(SHARES * 40) for _ in range(13)]
        blocks = np.stack([rng.multinomial(1000, week) for week in weeks[:12]])
        then = np.stack([rng.multinomial(12_000 // GROUPS, blocks.sum(axis=0) / 12_000) for _ in range(GROUPS)])
        over += compare(then, drawn(rng, 992, weeks[12]), blocks).psi > floor(then, drawn(rng, 992, weeks[12]), blocks)
    assert over <= 4


def test_a_change_is_seen_in_a_small_sample_and_read_as_usual() -> None:
    """A third of the decisions moving from one bin to another is large even among six hundred."""
    rng = np.random.default_rng(2)
    moved = SHARES.copy()
    moved[[3, 4, 5]] -= 0.09
    moved[10] += 0.27
    then, now = drawn(rng, 6400, SHARES), drawn(rng, 640, moved)
    found = compare(then, now, drawn(rng, 6400, SHARES, 4))
    truth = float(((moved - SHARES) * np.log(moved / SHARES)).sum())
    assert found.reading == "large"
    assert found.interval[0] < truth < found.interval[1]
    small = compare(then, drawn(rng, 32, SHARES), drawn(rng, 6400, SHARES, 4))
    assert small.psi > 0.1
    assert small.reading == "noise"


def test_the_interval_holds_the_truth() -> None:
    """Of 200 intervals at least 180 hold the true index; 190 are meant."""
    rng = np.random.default_rng(4)
    moved = SHARES[::-1].cumsum() / SHARES[::-1].cumsum().sum()
    truth = float(((moved - SHARES) * np.log(moved / SHARES)).sum())
    held = 0
    for _ in range(200):
        found = compare(drawn(rng, 6400, SHARES), drawn(rng, 1600, moved), drawn(rng, 6400, SHARES, 4))
        held += found.interval[0] <= truth <= found.interval[1]
    assert held >= 180


@pytest.mark.parametrize("at", [0, 1, 12, 29])
def test_a_step_is_dated_to_the_day(at: int) -> None:
    """The day since which shares are otherwise is found, with a range that holds it."""
    rng = np.random.default_rng(at)
    moved = np.roll(SHARES, 3) * 0.6 + SHARES * 0.2 + 0.2 / len(SHARES)
    days = np.stack([rng.multinomial(600, SHARES if day < at else moved / moved.sum()) for day in range(30)])
    found = change_point(rng.multinomial(9000, SHARES), days, 1.0)
    assert found is not None
    assert found.earliest <= at <= found.latest
    assert abs(found.day - at) <= 1


def test_noise_widens_the_days_of_a_change() -> None:
    """The same counts, each worth a tenth, leave more days open; no days, no change."""
    rng = np.random.default_rng(1)
    moved = SHARES[::-1].cumsum() / SHARES[::-1].cumsum().sum()
    days = np.stack([rng.multinomial(80, SHARES if day < 10 else moved) for day in range(20)])
    then = rng.multinomial(2000, SHARES)
    sure, unsure = change_point(then, days, 1.0), change_point(then, days, 40.0)
    assert sure is not None
    assert unsure is not None
    assert unsure.latest - unsure.earliest > sure.latest - sure.earliest
    assert change_point(then, days[:0], 1.0) is None


def test_a_share_changes_within_its_deviation() -> None:
    """The change of a share is the plain difference; its deviation is that of independent decisions, or of weeks."""
    rng = np.random.default_rng(6)
    then, now = drawn(rng, 64_000, np.array([0.1, 0.9])), drawn(rng, 6400, np.array([0.2, 0.8]))
    change, deviation = difference(then, now, drawn(rng, 64_000, np.array([0.1, 0.9]), 8))
    assert change == pytest.approx(0.1, abs=0.02)
    assert deviation == pytest.approx(math.sqrt(0.09 / 64_000 + 0.16 / 6400), rel=0.4)
    weeks = np.array([[100, 900], [300, 700], [50, 950], [400, 600]])
    assert difference(then, now, weeks)[1] > 0.1
