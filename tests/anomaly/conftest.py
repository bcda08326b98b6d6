"""A real artifact on disk, made by the exporter."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from riskd.anomaly.artifact import Manifest
from riskd.features.feature import schema_hash
from riskd.features.population import Population, Table
from riskd.learn.calibrate import calibrate
from riskd.learn.export import export_forest
from tests.faults.artifacts import lay_out, manifest_of

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
    held_out = honest_rows(20_000, 3)
    return manifest_of(
        onnx_bytes,
        features=FEATURES,
        feature_schema=schema_hash(FEATURES),
        rows=5000,
        trees=60,
        background=(1.0, 1.0, None, 1.0, 1.0, 1.0),
        calibration=calibrate(-forest.score_samples(held_out)),
        population=Population(country=Table.of(["NO", "SE"])),
    )


@pytest.fixture
def models(tmp_path: Path, onnx_bytes: bytes, manifest: Manifest) -> Path:
    """A models folder with one current, sound version."""
    lay_out(tmp_path, onnx_bytes, manifest)
    return tmp_path
