"""Intervals by bootstrap over subjects: what one person does over and over is one thing that happened, not many.

Subjects are put into `GROUPS` groups by a hash, counts are kept per group, and each of `REPLICATES` replicates weighs
every group with a draw from Poisson(1) (Hanley and MacGibbon, Computer Methods and Programs in Biomedicine 83, 2006).
A log of any length needs no more than the counts, and with fewer subjects than groups it is the bootstrap over single
subjects. The seed is fixed: the same log gives the same intervals.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskd.learn.share import Share

GROUPS = 1024
LEAST_GROUPS = 5
"""Groups of subjects that tell anything when they are drawn anew; of fewer Wilson's interval over them is given."""
REPLICATES = 400
_SEED = 1
_ENDS = (2.5, 97.5)

Counts = npt.NDArray[np.uint32]
"""Per group of subjects, and whatever else."""
Floats = npt.NDArray[np.float64]
"""One per replicate, and whatever else."""
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Resampled(Share):
    """A share whose 95 % interval comes from the bootstrap over subjects."""

    low: float
    high: float
    groups: int
    """Groups of subjects that were counted."""

    @property
    def cases(self) -> int:
        """Groups of subjects: what one of them does over and over is one case."""
        return self.groups

    @property
    def interval(self) -> Interval:
        """The interval: the bootstrap's, or Wilson's over groups of few subjects, or where all or nothing was hit."""
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval over subjects; an interval of NaN is not known."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> Interval:
        """The interval."""
        return self.low, self.high

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def __str__(self) -> str:
        """Readable: `0.953 (0.942-0.964)`."""
        return f"{self.value:.3f}" + (f" ({self.low:.3f}-{self.high:.3f})" if self.known else "")


class Resampling:
    """The replicates' weights."""

    def __init__(self) -> None:
        self._weights = np.random.default_rng(_SEED).poisson(1.0, (REPLICATES, GROUPS)).astype(np.float32)

    def sums(self, counts: Counts) -> Floats:
        """Return the replicates' sums of counts: groups in the first axis, replicates in the first of the answer."""
        there = counts.reshape(GROUPS, -1).any(1)  # most kinds of attack have few victims
        return (self._weights[:, there] @ counts[there].astype(np.float32)).astype(np.float64)

    def share(self, hits: Counts, total: Counts) -> Resampled:
        """Return a share of counts per group."""
        hit, of, groups = int(hits.sum()), int(total.sum()), int(np.count_nonzero(total))
        if 0 < hit < of and groups >= LEAST_GROUPS:
            with np.errstate(invalid="ignore"):
                low, high = ends(self.sums(hits) / self.sums(total))
        else:  # to redraw few, or what is all alike, would say the same again and again
            low, high = Share(round(groups * hit / max(of, 1)), groups).interval
            low, high = min(low, hit / of if of else low), max(high, hit / of if of else high)
        return Resampled(hit, of, low, high, groups)


def ends(values: npt.NDArray[np.floating]) -> Interval:
    """Return the ends of the middle 95 % of the replicates; those that drew nothing of the kind do not count."""
    known = values[np.isfinite(values)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.percentile(known, _ENDS).tolist()
    return low, high


def groups_of(subjects: npt.NDArray[np.uint64], ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return the groups of subjects' hashes; an attempt without a subject (0) stands for itself, by its id."""
    return (np.where(subjects == 0, ids, subjects) % GROUPS).astype(np.int64)
