"""What the counts of two periods say: how far they are apart, whether that is more than noise, and since when.

The index is the population stability index, Σ (q - p) ln(q / p) over the bins, p then and q now (Jeffreys' divergence).
Its usual reading, below 0.1 little, 0.1 to 0.25 moderate, above 0.25 large, is a rule of thumb without a sample size
(Yurdakul and Naranjo, "Statistical properties of the population stability index", Journal of Risk Model Validation,
2020). They show that where nothing moved it is distributed about as (1/n + 1/m) χ² with bins - 1 degrees of freedom.
So a floor is told beside it, which allows for subjects with many decisions and for weeks unlike each other too; what is
below its floor has not moved, however large it is.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Counts = npt.NDArray[np.int64]
"""Decisions by group of subjects, or by day (row), and by bin (column)."""

MODERATE, LARGE = 0.1, 0.25
FLOOR_Z = 3.090232
"""The floor is passed by chance once in a thousand: by one of fifty measures once in twenty reports."""
Z = 1.959964
"""Two-sided 95 %."""
_SMOOTHING = 0.5
"""Added to every bin (Krichevsky and Trofimov 1981), so that a bin that was empty makes no infinity."""
_DROP = 3.841459
"""χ² with one degree of freedom, 95 %: how much likelihood the days lose that the change may as well have been on."""


class Stability(Struct, frozen=True):
    """How far a measure is from what it was."""

    psi: float
    interval: tuple[float, float]
    """95 %, free of the index' bias: what noise alone adds is taken off."""
    floor: float
    """What noise reaches once in a thousand, where nothing moved."""

    @property
    def moved(self) -> bool:
        """Whether it is at least moderate, and more than noise."""
        return self.exceeds(MODERATE)

    def exceeds(self, limit: float) -> bool:
        """Whether it is more than noise, and at least `limit`."""
        return self.psi >= limit and self.psi > self.floor

    @property
    def reading(self) -> str:
        """`steady`, `noise` (moderate or more, were it not below its floor), `moderate` or `large`."""
        if self.moved:
            return "large" if self.exceeds(LARGE) else "moderate"
        return "noise" if self.psi >= MODERATE else "steady"


class Since(Struct, frozen=True):
    """When a change came, as numbers of days."""

    day: int
    """The first day after the change."""
    earliest: int
    latest: int
    """It may as well have come on any day between these, at 95 %."""


def psi(then: Counts, now: Counts) -> float:
    """Return the index of two rows of counts; 0 where one of them is empty."""
    if not then.sum() or not now.sum():
        return 0.0
    return float(terms(then, now).sum())


def terms(then: Counts, now: Counts) -> npt.NDArray[np.float64]:
    """Return what each bin adds to the index; nothing, where it is empty on both sides."""
    found = np.zeros(len(then))
    used = (then + now) > 0
    p, q = _shares(then[used]), _shares(now[used])
    found[used] = (q - p) * np.log(q / p)
    return found


def compare(then: Counts, now: Counts, blocks: Counts) -> Stability:
    """Compare two periods, each given by group of subjects and bin; `blocks` is the first one cut along time."""
    value = psi(then.sum(axis=0), now.sum(axis=0))
    return Stability(value, _interval(then, now, value), floor(then, now, blocks))


def floor(then: Counts, now: Counts, blocks: Counts) -> float:
    """Return what the index stays below in about 999 of 1000 cases where nothing moved; infinite for an empty period.

    Two things make noise: who happens to come, and how weeks are unlike each other. The first is measured by how the
    groups of subjects differ, the second by how the blocks of the reference do; `blocks` are as long as `now`.
    """
    n, m = int(then.sum()), int(now.sum())
    if not n or not m:
        return math.inf
    rows = int((blocks.sum(axis=1) > 0).sum())
    over_time = spread(blocks)
    # What independent decisions differ by is in the groups already.
    weeks = max(0.0, over_time.mean - over_time.bins + 1) * rows / n
    sources = [(of.mean / total, of.freedom) for of, total in ((spread(then), n), (spread(now), m))]
    sources.append((weeks * (1 + 1 / max(1, rows)), over_time.freedom))
    mean = sum(part for part, _ in sources)
    if not mean:
        return 0.0
    freedom = mean**2 / sum(part**2 / of for part, of in sources)
    return mean * chi_square(freedom) / freedom


class Spread(Struct, frozen=True):
    """How much the rows of a table differ: Pearson's statistic per row, less the one that the total takes."""

    mean: float
    """Independent decisions give the number of bins less one; n alike count as one give n times that."""
    freedom: float
    """Of the χ² that has this mean and the rows' variance, scaled: few, where the bins move together."""
    bins: int
    """Bins that are not empty, at least one."""

    @property
    def design_effect(self) -> float:
        """How many decisions are worth one independent one, 1 or more."""
        return max(1.0, self.mean / max(1, self.bins - 1))


