"""Curves and their numbers, against scikit-learn's on the same attempts."""

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from riskd.learn.evaluate.curve import LEAST_GROUPS, Curve, curve_of
from riskd.learn.evaluate.importance import roc_auc
from riskd.learn.evaluate.resample import GROUPS, Resampling

BINS = 101
THRESHOLDS = np.arange(BINS) / 1.0
Bins = npt.NDArray[np.int64]


def counted(subjects: Bins, bins: Bins) -> npt.NDArray[np.uint32]:
    """Attempts by group of subjects and bin."""
    counts = np.zeros((GROUPS, BINS), np.uint32)
    np.add.at(counts, (subjects % GROUPS, bins), 1)
    return counts


def made(seed: int, honest: int, attacks: int, shift: float) -> tuple[Curve, Bins, npt.NDArray[np.bool_]]:
    """A curve of attempts with many ties, and the attempts themselves."""
    rng = np.random.default_rng(seed)
    bins = [
        np.clip(rng.normal(40 + by, 15, n), 0, BINS - 1).astype(np.int64) for n, by in ((honest, 0), (attacks, shift))
    ]
    counts = [counted(rng.integers(0, 4000, len(part)), part) for part in bins]
    curve = curve_of("kind", counts[0], counts[1], THRESHOLDS, Resampling())
    assert curve is not None
    return curve, np.concatenate(bins), np.arange(honest + attacks) >= honest


@pytest.mark.parametrize(("seed", "attacks", "shift"), [(1, 800, 20.0), (2, 40, 5.0), (3, 3000, -10.0)])
def test_numbers_are_scikit_learns(seed: int, attacks: int, shift: float) -> None:
    """Area, average precision and every point agree, ties included, and the interval holds the estimate."""
    curve, scores, attack = made(seed, 3000, attacks, shift)
    assert curve.roc_auc.value == pytest.approx(roc_auc_score(attack, scores))
    assert roc_auc(scores.astype(np.float64), attack) == pytest.approx(curve.roc_auc.value)
    assert curve.average_precision.value == pytest.approx(average_precision_score(attack, scores))
    assert curve.roc_auc.low < curve.roc_auc.value < curve.roc_auc.high
    fpr, tpr, thresholds = roc_curve(attack, scores, drop_intermediate=False)
    known = {float(t): (f, c) for f, c, t in zip(fpr, tpr, thresholds, strict=True)}
    assert len(curve.points) > 40
    for point in curve.points:
        assert (point.false_alarms, point.catch) == pytest.approx(known[point.threshold])
    assert curve.catch_at["0.01"].value == pytest.approx(max(tpr[fpr <= 0.01]))
    assert curve.false_alarms_for["0.9"].value == pytest.approx(min(fpr[tpr >= 0.9]))
    crossing = curve.equal_error_rate.value
    assert np.interp(crossing, fpr, tpr) == pytest.approx(1 - crossing, abs=0.02)


def test_a_perfect_and_an_empty_side() -> None:
    """A score that tells all apart has area 1 and no error; without attacks there is no curve."""
    honest = counted(np.arange(50), np.full(50, 3))
    attacks = counted(np.arange(50), np.full(50, 90))
    curve = curve_of("kind", honest, attacks, THRESHOLDS, Resampling())
    assert curve is not None
    assert (curve.roc_auc.value, curve.equal_error_rate.value, curve.catch_at["0.001"].value) == (1.0, 0.0, 1.0)
    assert curve_of("kind", honest, np.zeros_like(honest), THRESHOLDS, Resampling()) is None


def test_too_few_subjects_have_no_interval() -> None:
    """A thousand attempts on four victims say how four fared, and not how the next will."""
    honest = counted(np.arange(500), np.arange(500) % 60)
    for victims in (LEAST_GROUPS - 1, LEAST_GROUPS):
        attacks = counted(np.arange(1000) % victims, 40 + np.arange(1000) % 50)
        curve = curve_of("kind", honest, attacks, THRESHOLDS, Resampling())
        assert curve is not None
        assert curve.roc_auc.known is (victims >= LEAST_GROUPS)
