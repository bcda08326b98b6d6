"""A real artifact on disk, made by the exporter."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from riskd.anomaly.artifact import FORMAT, Manifest, digest_of
from riskd.features.feature import schema_hash
from riskd.features.population import Population, Table
from riskd.learn.calibrate import calibrate
from riskd.learn.export import export_forest
from tests.faults.artifacts import lay_out

WIDTH = 6
RowMaker = Callable[[int, int], np.ndarray]
FEATURES = tuple(f"feature_{index}" for index in range(WIDTH))


def honest_rows(count: int, seed: int) -> np.ndarray:
    """Rows with unknown values in one column."""
    rng = np.random.default_rng(seed)
    made = rng.lognormal(size=(count, WIDTH)).astype(np.float32)
    made[rng.random(count) < 0.3, 2] = np.nan
    return made


@pytest.fixture(scope="session", name="honest_rows")
def honest_rows_fixture() -> RowMaker:
    """Makes honest rows: `honest_rows(count, seed)`."""
    return honest_rows


@pytest.fixture(scope="session")
def forest() -> IsolationForest:
    """A fitted forest."""
    return IsolationForest(n_estimators=60, random_state=5).fit(honest_rows(5000, 1))


@pytest.fixture(scope="session")
def onnx_bytes(forest: IsolationForest) -> bytes:
    """The forest as ONNX."""
    return export_forest(forest, honest_rows(3000, 2))


@pytest.fixture(scope="session")
def manifest(forest: IsolationForest, onnx_bytes: bytes) -> Manifest:
    """The manifest that belongs to it."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    held_out = honest_rows(20_000, 3)
    return Manifest(
        format=FORMAT,
        version=f"20260101-{digest_of(onnx_bytes)[:8]}",
        created=now,
        features=FEATURES,
        feature_schema=schema_hash(FEATURES),
        versions={"python": "3.11"},
        trained_from=now,
        trained_until=now,
        rows=5000,
        seed=5,
        trees=60,
        metrics={},
        source="tests",
        sha256=digest_of(onnx_bytes),
        background=(1.0, 1.0, None, 1.0, 1.0, 1.0),
        calibration=calibrate(-forest.score_samples(held_out)),
        population=Population(country=Table.of(["NO", "SE"])),
    )


@pytest.fixture
def models(tmp_path: Path, onnx_bytes: bytes, manifest: Manifest) -> Path:
    """A models folder with one current, sound version."""
    lay_out(tmp_path, onnx_bytes, manifest)
    return tmp_path
