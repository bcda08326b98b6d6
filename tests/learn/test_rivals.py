"""The simple rivals, and the contest with them."""

import numpy as np
import pytest

from riskd.learn.contest import area, contest, metrics
from riskd.learn.rivals import Ecod, Hbos, Matrix, Rival


def normal(count: int, seed: int) -> Matrix:
    """Rows of three features, one of them skewed, a tenth unknown."""
    rng = np.random.default_rng(seed)
    made = np.column_stack((rng.normal(size=count), rng.exponential(size=count), -rng.exponential(size=count)))
    made[rng.random(made.shape) < 0.1] = np.nan
    return made.astype(np.float32)


@pytest.mark.parametrize("rival", [Ecod(normal(3000, 1)), Hbos(normal(3000, 1))], ids=["ecod", "hbos"])
def test_what_is_far_out_is_odd_and_the_unknown_says_nothing(rival: Rival) -> None:
    """Values beyond all others score highest on either side, the unknown nothing, and everything is finite."""
    usual, odd = rival.scores(normal(1000, 2)), rival.scores(np.array([[9, 30, -30], [-9, 30, -30]], dtype=np.float32))
    assert odd.min() > usual.max()
    unknown, huge = rival.scores(np.array([[np.nan] * 3, [3.4e38, -3.4e38, 3.4e38]], dtype=np.float32))
    assert unknown == 0
    assert np.isfinite(huge)


def test_ecod_is_the_papers() -> None:
    """Against the sums written out: left, right and longer tails over two features, the largest counts."""
    fitted = np.array([[0, 0], [1, 1], [2, 2], [10, 3]], dtype=np.float32)
    # Ranks with one row more than was fitted: 5 of 5 lie left of 10 or at it, 2 of 5 right of it or at it.
    left, right = -np.log(5 / 5) - np.log(2 / 5), -np.log(2 / 5) - np.log(5 / 5)
    longer = -np.log(2 / 5) - np.log(5 / 5)  # the first is right-skewed; the second is even, which counts as right
    assert Ecod(fitted).scores(np.array([[10, 0]], dtype=np.float32))[0] == pytest.approx(max(left, right, longer))


def test_hbos_is_the_papers() -> None:
    """Four values in two bins, three and one: the low bin costs nothing, the high one ln(3.5 / 1.5)."""
    fitted = np.array([[0], [1], [2], [10]], dtype=np.float32)
    scores = Hbos(fitted).scores(np.array([[0], [10], [11], [-1]], dtype=np.float32))
    assert scores == pytest.approx([0, np.log(3.5 / 1.5), np.log(3.5 / 0.5), np.log(3.5 / 0.5)])


@pytest.mark.parametrize("column", [[np.nan] * 9, [5.0] * 9, [3.4e38, -3.4e38, 0.0] * 3])
def test_columns_without_news_do_no_harm(column: list[float]) -> None:
    """Never known, always the same, or as wide as numbers go: fitted and scored without a warning."""
    fitted = np.array([column], dtype=np.float32).T
    for rival in (Ecod(fitted), Hbos(fitted)):
        assert np.isfinite(rival.scores(np.concatenate((fitted, np.zeros((1, 1), np.float32))))).all()


def test_the_area_is_the_chance_to_win() -> None:
    """Known values, ties counting half."""
    zeros = np.zeros(4)
    assert area(zeros, zeros + 1) == 1.0
    assert area(zeros, zeros) == 0.5
    assert area(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.5])) == 0.5


def test_a_contest_sets_thresholds_on_the_earlier_half_alone() -> None:
    """Later rows that became odder are false alarms, not a higher threshold; kinds are told where there are enough."""
    honest = np.concatenate((normal(1000, 3), normal(1000, 4) + 2))
    attacks = np.full((60, 3), 20, dtype=np.float32)
    (one,) = contest({"sum": lambda x: np.nansum(x, axis=1)}, honest, attacks, ["spray"] * 50 + ["rare"] * 10)
    assert one.false_alarms > 0.1
    assert one.auc == 1.0
    assert one.catch == {"all": 1.0, "spray": 1.0}
    assert metrics([one])["sum_catch_spray"] == 1.0
    (quiet,) = contest({"sum": lambda x: np.nansum(x, axis=1)}, honest[:1000], attacks[:5], ["spray"] * 5)
    assert quiet.auc is None
    assert list(metrics([quiet])) == ["sum_false_alarms"]
