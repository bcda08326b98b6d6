"""The model at work: calibration, bounds, batches, explanations and failures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.anomaly.artifact import Calibration, Manifest
from riskd.anomaly.load import load_model
from riskd.anomaly.model import Curve, Model
from riskd.errors import ModelError
from riskd.learn.calibrate import calibrate

FEATURES = tuple(f"feature_{index}" for index in range(6))
RowMaker = Callable[[int, int], np.ndarray]


@pytest.fixture
def model(models: Path) -> Model:
    """The model on disk, loaded."""
    return load_model(models, FEATURES)


def test_one_in_a_hundred_honest_attempts_is_at_least_099(model: Model, honest_rows: RowMaker) -> None:
    """On fresh honest rows the share at or above a score is one minus that score, down the whole tail."""
    scores = model.scores(honest_rows(40_000, 9))
    for score, slack in ((0.5, 0.03), (0.9, 0.02), (0.99, 0.004), (0.999, 0.0008)):
        assert abs(float(np.mean(scores >= score)) - (1 - score)) < slack
    assert scores.min() >= 0.0
    assert scores.max() <= 0.9999 + 1e-9


def test_a_row_scores_alone_as_in_a_batch(model: Model, honest_rows: RowMaker) -> None:
    """One row with None for unknown and many with NaN for unknown give the very same numbers."""
    rows = honest_rows(300, 4)
    alone = [model.score_all([[None if np.isnan(v) else float(v) for v in row]])[0] for row in rows]
    assert alone == model.scores(rows).tolist()


def test_odd_rows_score_high(model: Model) -> None:
    """A row far outside all that was seen is odder than nearly every honest row."""
    assert model.score_all([[500.0] * len(FEATURES)])[0] > 0.99


def test_unknown_everywhere_is_answered(model: Model) -> None:
    """A vector of unknowns gets a score, not an error."""
    assert 0.0 <= model.score_all([[None] * len(FEATURES)])[0] <= 0.9999


def test_explanation_names_the_odd_feature_first(model: Model) -> None:
    """Occlusion puts the one feature that is out of line at the top, with a positive contribution."""
    vector = [1.0, 1.0, None, 1.0, 400.0, 1.0]
    explained = model.explain(vector)
    assert explained[0][0] == "feature_4"
    assert explained[0][1] > 0
    assert sorted(name for name, _ in explained) == sorted(FEATURES)


@pytest.mark.parametrize("vector", [[1.0], [1.0] * 7, []])
def test_a_vector_of_another_width_is_an_error(model: Model, vector: list[float]) -> None:
    """A vector that does not fit is a ModelError, so the caller judges without the model."""
    with pytest.raises(ModelError, match="runtime failed"):
        model.score_all([vector])


class _BrokenSession:
    """A session whose forest answers with no number."""

    def __init__(self, answer: float) -> None:
        self._answer = answer

    def get_inputs(self) -> list[object]:
        return [type("Named", (), {"name": "x"})()]

    def get_outputs(self) -> list[object]:
        return [type("Named", (), {"name": "score"})()]

    def run(self, _outputs: list[str], _inputs: dict[str, object]) -> list[np.ndarray]:
        return [np.array([[self._answer]], dtype=np.float32)]


@pytest.mark.parametrize("answer", [float("nan"), float("inf"), float("-inf")])
def test_fault_9_a_score_that_is_no_number_is_an_error(manifest: Manifest, answer: float) -> None:
    """NaN or infinity from the runtime never becomes a score."""
    model = Model(manifest, _BrokenSession(answer))
    with pytest.raises(ModelError, match="no number"):
        model.score_all([[1.0] * len(FEATURES)])


@given(st.floats(-1, 2), st.floats(-1, 2))
def test_the_curve_is_monotone(one: float, other: float) -> None:
    """A higher raw score never has a larger tail."""
    curve = Curve(Calibration(raw=(0.3, 0.4, 0.6), tail=(1.0, 0.1, 0.0001)))
    low, high = sorted((one, other))
    assert 1.0 >= curve.tail(low) >= curve.tail(high) >= 0.0001 * 0.999


@given(st.lists(st.floats(0.3, 0.8), min_size=500, max_size=600))
def test_calibration_is_sound_on_any_scores(scores: list[float]) -> None:
    """Ties, constants and any shape of scores give a strictly monotone curve that ends at one in ten thousand."""
    points = calibrate(np.array(scores))
    assert all(a < b for a, b in zip(points.raw, points.raw[1:], strict=False))
    assert all(a > b for a, b in zip(points.tail, points.tail[1:], strict=False))
    assert points.tail[-1] == pytest.approx(1e-4)


def test_too_few_rows_cannot_calibrate() -> None:
    """A calibration on a handful of rows is refused."""
    with pytest.raises(ModelError, match="at least 500"):
        calibrate(np.linspace(0.3, 0.5, 499))
