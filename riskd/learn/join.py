"""One score out of three: what the forest, the likelihood core and the head say, on the scale of tail probabilities.

Each is calibrated on held-out honest attempts; the smallest tail counts, and is calibrated on the same attempts once
more. So a threshold on the score means a share of false alarms by construction, whichever part it comes from. Beside a
head the other two are widened as far as later labels tell that it finds more attacks, and no further than `WIDENED`:
they still raise the alarm for what no label ever showed.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from riskd.anomaly.artifact import LIKELIHOOD, Calibration, Joined
from riskd.anomaly.model import Curve
from riskd.features import MODEL_FEATURES
from riskd.learn.calibrate import LEAST_ROWS, calibrate

Numbers = npt.NDArray[np.float64]
WIDENED: Final = (1.0, 3.0, 10.0)
"""By how much the other tails may be widened; an attempt odder than one honest in a thousand always counts as one in a
hundred at least."""
_FALSE_ALARMS: Final = 0.01


@dataclass(frozen=True, slots=True)
class Said:
    """What the parts say of some attempts."""

    vectors: npt.NDArray[np.float32]
    """Of features, the likelihood core's answer among them."""
    isolation: Numbers
    margins: Numbers | None
    """None without a head."""


@dataclass(frozen=True, slots=True)
class Later:
    """Labelled attempts of the time from which the held-out ones are."""

    said: Said
    attack: npt.NDArray[np.bool_]
    weight: Numbers


def join(held_out: Said, forest: Calibration, later: Later | None = None) -> Joined | None:
    """Calibrate the parts and what comes of them on honest attempts; None when the forest stands alone.

    `later` are enough labels to tell by how much to widen, or None.
    """
    ratios = _ratios(held_out)
    known = ~np.isnan(ratios)
    likelihood = None
    if known.sum() >= LEAST_ROWS:
        # An attempt of which the core knows nothing is as little odd as any.
        likelihood = calibrate(np.where(known, ratios, ratios[known].min()))
    head = None if held_out.margins is None else calibrate(held_out.margins)
    if likelihood is None and head is None:
        return None
    widened = 1.0
    if head is not None and later is not None:
        widened = max(WIDENED, key=lambda by: _catch(_smallest(later.said, forest, likelihood, head, by), later))
    smallest = calibrate(-np.log10(_smallest(held_out, forest, likelihood, head, widened)))
    return Joined(likelihood=likelihood, head=head, widened=widened, smallest=smallest)


def _ratios(said: Said) -> Numbers:
    return said.vectors[:, MODEL_FEATURES.index(LIKELIHOOD)].astype(np.float64)


def _smallest(
    said: Said, forest: Calibration, likelihood: Calibration | None, head: Calibration | None, widened: float
) -> Numbers:
    tails = _tails(forest, said.isolation)
    if likelihood is not None:
        ratios = _ratios(said)
        tails = np.where(np.isnan(ratios), tails, np.minimum(tails, _tails(likelihood, ratios)))
    if head is not None and said.margins is not None:
        tails = np.minimum(tails * widened, _tails(head, said.margins))
    return tails


def _catch(tails: Numbers, later: Later) -> float:
    """Return the share of the attacks that have smaller tails than all but `_FALSE_ALARMS` of the honest attempts."""
    order = np.argsort(tails[~later.attack])
    honest, of_honest = tails[~later.attack][order], np.cumsum(later.weight[~later.attack][order])
    limit = honest[np.searchsorted(of_honest, _FALSE_ALARMS * of_honest[-1])]
    return float(np.average(tails[later.attack] < limit, weights=later.weight[later.attack]))


def _tails(curve: Calibration, raw: Numbers) -> Numbers:
    tail = Curve(curve).tail
    return np.array([tail(value) for value in raw.tolist()])
