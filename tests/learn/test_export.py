"""The exporter equals scikit-learn."""

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.ensemble._iforest import _average_path_length

from riskd.anomaly.operators import check_operators
from riskd.errors import ModelError
from riskd.learn.export import TOLERANCE, average_path, export_forest, largest_difference

WIDTH = 12


def rows(count: int, seed: int) -> npt.NDArray[np.float32]:
    """Rows of skewed, discrete and missing values, as feature vectors are; column 5 is never missing."""
    rng = np.random.default_rng(seed)
    made = rng.lognormal(size=(count, WIDTH)).astype(np.float32)
    made[:, 0] = rng.integers(0, 2, count)
    made[:, 1] = rng.integers(0, 30, count)
    made[rng.random(made.shape) < 0.15] = np.nan
    made[:, 5] = rng.normal(size=count)
    return made


def forest(seed: int = 3) -> IsolationForest:
    """A forest over such rows."""
    return IsolationForest(n_estimators=50, max_samples=256, random_state=seed).fit(rows(4000, seed))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equal_on_thousands_of_rows(seed: int) -> None:
    """Fresh rows, a third of them with unknown values, score as scikit-learn scores them."""
    fitted = forest(seed)
    assert largest_difference(fitted, export_forest(fitted, rows(2000, seed)), rows(8000, seed + 100)) < TOLERANCE


def test_equal_on_the_thresholds_themselves() -> None:
    """Values that lie exactly on, just above and just below a split go the same way."""
    fitted = forest()
    splits = np.concatenate([tree.tree_.threshold[tree.tree_.feature >= 0] for tree in fitted.estimators_])
    values = splits.astype(np.float32)
    around = np.concatenate([values, np.nextafter(values, np.float32(9e9)), np.nextafter(values, np.float32(-9e9))])
    made = np.resize(around, (len(around) // WIDTH, WIDTH)).astype(np.float32)
    assert largest_difference(fitted, export_forest(fitted, rows(1000, 1)), made) < TOLERANCE


def test_equal_where_training_saw_no_unknown() -> None:
    """An unknown value in a column that was always known, all unknown, and huge values agree too."""
    fitted = forest()
    made = rows(1000, 8)
    made[:300, 5] = np.nan
    made[300:310] = np.nan
    made[310:400] = 3e38
    made[400:500] = -3e38
    assert largest_difference(fitted, export_forest(fitted, rows(1000, 1)), made) < TOLERANCE


def test_feature_subsets_and_tiny_samples() -> None:
    """Forests on a subset of columns per tree, and of few samples, export as well."""
    made = rows(3000, 4)
    fitted = IsolationForest(n_estimators=40, max_features=0.5, max_samples=8, random_state=1).fit(made)
    assert largest_difference(fitted, export_forest(fitted, made), rows(3000, 5)) < TOLERANCE


def test_the_file_is_one_that_serving_allows() -> None:
    """What is exported passes the operator check."""
    check_operators(export_forest(forest(), rows(1000, 1)), "model.onnx")


def test_a_difference_stops_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter that is off by more than the tolerance yields no artifact."""
    monkeypatch.setattr("riskd.learn.export.average_path", lambda samples: samples * 0.01 + 1)
    with pytest.raises(ModelError, match="off scikit-learn"):
        export_forest(forest(), rows(1000, 1))


def test_average_path_is_the_papers() -> None:
    """c(n) equals scikit-learn's for every n."""
    counts = np.arange(1, 600)
    ours = [average_path(int(count)) for count in counts]
    assert ours == pytest.approx(_average_path_length(counts).tolist(), abs=1e-12)
