"""The anomaly model at work: a feature vector in, one calibrated score out, higher is riskier.

The runtime computes Liu et al.'s isolation score (ICDM 2008, doi 10.1109/ICDM.2008.17) with the sign already turned:
higher is odder. The manifest's calibration turns it into `1 - p`, where p is the share of honest attempts that are at
least this odd.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from onnxruntime import InferenceSession

from riskd.anomaly.artifact import Calibration, Manifest
from riskd.errors import ModelError
from riskd.features.feature import Extractor
from riskd.features.population import Population

Vector = Sequence[float | None]
"""One value per feature, in the manifest's order; None is unknown."""


class Model:
    """A loaded model; `load.py` makes it."""

    def __init__(self, manifest: Manifest, session: InferenceSession) -> None:
        self.manifest = manifest
        self._run = session.run
        self._input: str = session.get_inputs()[0].name
        self._outputs: list[str] = [session.get_outputs()[0].name]
        self.extract = Extractor(manifest.population)
        """Computes the vector of facts with the tables this model was trained beside."""
        self._curve = Curve(manifest.calibration)
        self._background = np.array([manifest.background], dtype=np.float32)

    @property
    def version(self) -> str:
        """`YYYYMMDD-<hash8>`, as in every decision."""
        return self.manifest.version

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the vector's entries, in order."""
        return self.manifest.features

    @property
    def population(self) -> Population:
        """The tables behind rarity, counted on the same attempts."""
        return self.manifest.population

    def score_all(self, vectors: Sequence[Vector]) -> list[float]:
        """Anomaly scores 0..0.9999: 0.99 means that one honest attempt in a hundred is at least this odd.

        A vector's score is the same alone as among others. Raises ModelError when a vector does not fit, the runtime
        fails or answers with no number; the caller then judges without a model.
        """
        try:
            rows = np.array(vectors, dtype=np.float32)  # None becomes NaN
        except (TypeError, ValueError) as error:
            raise ModelError(f"model {self.version}: a vector holds what is no number: {error}") from error
        tail = self._curve.tail
        return [1.0 - tail(raw) for raw in self._raw(rows)]

    def scores(self, matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Score many rows at once (NaN is unknown); the same numbers that `score_all` gives."""
        raw = self._raw(np.ascontiguousarray(matrix, dtype=np.float32))
        return np.array([1.0 - self._curve.tail(value) for value in raw])

    def explain(self, vector: Vector) -> list[tuple[str, float]]:
        """What each feature adds to the oddness, largest first, in powers of ten of the tail probability.

        By occlusion: the feature is set to the median honest value, and the drop of -log10(tail) is its contribution,
        negative where the median would be odder. Contributions do not add up, since features act together.
        """
        row = np.array((vector,), dtype=np.float32)
        width = len(self.features)
        batch = np.repeat(row, width + 1, axis=0)
        batch[np.arange(width), np.arange(width)] = self._background[0]
        raw = self._raw(batch)
        whole = math.log10(self._curve.tail(raw[width]))
        added = [(name, math.log10(self._curve.tail(raw[i])) - whole) for i, name in enumerate(self.features)]
        return sorted(added, key=lambda item: -item[1])

    def _raw(self, rows: npt.NDArray[np.float32]) -> list[float]:
        """Run the forest; raises ModelError for rows of another width, a failing runtime, a score of NaN."""
        try:
            raw: list[float] = self._run(self._outputs, {self._input: rows})[0].ravel().tolist()
        except Exception as error:  # the runtime's own exceptions share no base class but this one
            raise ModelError(f"model {self.version}: the runtime failed: {error}") from error
        if not all(map(math.isfinite, raw)):
            raise ModelError(f"model {self.version}: the score is no number")
        return raw


class Curve:
    """The calibration as a function: raw score → tail probability, monotone, `LEAST_TAIL`..1."""

    def __init__(self, points: Calibration) -> None:
        self._raw = points.raw
        self._log_tail = [math.log(tail) for tail in points.tail]

    def tail(self, raw: float) -> float:
        """Share of honest attempts at least this odd; flat beyond the first and the last point."""
        right = bisect_right(self._raw, raw)
        if right == 0:
            return 1.0
        if right == len(self._raw):
            return math.exp(self._log_tail[-1])
        low, high = self._raw[right - 1], self._raw[right]
        share = (raw - low) / (high - low)
        return math.exp(self._log_tail[right - 1] + share * (self._log_tail[right] - self._log_tail[right - 1]))
