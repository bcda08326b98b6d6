"""From a decision log to a model on disk: trusted rows, population tables, forest, calibration, manifest.

Vectors are computed anew from the recorded facts with the new population tables, so a log of any earlier model will do.
The later slice of the time calibrates what the earlier slice taught: the world moves, and a quantile read on the rows
that trained the forest would flatter it.
"""

import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest

from riskd.anomaly.artifact import FORMAT, Manifest, digest_of
from riskd.errors import ModelError
from riskd.facts import Facts
from riskd.features import MODEL_FEATURES, Extractor, schema_hash
from riskd.features.population import Population
from riskd.learn.calibrate import LEAST_ROWS, calibrate
from riskd.learn.export import export_forest, largest_difference
from riskd.learn.likelihood import learn_population
from riskd.learn.publish import publish
from riskd.learn.rows import TrustedSample
from riskd.record.reader import ReadReport, read

CALIBRATION_SHARE = 0.25
"""The latest share of the rows, held out of the forest."""
_CHECKED_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training made."""

    version: str
    folder: Path
    decisions: int
    """Decisions read from the log."""
    refused_lines: int
    """Lines of the log that could not be read."""
    rows: int
    """Honest rows the forest was fitted on."""
    calibration_rows: int
    metrics: dict[str, float]


def train(
    log: Path,
    models: Path,
    *,
    now: datetime,
    source: str,
    native: bool = True,
    seed: int = 1,
    trees: int = 100,
    samples: int = 256,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Trained:
    """Train on the log's decisions from `since` to `until` and make the result current in `models`.

    `source` says in words where the log came from, `native` whether it is this deployment's own traffic and no
    simulation; `samples` is how many rows each tree sees. Raises ModelError when
    the log holds too few trusted attempts or the artifact would not equal the forest.
    """
    report, sample = ReadReport(), TrustedSample()
    sample.take(read(log, since=since, until=until, report=report))
    facts = sample.facts()
    split = round(len(facts) * (1 - CALIBRATION_SHARE))
    if len(facts) - split < LEAST_ROWS:
        raise ModelError(
            f"{log}: {len(facts)} trusted attempts, at least {round(LEAST_ROWS / CALIBRATION_SHARE)} are needed"
        )
    population = learn_population(facts, split, native=native, seed=seed)
    matrix = vectors(facts, population)
    fitted, held_out = matrix[:split], matrix[split:]
    forest = IsolationForest(n_estimators=trees, max_samples=min(samples, split), random_state=seed).fit(fitted)
    raw = export_forest(forest, matrix[:_CHECKED_ROWS])
    scores = -forest.score_samples(held_out)
    metrics = {
        "largest_difference_from_scikit_learn": largest_difference(forest, raw, held_out[-_CHECKED_ROWS:]),
        "calibration_rows": float(len(held_out)),
        "unknown_share": float(np.isnan(matrix).mean()),
        "raw_score_median": statistics.median(scores.tolist()),
        "raw_score_99": float(np.quantile(scores, 0.99)),
    }
    digest = digest_of(raw)
    manifest = Manifest(
        format=FORMAT,
        version=f"{now.astimezone(UTC):%Y%m%d}-{digest[:8]}",
        created=now,
        features=MODEL_FEATURES,
        feature_schema=schema_hash(MODEL_FEATURES),
        versions={"python": platform.python_version()}
        | {name: version_of(name) for name in ("riskd", "scikit-learn", "onnx", "numpy")},
        trained_from=facts[0].time,
        trained_until=facts[-1].time,
        rows=split,
        seed=seed,
        trees=trees,
        metrics=metrics,
        source=source,
        sha256=digest,
        background=_medians(fitted),
        calibration=calibrate(scores),
        population=population,
    )
    folder = publish(models, raw, manifest)
    return Trained(manifest.version, folder, sample.decisions, report.refused.total(), split, len(held_out), metrics)


def vectors(facts: Sequence[Facts], population: Population) -> npt.NDArray[np.float32]:
    """Compute the model's vector of each attempt, NaN for unknown; a feature that fails on one is unknown there."""
    extract = Extractor(population)
    columns = [extract.names.index(name) for name in MODEL_FEATURES]
    matrix = np.full((len(facts), len(columns)), np.nan, dtype=np.float32)
    for row, attempt in enumerate(facts):
        values, _ = extract(attempt)
        for column, index in enumerate(columns):
            value = values[index]
            if isinstance(value, int | float):
                matrix[row, column] = value
    return matrix


def _medians(matrix: npt.NDArray[np.float32]) -> tuple[float | None, ...]:
    """Median of each column; None where most rows are unknown, for then unknown is the usual thing."""
    usual: list[float | None] = []
    for column in matrix.T:
        known = column[~np.isnan(column)]
        usual.append(float(np.median(known)) if len(known) * 2 > len(column) else None)
    return tuple(usual)
