"""Whether a model gets a supervised head: fitted on the earlier labels, measured on the later ones, or why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
from sklearn.metrics import roc_auc_score

from riskd.facts import Facts
from riskd.features.attribute import AttributeInput, encoded
from riskd.features.population import Population
from riskd.learn.head import FittedHead, Labelled, Matrix, fit_head, learned_categories, reason_against
from riskd.learn.labelled import LabelledSample
from riskd.learn.vectors import vectors

TEXT: Final = "text"
_LEAST_MEASURED: Final = 20
"""Attacks and honest attempts below which later labels tell nothing."""


@dataclass(frozen=True, slots=True)
class Supervised:
    """A head, or the reason why there is none."""

    reason: str | None
    """None when there is a head."""
    head: FittedHead | None = None
    attributes: tuple[AttributeInput, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)

    def inputs(self, facts: Sequence[Facts], matrix: Matrix) -> Matrix:
        """Put the attributes of attempts behind their vectors."""
        if not self.attributes:
            return matrix
        more = np.array([encoded(self.attributes, one.attributes) for one in facts], dtype=np.float32)
        return np.concatenate((matrix, more.reshape(len(matrix), len(self.attributes))), axis=1)


def supervise(
    labels: LabelledSample, population: Population, declared: Mapping[str, str], *, cut: datetime, seed: int
) -> Supervised:
    """Fit a head on the labels before `cut`, where there are enough, and measure it on those from then on.

    `declared` are the policy's attributes with their kinds.
    """
    rows = labels.rows()
    earlier = np.array([one.time < cut for one in rows.facts], dtype=bool)
    taught = [one.attributes for one, is_earlier in zip(rows.facts, earlier, strict=True) if is_earlier]
    attributes = tuple(
        learned_categories(name, [one.get(name) for one in taught], rows.attack[earlier])
        if kind == TEXT
        else AttributeInput(name)
        for name, kind in declared.items()
    )
    known = Supervised(None, None, attributes).inputs(rows.facts, vectors(rows.facts, population))
    labelled = Labelled(known[earlier], rows.attack[earlier], rows.weight[earlier], attributes)
    reason = reason_against(labelled)
    if reason is not None:
        return Supervised(reason)
    head = fit_head(labelled, seed=seed)
    metrics = {"head_honest": float(head.honest), "head_attacks": float(head.attacks)}
    later = ~earlier
    attack = rows.attack[later]
    if min(attack.sum(), (~attack).sum()) >= _LEAST_MEASURED:
        metrics["head_auc_later"] = float(
            roc_auc_score(attack, head.margins(known[later]), sample_weight=rows.weight[later])
        )
    return Supervised(None, head, attributes, metrics)
