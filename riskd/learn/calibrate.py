"""From the raw scores of honest attempts to the calibration: raw score → share of honest attempts at least that odd."""

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from riskd.anomaly.artifact import LEAST_TAIL, Calibration
from riskd.errors import ModelError

LEAST_ROWS = 500
"""Fewer honest rows cannot tell what one in fifty is."""
_TAILS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.015, 0.01, 0.005, 0.002, 0.001)
_ROWS_BEYOND = 20
"""An observed quantile is used only where at least this many rows lie beyond it."""
_EXTRAPOLATED = (0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, LEAST_TAIL)


def calibrate(raw: npt.NDArray[np.float64]) -> Calibration:
    """Return the calibration of these raw scores (any order); raises ModelError for fewer than `LEAST_ROWS`.

    Observed quantiles as far as enough rows lie beyond them; from there an exponential tail with the mean excess of the
    rows beyond (peaks over threshold, Pickands 1975, with shape 0), down to `LEAST_TAIL`.
    """
    if len(raw) < LEAST_ROWS:
        raise ModelError(f"{len(raw)} honest attempts to calibrate on, at least {LEAST_ROWS} are needed")
    ordered = np.sort(raw)
    observed = [tail for tail in _TAILS if tail * len(ordered) >= _ROWS_BEYOND]
    points = [(float(ordered[0]), 1.0), *((float(np.quantile(ordered, 1.0 - tail)), tail) for tail in observed)]
    threshold, last = points[-1]
    excess = float(np.mean(ordered[ordered >= threshold] - threshold))
    # Rows that are all alike beyond the threshold still need a curve that rises: by a step a float32 score can show.
    step = max(excess, 1e-6)
    points += [(threshold + step * math.log(last / tail), tail) for tail in _EXTRAPOLATED if tail < last]
    # Of points with the same raw score the first says the truth: that many are at least this odd.
    kept = [points[0], *(b for a, b in pairwise(points) if b[0] > a[0])]
    return Calibration(raw=tuple(point[0] for point in kept), tail=tuple(point[1] for point in kept))
