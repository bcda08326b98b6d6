"""An isolation forest whose trees choose their rows by hash, so that a few rows more or less change only a few trees.

scikit-learn draws each tree's rows from all of them by position: one row more, and every tree is another. Here a tree
takes the rows whose rank, mixed with the tree's number, is lowest. Of two samples that differ in few rows most trees
then see the very same rows and are the same; that bounds what somebody can do to everybody else's score.
"""

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def fit_forest(
    matrix: npt.NDArray[np.float32], ranks: npt.NDArray[np.uint64], *, trees: int, samples: int, seed: int
) -> IsolationForest:
    """Fit a forest (Liu, Ting and Zhou, ICDM 2008) of `trees` on `samples` rows each, of those of the matrix."""
    samples = min(samples, len(matrix))
    forest = IsolationForest(n_estimators=1, max_samples=samples, random_state=seed, warm_start=True)
    for tree in range(trees):
        forest.set_params(n_estimators=tree + 1).fit(matrix[_chosen(ranks, samples, seed * 1_000_003 + tree)])
    return forest


def _chosen(ranks: npt.NDArray[np.uint64], samples: int, number: int) -> npt.NDArray[np.intp]:
    """Return the rows of the lowest mixed rank, in that order."""
    mixed = _mix(ranks ^ np.uint64(_mixed(number)))
    lowest = np.argpartition(mixed, samples - 1)[:samples]
    return lowest[np.argsort(mixed[lowest])]


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finalizer (Steele, Lea and Flood, OOPSLA 2014): every bit of the input changes half the output's."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_FIRST)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_SECOND)
    return values ^ (values >> np.uint64(31))


def _mixed(number: int) -> int:
    return (number + 1) * _GOLDEN & _MASK