def spread(counts: Counts) -> Spread:
    """Measure how much rows differ, by the two moments of Rao and Scott's correction.

    Journal of the American Statistical Association 76, 1981, and Satterthwaite, Biometrics Bulletin 2, 1946.
    """
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    rows, bins = counts.shape
    if rows < 2 or bins < 2:
        return Spread(float(max(0, bins - 1)), 1.0, max(1, bins))
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    parts = ((counts - expected) ** 2 / expected).sum(axis=1)
    mean = float(parts.sum()) / (rows - 1)
    variance = float(parts.var(ddof=1))
    freedom = 2 * mean**2 / variance if variance > 0 else math.inf
    return Spread(mean, min(float(bins - 1), max(1.0, freedom)), bins)


def chi_square(freedom: float, z: float = FLOOR_Z) -> float:
    """Return the quantile of χ² that the normal quantile `z` stands for (Wilson and Hilferty 1931)."""
    part = 2 / (9 * freedom)
    return freedom * max(0.0, 1 - part + z * math.sqrt(part)) ** 3


def difference(then: Counts, now: Counts, blocks: Counts) -> tuple[float, float]:
    """Return how the share of the first of two columns changed, and its standard deviation by either kind of noise."""
    whole, parts = _left_out(then, now, lambda a, b: _share(b) - _share(a))
    shares = np.array([_share(block) for block in blocks if block.any()])
    over_time = float(shares.std(ddof=1)) * math.sqrt(1 + 1 / len(shares)) if len(shares) > 1 else 0.0
    return whole, max(_deviation(parts), over_time)


def change_point(then: Counts, days: Counts, noise: float) -> Since | None:
    """Return since which of the `days` (rows) they are otherwise than `then` and the days before; None without days.

    The day at which cutting the sequence in two makes both parts most likely, as multinomials (Wolfe and Chen,
    Communications in Statistics 19, 1990); `noise` is the design effect that likelihoods are divided by. A slow change
    is put to its middle.
    """
    if not len(days):
        return None
    sums = np.cumsum(days, axis=0)
    before = np.vstack([then, then + sums[:-1]])
    after = sums[-1] + then - before
    gain = (_likelihood(before) + _likelihood(after)) * 2 / noise
    best = int(gain.argmax())
    near = gain >= gain[best] - _DROP
    far_before = best - int(np.argmin(near[best::-1])) + 1 if not near[: best + 1].all() else 0
    far_after = best + int(np.argmin(near[best:])) - 1 if not near[best:].all() else len(days) - 1
    return Since(best, far_before, far_after)


def _likelihood(counts: Counts) -> npt.NDArray[np.float64]:
    """Return the greatest logarithm of the likelihood of each row as a multinomial, but for a constant."""
    total = counts.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(counts > 0, counts * np.log(counts / total), 0.0)
    likelihood: npt.NDArray[np.float64] = parts.sum(axis=1)
    return likelihood


def _shares(counts: Counts) -> npt.NDArray[np.float64]:
    raised = counts + _SMOOTHING
    shares: npt.NDArray[np.float64] = raised / raised.sum()
    return shares


def _share(counts: Counts) -> float:
    total = counts.sum()
    return float(counts[0] / total) if total else 0.0


def _interval(then: Counts, now: Counts, value: float) -> tuple[float, float]:
    """Return the jackknife's interval: bias and spread from leaving each group of subjects out in turn.

    Wolter, Introduction to Variance Estimation, 2007. It is left out of both periods, for subjects come in both.
    """
    groups = len(then)
    _, parts = _left_out(then, now, psi)
    # Bias is what noise adds; a bin that ran empty would have it the other way round.
    centre = min(value, groups * value - (groups - 1) * float(np.mean(parts)))
    spread = Z * _deviation(parts)
    return max(0.0, centre - spread), max(0.0, centre + spread)


def _left_out(
    then: Counts, now: Counts, of: Callable[[Counts, Counts], float]
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return a number of two periods, and what it is without each group in turn."""
    whole_then, whole_now = then.sum(axis=0), now.sum(axis=0)
    parts = np.array([of(whole_then - a, whole_now - b) for a, b in zip(then, now, strict=True)])
    return of(whole_then, whole_now), parts


def _deviation(parts: npt.NDArray[np.float64]) -> float:
    return math.sqrt(float((len(parts) - 1) / len(parts) * ((parts - parts.mean()) ** 2).sum()))
