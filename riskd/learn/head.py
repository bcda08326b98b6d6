"""The supervised head: gradient boosting over the same vector, where the log holds enough labels.

More of what is new never lowers its risk, and more familiarity never raises it (`DIRECTIONS`, monotone constraints), so
that an auditor can read what it can and cannot learn. An input that is unknown counts as the mildest value it can have,
in training as in serving: what is missing is never evidence of an attack. What only one deployment has may stand behind
the features (`riskd/learn/declared.py`): the amount, and the velocities and attributes that the policy declares.

Labels are selective. A step-up that was passed says honest, a denied attempt says nothing, and who was asked for more
is labelled more often than who was let in. So each labelled attempt counts for as many as it stands for: the inverse of
the share of attempts like it, by outcome and score, that have a label (inverse propensity weighting, Horvitz and
Thompson 1952), bounded by `MOST_WEIGHT`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper
from sklearn.ensemble import HistGradientBoostingClassifier

from riskd.errors import ModelError
from riskd.features import MODEL_FEATURES
from riskd.learn.export import rounded_down

Matrix = npt.NDArray[np.float32]

LESS_IS_RISKIER: Final = frozenset({
    "account_age_days", "confirmed_successes", "history_days", "success_after_failures_hours",
    "credential_change_hours",
})  # fmt: skip
"""Features of which less is riskier: familiarity, and how long ago something suspicious was."""
NEITHER: Final = frozenset({"gap_since_success_hours"})
"""Features that say nothing by themselves: they decide what others mean."""
DIRECTIONS: Final = tuple(0 if name in NEITHER else -1 if name in LESS_IS_RISKIER else 1 for name in MODEL_FEATURES)
"""By feature: 1 when more is riskier, -1 when less is, 0 when neither."""

LEAST_ATTACKS: Final = 100
"""Labelled attacks below which there is no head: fewer would teach a handful of stories."""
LEAST_HONEST: Final = 1000
MOST_WEIGHT: Final = 20.0
ROUNDS: Final = 150
"""Trees of the head."""
TOLERANCE: Final = 1e-4
"""Largest difference from scikit-learn, absolute, on a margin in log odds: float32 sums of some hundred leaves."""
_BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled attempts, in the order of time."""

    matrix: Matrix
    """Features, and declared inputs behind them."""
    attack: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]
    more: tuple[int, ...] = ()
    """Directions of the declared inputs."""

    @property
    def directions(self) -> tuple[int, ...]:
        """Return `DIRECTIONS` for all columns."""
        return (*DIRECTIONS, *self.more)


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A head and what it was fitted on."""

    model: HistGradientBoostingClassifier
    fill: npt.NDArray[np.float32]
    """What an unknown input counts as."""
    honest: int
    attacks: int

    def margins(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        """Log odds of an attack, as scikit-learn computes them."""
        margins: npt.NDArray[np.float64] = self.model.decision_function(np.where(np.isnan(matrix), self.fill, matrix))
        return margins


def reason_against(labelled: Labelled) -> str | None:
    """Say why these labels are too few for a head; None when they are enough."""
    attacks = int(labelled.attack.sum())
    honest = len(labelled.attack) - attacks
    if attacks < LEAST_ATTACKS:
        return few_attacks(attacks)
    if honest < LEAST_HONEST:
        return f"{honest} labelled honest attempts, at least {LEAST_HONEST} are needed"
    return None


def few_attacks(attacks: int) -> str:
    """Say that so many labelled attacks are too few."""
    return f"{attacks} labelled attacks, at least {LEAST_ATTACKS} are needed"


def fit_head(labelled: Labelled, *, seed: int, rounds: int = ROUNDS) -> FittedHead:
    """Fit the head on labelled attempts, of which `reason_against` says nothing."""
    fill = mildest(labelled.matrix, labelled.directions)
    model = HistGradientBoostingClassifier(
        max_iter=rounds,
        learning_rate=0.08,
        max_leaf_nodes=15,
        min_samples_leaf=20,
        l2_regularization=1.0,
        monotonic_cst=list(labelled.directions),
        early_stopping=False,
        random_state=seed,
    )
    filled = np.where(np.isnan(labelled.matrix), fill, labelled.matrix)
    # Attacks and the honest count alike: how frequent attacks are among labels says nothing of how frequent they are.
    weight = labelled.weight.copy()
    for kind in (labelled.attack, ~labelled.attack):
        weight[kind] *= len(weight) / (2 * weight[kind].sum())
    model.fit(filled, labelled.attack, sample_weight=weight)
    attacks = int(labelled.attack.sum())
    return FittedHead(model, fill, len(labelled.attack) - attacks, attacks)


def mildest(matrix: Matrix, directions: Sequence[int] = DIRECTIONS) -> npt.NDArray[np.float32]:
    """Return by feature what an unknown value counts as: the least risky seen, the median where none is."""
    fill = np.zeros(matrix.shape[1], dtype=np.float32)
    for column, direction in enumerate(directions):
        known = matrix[~np.isnan(matrix[:, column]), column]
        if len(known):
            fill[column] = {1: known.min, -1: known.max, 0: lambda known=known: np.median(known)}[direction]()
    return fill


def propensity(
    score: npt.NDArray[np.float64],
    stopped: npt.NDArray[np.bool_],
    has_label: npt.NDArray[np.bool_],
    *,
    counted: int,
) -> npt.NDArray[np.float64]:
    """Return by attempt for how many like it a labelled one stands: 1 or more, at most `MOST_WEIGHT`.

    Attempts are alike that were let in or stepped up alike and lie in the same tenth of the scores. The first `counted`
    attempts are a fair sample, by which the shares are told.
    """
    edges = np.unique(np.quantile(score[:counted], np.linspace(0, 1, _BINS + 1)[1:-1])) if counted else np.zeros(0)
    cell = np.searchsorted(edges, score, side="right") * 2 + stopped
    everybody = np.bincount(cell[:counted], minlength=2 * _BINS)
    labelled = np.bincount(cell[:counted], weights=has_label[:counted], minlength=2 * _BINS)
    weight: npt.NDArray[np.float64] = np.clip(everybody / np.maximum(labelled, 1.0), 1.0, MOST_WEIGHT)[cell]
    return weight


def with_head(forest: bytes, head: FittedHead, checked_on: Matrix) -> bytes:
    """Add the head to an exported forest as a second tree operator with the output `margin`.

    An unknown input goes at each node where the value it counts as would go. Raises ModelError unless the result equals
    scikit-learn to `TOLERANCE` on `checked_on`, rows with NaN among them.
    """
    model = onnx.load_model_from_string(forest)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = checked_on.shape[1]
    model.graph.node.append(
        helper.make_node("TreeEnsembleRegressor", ["x"], ["margin"], domain="ai.onnx.ml", **_trees(head))
    )
    model.graph.output.append(helper.make_tensor_value_info("margin", onnx.TensorProto.FLOAT, [None, 1]))
    raw: bytes = model.SerializeToString()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    got = session.run(["margin"], {"x": np.ascontiguousarray(checked_on, dtype=np.float32)})[0][:, 0]
    difference = float(np.max(np.abs(got - head.margins(checked_on))))
    if not difference < TOLERANCE:
        raise ModelError(f"the exported head is {difference:.2e} off scikit-learn, more than {TOLERANCE:.0e}")
    return raw


def _trees(head: FittedHead) -> dict[str, Any]:
    """Return the operator's attributes: parallel lists over all nodes of all trees, and over all leaves."""
    # scikit-learn shows its trees and where they start from nowhere else.
    trees = [one.nodes for (one,) in head.model._predictors]  # noqa: SLF001
    start = float(head.model._baseline_prediction[0, 0])  # noqa: SLF001
    nodes = np.concatenate(trees)
    tree = np.repeat(np.arange(len(trees)), [len(one) for one in trees])
    number = np.concatenate([np.arange(len(one)) for one in trees])
    leaf = nodes["is_leaf"].astype(bool)
    column = np.where(leaf, 0, nodes["feature_idx"])
    threshold = np.where(leaf, np.float32(0), rounded_down(nodes["num_threshold"]))
    return {
        "n_targets": 1,
        "aggregate_function": "SUM",
        "base_values": [start],
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": number.tolist(),
        "nodes_featureids": column.tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": threshold.tolist(),
        "nodes_truenodeids": np.where(leaf, 0, nodes["left"]).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, nodes["right"]).tolist(),
        "nodes_missing_value_tracks_true": (~leaf & (head.fill[column] <= threshold)).astype(int).tolist(),
        "target_treeids": tree[leaf].tolist(),
        "target_nodeids": number[leaf].tolist(),
        "target_ids": [0] * int(leaf.sum()),
        "target_weights": nodes["value"][leaf].tolist(),
    }
