"""From counts by score to what a threshold is worth: ROC and precision-recall curves, with intervals over subjects.

A score is a bin, higher is riskier; attempts of one bin are tied. Everything is computed for all replicates at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import nan

import numpy as np
import numpy.typing as npt

from riskd.learn.evaluate.resample import LEAST_GROUPS, Counts, Estimate, Resampling, ends

FALSE_ALARMS = (0.001, 0.01)
"""Shares of honest attempts at which the catch is told."""
CATCHES = (0.9, 0.98)
"""Shares of attacks for which the false alarms are told."""
_DRAWN = 160

Array = npt.NDArray[np.float64]
_Number = Callable[[Array, Array, Array], Array]
"""Of false alarms, catch and precision, replicates by thresholds."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold does."""

    threshold: float
    false_alarms: float
    """Share of honest attempts at or above it."""
    catch: float
    """Share of attacks at or above it (recall)."""
    precision: float
    """Share of attacks among all at or above it, at the prevalence of the log."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What a score is worth against one kind of attack."""

    kind: str
    attacks: int
    honest: int
    roc_auc: Estimate
    average_precision: Estimate
    """Area under the precision-recall curve, at the prevalence of the log."""
    equal_error_rate: Estimate
    catch_at: dict[str, Estimate]
    """By share of honest attempts stopped, `0.01` and so on: no threshold that stops more is used."""
    false_alarms_for: dict[str, Estimate]
    """By share of attacks caught."""
    points: tuple[Point, ...]
    """The curve from the highest threshold down, thinned for drawing."""


def curve_of(kind: str, honest: Counts, attacks: Counts, thresholds: Array, resampling: Resampling) -> Curve | None:
    """Return the curve of two matrices of counts, groups by bins; None where one side is empty."""
    if not honest.any() or not attacks.any():
        return None
    curve = _rates(honest.sum(0, keepdims=True), attacks.sum(0, keepdims=True))
    drawn = resampling.sums(honest), resampling.sums(attacks)
    both = (drawn[0].sum(1) > 0) & (drawn[1].sum(1) > 0)
    again = _rates(drawn[0][both], drawn[1][both])
    subjects = min(np.count_nonzero(side.any(1)) for side in (honest, attacks))

    def told(number: _Number) -> Estimate:
        low, high = ends(number(*again)) if subjects >= LEAST_GROUPS else (nan, nan)
        return Estimate(float(number(*curve)[0]), low, high)

    return Curve(
        kind=kind,
        attacks=int(attacks.sum()),
        honest=int(honest.sum()),
        roc_auc=told(_area),
        average_precision=told(_average_precision),
        equal_error_rate=told(_equal_error),
        catch_at={f"{share:g}": told(partial(_catch_at, share)) for share in FALSE_ALARMS},
        false_alarms_for={f"{share:g}": told(partial(_false_alarms_for, share)) for share in CATCHES},
        points=_thinned(thresholds, curve[0][0], curve[1][0], curve[2][0]),
    )


def _rates(honest: npt.NDArray[np.generic], attacks: npt.NDArray[np.generic]) -> tuple[Array, Array, Array]:
    """Return false alarms, catch and precision of each row at each threshold from the highest down, nothing first."""
    false, true = (
        np.pad(np.cumsum(side[:, ::-1].astype(np.float64), axis=1), ((0, 0), (1, 0))) for side in (honest, attacks)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(true + false > 0, true / (true + false), 1.0)
        return false / false[:, -1:], true / true[:, -1:], precision


def _area(fpr: Array, tpr: Array, _precision: Array) -> Array:
    area: Array = (np.diff(fpr, axis=1) * (tpr[:, 1:] + tpr[:, :-1]) / 2).sum(1)
    return np.minimum(area, 1.0)


def _average_precision(_fpr: Array, tpr: Array, precision: Array) -> Array:
    area: Array = (np.diff(tpr, axis=1) * precision[:, 1:]).sum(1)
    return np.minimum(area, 1.0)


def _catch_at(share: float, fpr: Array, tpr: Array, _precision: Array) -> Array:
    return np.asarray(np.where(fpr <= share, tpr, 0.0).max(1))


def _false_alarms_for(share: float, fpr: Array, tpr: Array, _precision: Array) -> Array:
    return np.asarray(np.where(tpr >= share, fpr, 1.0).min(1))


def _equal_error(fpr: Array, tpr: Array, _precision: Array) -> Array:
    """Return where as many honest attempts are stopped as attacks get through, between the two nearest thresholds."""
    gap = fpr - (1.0 - tpr)
    after = np.maximum(1, np.argmax(gap >= 0, axis=1))
    row = np.arange(len(gap))
    before, here = gap[row, after - 1], gap[row, after]
    with np.errstate(invalid="ignore", divide="ignore"):
        way = np.where(here > before, -before / (here - before), 0.0)
    return np.asarray(fpr[row, after - 1] + way * (fpr[row, after] - fpr[row, after - 1]))


def _thinned(thresholds: Array, fpr: Array, tpr: Array, precision: Array) -> tuple[Point, ...]:
    """Return the points where the curve moves, no more than the eye can tell."""
    moves = np.flatnonzero((np.diff(fpr) > 0) | (np.diff(tpr) > 0)) + 1
    if len(moves) > _DRAWN:  # even steps along the curve: along both axes, and along the logarithm of false alarms
        way = np.cumsum(np.abs(np.diff(tpr[moves], prepend=0)) + np.diff(np.log10(fpr[moves] + 1e-4), prepend=-4.0) / 4)
        moves = moves[np.unique(np.searchsorted(way, np.linspace(0, way[-1], _DRAWN)).clip(max=len(moves) - 1))]
    falling = thresholds[::-1]
    return tuple(
        Point(float(falling[i - 1]), float(fpr[i]), float(tpr[i]), float(precision[i])) for i in moves.tolist()
    )
