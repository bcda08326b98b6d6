"""One score out of three: what the forest, the likelihood core and the head say, on the scale of tail probabilities.

Each is calibrated on held-out honest attempts; the smallest tail counts, and is calibrated on the same attempts once
more. So a threshold on the score means a share of false alarms by construction, whichever part it comes from.
"""

import numpy as np
import numpy.typing as npt

from riskd.anomaly.artifact import LIKELIHOOD, Calibration, Joined
from riskd.anomaly.model import Curve
from riskd.features import MODEL_FEATURES
from riskd.learn.calibrate import LEAST_ROWS, calibrate

Numbers = npt.NDArray[np.float64]


def join(
    held_out: npt.NDArray[np.float32], forest: Calibration, isolation: Numbers, margins: Numbers | None
) -> Joined | None:
    """Calibrate the parts and what comes of them on vectors of honest attempts; None when the forest stands alone.

    `isolation` and `margins` are what forest and head say of these attempts.
    """
    ratios = held_out[:, MODEL_FEATURES.index(LIKELIHOOD)].astype(np.float64)
    known = ~np.isnan(ratios)
    likelihood = None
    if known.sum() >= LEAST_ROWS:
        # An attempt of which the core knows nothing is as little odd as any.
        likelihood = calibrate(np.where(known, ratios, ratios[known].min()))
    head = None if margins is None else calibrate(margins)
    if likelihood is None and head is None:
        return None
    tails = _tails(forest, isolation)
    if head is not None and margins is not None:
        tails = np.minimum(tails, _tails(head, margins))
    if likelihood is not None:
        tails = np.where(known, np.minimum(tails, _tails(likelihood, ratios)), tails)
    return Joined(likelihood=likelihood, head=head, smallest=calibrate(-np.log10(tails)))


def _tails(curve: Calibration, raw: Numbers) -> Numbers:
    tail = Curve(curve).tail
    return np.array([tail(value) for value in raw.tolist()])
