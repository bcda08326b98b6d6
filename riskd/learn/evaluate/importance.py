"""What each feature of the model is worth: how much worse it tells attacks from honest attempts without it.

Permutation importance (Breiman, Machine Learning 45, 2001): the feature's values are shuffled among the sampled
attempts, all else stays. Features that say the same stand in for each other, so that each alone may look worthless.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskd.anomaly.model import Model
from riskd.facts import Facts
from riskd.features.declared import encoded

LEAST = 20
"""Fewer attacks, or honest attempts, in the sample say nothing."""
_SHUFFLES = 3
_LARGEST = float(np.finfo(np.float32).max)
_SEED = 1

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Importance:
    """What one feature is worth."""

    feature: str
    auc_drop: float
    """By how much the area under the ROC curve falls; around 0 for what is not needed, mean of the shuffles."""
    spread: float
    """Standard deviation over the shuffles."""
    unknown: float
    """Share of the sampled attempts in which it is unknown."""


def inputs_of(model: Model) -> tuple[str, ...]:
    """Return the names of what the model reads, in order: features, then declared inputs."""
    known = set(model.extract.names)
    named = (name for name in model.features if name in known)
    return (*named, *(one.label for one in model.extract.declared))


def vector_of(facts: Facts, model: Model) -> list[float | None]:
    """Return what the model reads of an attempt; None is unknown, and so is a feature that fails."""
    values, _ = model.extract(facts)
    by_name = dict(zip(model.extract.names, values, strict=True))
    read = [_number(by_name[name]) for name in model.features if name in by_name]
    return [*read, *map(_number, encoded(model.extract.declared, facts))]


def _number(value: object) -> float | None:
    """Cut a number to what a float32 holds; a log may say anything."""
    return min(max(float(value), -_LARGEST), _LARGEST) if isinstance(value, int | float) else None


def matrix_of(facts: Sequence[Facts], model: Model) -> Matrix:
    """Return the model's vectors of these attempts, NaN for unknown."""
    return np.array([vector_of(attempt, model) for attempt in facts], dtype=np.float32)


def importance(honest: Sequence[Facts], attacks: Sequence[Facts], model: Model) -> tuple[Importance, ...]:
    """Return what each feature is worth, the most valuable first; raises ModelError when the model fails."""
    matrix = np.concatenate((matrix_of(honest, model), matrix_of(attacks, model)))
    attack = np.arange(len(matrix)) >= len(honest)
    whole = roc_auc(model.scores(matrix), attack)
    rng = np.random.default_rng(_SEED)
    found = []
    for column, name in enumerate(inputs_of(model)):
        drops = []
        for _ in range(_SHUFFLES):
            shuffled = matrix.copy()
            rng.shuffle(shuffled[:, column])
            drops.append(whole - roc_auc(model.scores(shuffled), attack))
        unknown = float(np.isnan(matrix[:, column]).mean())
        found.append(Importance(name, float(np.mean(drops)), float(np.std(drops)), unknown))
    return tuple(sorted(found, key=lambda one: -one.auc_drop))


def roc_auc(scores: npt.NDArray[np.float64], attack: npt.NDArray[np.bool_]) -> float:
    """Return the share of pairs of an attack and an honest attempt that the scores put in order; ties count half."""
    honest, attacks = np.sort(scores[~attack]), scores[attack]
    below = np.searchsorted(honest, attacks, "left") + np.searchsorted(honest, attacks, "right")
    return float(below.mean() / 2 / len(honest))
