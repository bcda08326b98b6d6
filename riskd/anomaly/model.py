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
    """A loaded model; `load.py` makes it. `score` uses one row of its own: a model belongs to one thread."""

    def __init__(self, manifest: Manifest, session: InferenceSession) -> None:
        self.manifest = manifest
        self._run = session.run
        self._input: str = session.get_inputs()[0].name
        self._outputs: list[str] = [session.get_outputs()[0].name]
        self.extract = Extractor(manifest.population)
        """Computes the vector of facts with the tables this model was trained beside."""
        self._curve = Curve(manifest.calibration)
        # One row's input and output stay bound: it spares the runtime half of what a call costs beside the trees.
        self._row = np.zeros((1, len(manifest.features)), dtype=np.float32)
        self._row_raw = np.zeros((1, 1), dtype=np.float32)
        self._binding = session.io_binding()
        self._binding.bind_cpu_input(self._input, self._row)
        self._binding.bind_output(self._outputs[0], "cpu", 0, np.float32, (1, 1), self._row_raw.ctypes.data)
        self._run_row = session.run_with_iobinding
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

    def score(self, vector: Vector) -> float:
        """Anomaly score 0..0.9999: 0.99 means that one honest attempt in a hundred is at least this odd.

        Raises ModelError when the runtime fails or answers with no number; the caller then judges without a model.
        """
        if len(vector) != len(self.manifest.features):  # numpy would spread a single number over the row
            raise ModelError(f"model {self.version}: the runtime failed: a vector of {len(vector)} numbers")
        try:
            self._row[0] = vector
            self._run_row(self._binding)
        except Exception as error:  # the runtime's own exceptions share no base class but this one
            raise ModelError(f"model {self.version}: the runtime failed: {error}") from error
        raw = float(self._row_raw[0, 0])
        if not math.isfinite(raw):
            raise ModelError(f"model {self.version}: the score is no number")
        return 1.0 - self._curve.tail(raw)

    def scores(self, matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Score many rows at once (NaN is unknown); the same numbers that `score` gives for each."""
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
