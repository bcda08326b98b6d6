"""Model artifacts, sound and foul, written by hand: one tree that looks at the account's age."""

import os
from datetime import UTC, datetime
from math import nan
from pathlib import Path

from msgspec.structs import replace
from onnx import TensorProto, helper

from riskd.anomaly.artifact import (
    CURRENT_FILE,
    FORMAT,
    MANIFEST_FILE,
    MODEL_FILE,
    Calibration,
    Manifest,
    digest_of,
    encode_manifest,
)
from riskd.features import MODEL_FEATURES, schema_hash
from riskd.features.population import Population

OLDEST_DAYS = 50_000.0
"""Account ages beyond this make the tree answer with no number."""


def tree(width: int = len(MODEL_FEATURES)) -> bytes:
    """Return ONNX that scores every row alike, but one with an account older than `OLDEST_DAYS`, for which it fails."""
    forest = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["depth"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[MODEL_FEATURES.index("account_age_days"), 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[OLDEST_DAYS, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        nodes_missing_value_tracks_true=[1, 0, 0],
        target_treeids=[0, 0],
        target_nodeids=[1, 2],
        target_ids=[0, 0],
        target_weights=[1.0, nan],
    )
    graph = helper.make_graph(
        [
            forest,
            helper.make_node("Mul", ["depth", "scale"], ["exponent"]),
            helper.make_node("Exp", ["exponent"], ["score"]),
        ],
        "tree",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("scale", TensorProto.FLOAT, [1], [-1.0])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    raw: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return raw


def lay_out(models: Path, raw: bytes, manifest: Manifest) -> Path:
    """Lay an artifact out on disk, sound or not, as the current one and return its folder."""
    folder = models / manifest.version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(raw)
    (folder / MANIFEST_FILE).write_bytes(encode_manifest(manifest))
    (models / CURRENT_FILE).write_text(manifest.version + "\n")
    return folder


def write(models: Path, raw: bytes | None = None, **changes: object) -> Path:
    """Lay the tree, or `raw`, out as the current artifact and return its folder; `changes` go into the manifest."""
    raw = tree() if raw is None else raw
    return lay_out(models, raw, manifest_of(raw, **changes))


def manifest_of(raw: bytes, **changes: object) -> Manifest:
    """Return a manifest that fits a model, but for `changes`."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    manifest = Manifest(
        format=FORMAT,
        version=f"20260101-{digest_of(raw)[:8]}",
        created=now,
        features=MODEL_FEATURES,
        feature_schema=schema_hash(MODEL_FEATURES),
        versions={},
        trained_from=now,
        trained_until=now,
        rows=1,
        seed=0,
        trees=1,
        metrics={},
        source="written by hand",
        sha256=digest_of(raw),
        background=(None,) * len(MODEL_FEATURES),
        calibration=Calibration(raw=(0.1, 0.9), tail=(1.0, 0.01)),
        population=Population(),
    )
    return replace(manifest, **changes)


class Trap:
    """Whoever unpickles this makes a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        """Say how to be rebuilt."""
        return os.mkdir, (str(self._folder),)
