"""What a share will be in the next period as long as the one seen, with a 95 % prediction interval.

Four things make the next period differ. Both periods are samples, and not of decisions but of subjects, who come with
many decisions each: the variance of the share is the cluster-robust one of a ratio (linearised over subjects; Cochran,
Sampling Techniques, 1977, ch. 6 and 9). Days differ by more than that, with campaigns, outages and weekends: the
variance between `BLOCKS` spans of the period beyond sampling is estimated by moments (DerSimonian and Laird, Controlled
Clinical Trials 7, 1986); of fewer and longer spans it could not be told. Together they give the number of independent
decisions that the log is worth. Then the world drifts, by less than one period can show but not by nothing: `DRIFT` is
allowed for. With all three in it, the share of as many decisions again is predicted by the interval of Krishnamoorthy
and Peng (Journal of Statistical Planning and Inference 141, 2011), which is to prediction what Wilson's is to
confidence: right for small shares, and closed. The fourth is a trend. One that chance does not explain (the halves of
the period differ by over `CERTAIN` standard errors) stretches the interval to where it leads.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskd.learn.share import Z

BLOCKS = 30
"""Spans that a period is cut into, where each is a day at least."""
DAY_S = 86_400.0
DRIFT = 0.15
"""Standard deviation, relative to a share, of its drift from one period to the next. Thresholds set for 1 % gave 0.85
to 1.04 % on the next period of the public data set of risk-based authentication, and 0.6 % in a simulation."""
CERTAIN = 3.0
"""Standard errors between the halves of a period from which on the difference is a trend."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Prediction:
    """A share and where it will be in the next period."""

    hits: int
    total: int
    subjects: int
    share: float
    """The share expected: as seen, and corrected for a threshold that was chosen on it."""
    low: float
    high: float
    worth: float
    """How many independent decisions the log is worth."""
    effect: float = 1.0
    """How many decisions go together: the variance of the share over that of as many independent decisions."""
    trend: tuple[float, float] | None = None
    """The share in the first and second half, where they differ by more than chance."""

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2

    def needed(self, within: float) -> int | None:
        """About how many decisions like these make the interval ± `within`; None: no number does, for the drift.

        What sampling and unlike days add to the width goes with the root of the number, what drift adds stays.
        """
        drift = (Z * _drift(self.share)) ** 2
        room = within**2 - drift
        return math.ceil(max(1, self.total) * max(0.0, self.half_width**2 - drift) / room) if room > 0 else None

    def __str__(self) -> str:
        """Readable: `0.97 % (0.69-1.29)`; a dash when nothing was counted."""
        if not self.total:
            return "-"
        return f"{100 * self.share:.2f} % ({100 * self.low:.2f}-{100 * self.high:.2f})"


def predict(hit: Flags, subject: npt.NDArray[np.int64], when: Floats, *, chosen: int = 0) -> Prediction:
    """Predict the share of `hit` from decisions of `subject` at `when`, seconds; 0..1 when there are none.

    `chosen` is how many thresholds were chosen on these very decisions. One that was put just above an honest score has
    the chance (hits + 1) / (total + 1) that the next decision reaches it, not hits / total, by order statistics; and as
    decisions come in clusters, the one that was just left out stands for `effect` of them.
    """
    total, hits = len(hit), int(hit.sum())
    if not total:
        return Prediction(0, 0, 0, 0.0, 0.0, 1.0, 0.0)
    _, number = np.unique(subject, return_inverse=True)
    subjects = int(number.max()) + 1
    seen = hits / total
    effect = max(1.0, _clustered(hit, number, seen) * total / (seen * (1 - seen))) if 0 < hits < total else 1.0
    share = min(1.0, (hits + chosen * effect) / (total + chosen * effect))
    spread = share * (1 - share)
    if not spread:  # all or none: what clusters there are does not show
        low, high = interval(share, float(total))
        return Prediction(hits, total, subjects, share, low, high, float(total))
    variance = effect * spread / total + _between(hit, when, share, effect)
    low, high = interval(share, spread / (variance + _drift(share) ** 2 / 2))  # both periods' variance, one drift
    trend = _trend(hit, when, effect)
    if trend is not None:
        # A straight line through the two halves' middles moves the next period by twice their difference.
        led = min(1.0, max(0.0, share + 2 * (trend[1] - trend[0])))
        low, high = min(low, led), max(high, led)
    return Prediction(hits, total, subjects, share, low, high, spread / variance, effect, trend)


def interval(share: float, worth: float) -> tuple[float, float]:
    """Return between which shares the next `worth` decisions lie in 95 of 100 cases, after as many with this share.

    The x with (x - share)² ≤ z² p (1 - p) 2 / worth, where p is the mean of both shares.
    """
    c = 2 * Z**2 / worth
    a, b = 1 + c / 4, -2 * share - c * (1 - share) / 2
    root = math.sqrt(max(0.0, b * b - 4 * a * (share * share - c * share * (1 - share / 2) / 2)))
    return max(0.0, min(share, (-b - root) / (2 * a))), min(1.0, max(share, (-b + root) / (2 * a)))


def _drift(share: float) -> float:
    """Return the standard deviation of a share's drift."""
    return DRIFT * min(share, 1 - share)


def _clustered(hit: Flags, number: npt.NDArray[np.int64], share: float) -> float:
    """Variance of the share when subjects, not decisions, are drawn."""
    size = np.bincount(number)
    excess = np.bincount(number, weights=hit) - share * size
    many = len(size)
    return float((excess**2).sum()) / len(hit) ** 2 * (many / (many - 1) if many > 1 else 1.0)


def _between(hit: Flags, when: Floats, share: float, effect: float) -> float:
    """Variance of the period's share that comes from its days being unlike."""
    begin, end = float(when.min()), float(when.max())
    blocks = max(1, min(BLOCKS, round((end - begin) / DAY_S)))
    width = (end - begin) / blocks or 1.0
    block = np.minimum(((when - begin) / width).astype(np.int64), blocks - 1)
    size = np.bincount(block, minlength=blocks)
    hits = np.bincount(block, weights=hit, minlength=blocks)[size > 0]
    size = size[size > 0]
    if len(size) < 2:
        return 0.0
    weight = size / (effect * share * (1 - share))  # one over the variance of sampling
    scatter = float((weight * (hits / size - share) ** 2).sum())
    scale = float(weight.sum() - (weight**2).sum() / weight.sum())
    apart = max(0.0, (scatter - (len(size) - 1)) / scale)
    return apart * float(((size / len(hit)) ** 2).sum())


def _trend(hit: Flags, when: Floats, effect: float) -> tuple[float, float] | None:
    late = when >= (float(when.min()) + float(when.max())) / 2
    sizes = len(hit) - int(late.sum()), int(late.sum())
    if not all(sizes):
        return None
    first, second = float(hit[~late].mean()), float(hit[late].mean())
    both = float(hit.mean())
    error = math.sqrt(effect * both * (1 - both) * (1 / sizes[0] + 1 / sizes[1]))
    return (first, second) if abs(second - first) > CERTAIN * error else None
