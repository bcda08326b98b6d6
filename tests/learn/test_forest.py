"""A forest whose trees choose their rows by hash."""

import numpy as np
import numpy.typing as npt

from riskd.learn.forest import _chosen, fit_forest


def rows(count: int, seed: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint64]]:
    """Rows with some unknown values, and their ranks."""
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(count, 6)).astype(np.float32)
    made[rng.random(made.shape) < 0.1] = np.nan
    return made, rng.integers(0, 1 << 63, count, dtype=np.uint64)


def test_the_same_rows_in_any_order_give_the_same_forest() -> None:
    """Which row stands where says nothing; the seed does."""
    matrix, ranks = rows(600, 1)
    order = np.random.default_rng(2).permutation(600)
    one = fit_forest(matrix, ranks, trees=20, samples=64, seed=1)
    same = fit_forest(matrix[order], ranks[order], trees=20, samples=64, seed=1)
    other = fit_forest(matrix, ranks, trees=20, samples=64, seed=2)
    assert np.array_equal(one.score_samples(matrix), same.score_samples(matrix))
    assert not np.array_equal(one.score_samples(matrix), other.score_samples(matrix))


def test_a_few_rows_more_change_a_few_trees() -> None:
    """Trees that see none of the new rows are the very same; the expected share of the others changes."""
    matrix, ranks = rows(5000, 3)
    more, more_ranks = rows(5, 4)
    whole, all_ranks = np.concatenate((matrix, more + 9)), np.concatenate((ranks, more_ranks))
    before = fit_forest(matrix, ranks, trees=60, samples=64, seed=1)
    after = fit_forest(whole, all_ranks, trees=60, samples=64, seed=1)
    known = np.nan_to_num(matrix[:500])
    changed = sum(
        not np.array_equal(a.predict(known), b.predict(known))
        for a, b in zip(before.estimators_, after.estimators_, strict=True)
    )
    assert changed <= 15  # 64 rows of 5,005, five of them new: a tree in sixteen


def test_every_tree_draws_its_own_rows_and_all_rows_are_drawn() -> None:
    """Draws are distinct rows, another set for another number, and evenly spread."""
    ranks = rows(1000, 5)[1]
    counts = np.zeros(1000)
    for number in range(400):
        drawn = _chosen(ranks, 100, number)
        assert len(np.unique(drawn)) == 100
        counts[drawn] += 1
    assert counts.min() > 15
    assert counts.max() < 75


def test_few_rows_make_a_forest_too() -> None:
    """With fewer rows than a tree wants, each takes all."""
    matrix, ranks = rows(40, 6)
    assert fit_forest(matrix, ranks, trees=5, samples=256, seed=1).max_samples_ == 40
