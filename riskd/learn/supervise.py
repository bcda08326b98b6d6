"""Whether a model gets a supervised head: fitted on the earlier labels, measured on the later ones, or why not."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from riskd.facts import Facts
from riskd.features import MODEL_FEATURES
from riskd.features.declared import DeclaredInput
from riskd.features.population import Population
from riskd.learn.declared import Declared, columns, learned
from riskd.learn.head import FittedHead, Labelled, Matrix, fit_head, reason_against
from riskd.learn.labelled import LabelledSample
from riskd.learn.vectors import vectors

_LEAST_MEASURED: Final = 20
"""Attacks and honest attempts below which later labels tell nothing."""


@dataclass(frozen=True, slots=True)
class LaterLabels:
    """The labels from the cut on, which taught nothing."""

    vectors: Matrix
    """Of features alone."""
    margins: npt.NDArray[np.float64]
    """What the head says."""
    attack: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Supervised:
    """A head, or the reason why there is none."""

    reason: str | None
    """None when there is a head."""
    head: FittedHead | None = None
    declared: tuple[DeclaredInput, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    later: LaterLabels | None = None
    """None where later labels are too few to tell anything."""

    def inputs(self, facts: Sequence[Facts], matrix: Matrix) -> Matrix:
        """Put the declared inputs of attempts behind their vectors."""
        return np.concatenate((matrix, columns(self.declared, facts)), axis=1)


def supervise(
    labels: LabelledSample, population: Population, declared: Declared, *, cut: datetime, seed: int
) -> Supervised:
    """Fit a head on the labels before `cut`, where there are enough, and measure it on those from then on."""
    rows = labels.rows()
    earlier = np.array([one.time < cut for one in rows.facts], dtype=bool)
    known = vectors(rows.facts, population)
    attack, weight = rows.attack[earlier], rows.weight[earlier]
    reason = reason_against(Labelled(known[earlier], attack, weight))
    if reason is not None:
        return Supervised(reason)
    taught = [one for one, is_earlier in zip(rows.facts, earlier, strict=True) if is_earlier]
    more = learned(declared, taught, known[earlier], attack, weight, seed=seed)
    inputs = tuple(one.input for one in more)
    known = np.concatenate((known, columns(inputs, rows.facts)), axis=1)
    head = fit_head(Labelled(known[earlier], attack, weight, tuple(one.direction for one in more)), seed=seed)
    metrics = {"head_honest": float(head.honest), "head_attacks": float(head.attacks)}
    after = ~earlier
    later = LaterLabels(
        known[after, : len(MODEL_FEATURES)], head.margins(known[after]), rows.attack[after], rows.weight[after]
    )
    if min(later.attack.sum(), (~later.attack).sum()) < _LEAST_MEASURED:
        return Supervised(None, head, inputs, metrics)
    metrics["head_auc_later"] = float(roc_auc_score(later.attack, later.margins, sample_weight=later.weight))
    return Supervised(None, head, inputs, metrics, later)
