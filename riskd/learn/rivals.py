"""Two simple ways to find what is odd, to hold the forest against: ECOD and HBOS, a few lines each.

Both look at one feature at a time, which is what a forest must beat to be worth having. What is unknown (NaN) says
nothing: it adds nothing to a score.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


class Rival(Protocol):
    """Scores rows; higher is odder, the scale is its own."""

    def scores(self, rows: Matrix) -> Scores:
        """Return how odd each row is."""


class Ecod:
    """Empirical cumulative distributions (Li, Zhao, Hu, Botta, Ionescu and Chen, TKDE 2022, algorithm 1).

    Per feature the share of fitted rows that lie as far out to the left, to the right, and to the side of the longer
    tail; each side's -ln shares are added up over the features, and the largest of the three sums counts.
    """

    def __init__(self, fitted: Matrix) -> None:
        columns = fitted.astype(np.float64).T
        self._sorted = [np.sort(column[~np.isnan(column)]) for column in columns]
        self._left_tailed = [_skewness(column) < 0 for column in self._sorted]

    def scores(self, rows: Matrix) -> Scores:
        """Return how odd each row is."""
        left, right, longer = (np.zeros(len(rows)) for _ in range(3))
        for column, ordered, left_tailed in zip(rows.T, self._sorted, self._left_tailed, strict=True):
            known = ~np.isnan(column)
            values, count = column[known].astype(np.float64), len(ordered)
            # One row more than was fitted: what lies beyond all of them is rare, and never impossible.
            below = -np.log((np.searchsorted(ordered, values, side="right") + 1) / (count + 1))
            above = -np.log((count - np.searchsorted(ordered, values, side="left") + 1) / (count + 1))
            left[known] += below
            right[known] += above
            longer[known] += below if left_tailed else above
        return np.maximum(np.maximum(left, right), longer)


class Hbos:
    """Histograms (Goldstein and Dengel, KI 2012, static bins): Σ ln(1 / height), the highest bin being 1."""

    def __init__(self, fitted: Matrix) -> None:
        self._bins = [self._histogram(column[~np.isnan(column)].astype(np.float64)) for column in fitted.T]

    @staticmethod
    def _histogram(known: Scores) -> tuple[float, float, float, Scores]:
        if not len(known):
            return 0.0, 0.0, 1.0, np.ones(2)
        count = max(1, round(len(known) ** 0.5))  # the authors' rule of thumb
        low, high = float(known.min()), float(known.max())
        width = (high - low) / count or 1.0
        heights = np.bincount(np.clip((known - low) // width, 0, count - 1).astype(np.int64), minlength=count)
        return low, high, width, (np.append(heights, 0) + 0.5) / (heights.max() + 0.5)

    def scores(self, rows: Matrix) -> Scores:
        """Return how odd each row is; a value outside the histogram lies in an empty bin."""
        total = np.zeros(len(rows))
        for column, (low, high, width, heights) in zip(rows.T, self._bins, strict=True):
            known = ~np.isnan(column)
            values = column[known].astype(np.float64)
            last = len(heights) - 2  # behind it the empty bin: index -1, and one past the last
            bins = np.clip((values - low) // width, -1, last + 1).astype(np.int64)
            bins[(bins > last) & (values <= high)] = last
            total[known] -= np.log(heights[bins])
        return total


def _skewness(values: Scores) -> float:
    if len(values) < 2:
        return 0.0
    scale = float(np.abs(values).max()) or 1.0
    centred = values / scale - (values / scale).mean()
    spread = float((centred**2).mean())
    return float((centred**3).mean()) / spread**1.5 if spread > 0 else 0.0
