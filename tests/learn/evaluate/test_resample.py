"""Intervals over subjects: they know that one person's attempts are one person's."""

import numpy as np
import pytest

from riskd.learn.evaluate.resample import GROUPS, Counts, Resampling, groups_of
from riskd.learn.share import Share


def counted(groups: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Counts:
    """Attempts by group."""
    return np.bincount(groups, minlength=GROUPS).astype(np.uint32)


def test_independent_attempts_have_wilsons_interval() -> None:
    """Where every subject attempts once, the interval is about as wide as the one over attempts."""
    subjects = np.arange(GROUPS)
    share = Resampling().share(counted(subjects[:102]), counted(subjects))
    low, high = Share(102, GROUPS).interval
    assert share.value == 102 / GROUPS
    assert share.interval == pytest.approx((low, high), abs=0.006)


def test_attempts_of_few_subjects_have_a_wider_one() -> None:
    """The same counts from twenty subjects, two of whom are always stopped, are far less certain."""
    total = counted(np.repeat(np.arange(20), 50))
    share = Resampling().share(np.where(np.arange(GROUPS) < 2, total, 0).astype(np.uint32), total)
    low, high = Share(100, 1000).interval
    assert share.value == 0.1
    assert share.high - share.low > 4 * (high - low)


@pytest.mark.parametrize("hit", [0, 1])
def test_all_or_nothing_is_not_certain(hit: int) -> None:
    """A share of 0 or 1 keeps the doubt that so few subjects leave, however often they tried."""
    total = counted(np.repeat(np.arange(10), 100))
    share = Resampling().share(total * np.uint32(hit), total)
    assert share.interval == pytest.approx(Share(10 * hit, 10).interval)
    assert Resampling().share(np.zeros(GROUPS, np.uint32), np.zeros(GROUPS, np.uint32)).interval == (0.0, 1.0)


@pytest.mark.parametrize(("victims", "stopped"), [(1, 1), (4, 4)])
def test_few_people_have_no_narrow_interval(victims: int, stopped: int) -> None:
    """One victim, one of whose two attacks was stopped, or four with one of four each: hardly anything is known."""
    total = counted(np.repeat(np.arange(victims), 2 if victims == 1 else 4))
    share = Resampling().share(np.minimum(total, 1), total)
    assert share.hits == stopped
    assert share.interval[0] <= share.value <= share.interval[1]
    assert share.high - share.low > 0.6


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Of 200 draws of clustered attempts with a known share, about 95 % of the intervals hold it."""
    resampling, rng, held = Resampling(), np.random.default_rng(5), 0
    for _ in range(200):
        total = np.zeros(GROUPS, np.uint32)
        total[:400] = rng.integers(1, 30, 400)
        hits = rng.binomial(total, rng.beta(0.5, 4.5, GROUPS)).astype(np.uint32)
        low, high = resampling.share(hits, total).interval
        held += low <= 0.1 <= high
    assert 180 <= held <= 199


def test_attempts_without_a_subject_stand_for_themselves() -> None:
    """Anonymous attempts are spread by their ids, those of a subject stay together."""
    ids = np.arange(1, 2001, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert len(set(groups_of(np.zeros(2000, np.uint64), ids).tolist())) > 800
    assert len(set(groups_of(np.full(2000, 77, np.uint64), ids).tolist())) == 1
