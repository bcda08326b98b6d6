"""The anomaly model at work: a feature vector in, one calibrated score out, higher is riskier.

The runtime computes Liu et al.'s isolation score (ICDM 2008, doi 10.1109/ICDM.2008.17) with the sign already turned:
higher is odder. Beside it, where the artifact has them, stand the margin of the supervised head and the likelihood
core's log ratio, which is a feature. Each becomes a tail probability by its own calibration, the smallest is calibrated
once more, and the answer is `1 - p`, where p is the share of honest attempts that are at least this odd.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from onnxruntime import InferenceSession

from riskd.anomaly.artifact import LIKELIHOOD, Calibration, Manifest
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
        self._outputs: list[str] = [output.name for output in session.get_outputs()[: 1 + (manifest.head is not None)]]
        self.extract = Extractor(manifest.population, manifest.declared)
        """Computes the vector of facts with the tables this model was trained beside."""
        self.inputs = (*manifest.features, *(one.label for one in manifest.declared))
        """Names of what it reads: the features and, where the head reads some, declared inputs behind them."""
        self._tails = Tails(manifest)
        self._background = self._whole(np.array([manifest.background], dtype=np.float32))

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

        Vectors hold all `inputs`, or the features alone: then all others are unknown. A vector's score is the same
        alone as among others. Raises ModelError when a vector does not fit, the runtime fails or answers with no
        number; the caller then judges without a model.
        """
        try:
            rows = np.array(vectors, dtype=np.float32)  # None becomes NaN
        except (TypeError, ValueError) as error:
            raise ModelError(f"model {self.version}: a vector holds what is no number: {error}") from error
        return [1.0 - tail for tail in self._tails(rows, self._raw(rows))]

    def scores(self, matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Score many rows at once (NaN is unknown); the same numbers that `score_all` gives."""
        rows = np.ascontiguousarray(matrix, dtype=np.float32)
        return np.array([1.0 - tail for tail in self._tails(rows, self._raw(rows))])

    def explain(self, vector: Vector) -> list[tuple[str, float]]:
        """What each feature adds to the oddness, largest first, in powers of ten of the tail probability.

        By occlusion: the feature is set to the median honest value, and the drop of -log10(tail) is its contribution,
        negative where the median would be odder. Contributions do not add up, since features act together.
        """
        row = self._whole(np.array((vector,), dtype=np.float32))
        width = len(self.inputs)
        batch = np.repeat(row, width + 1, axis=0)
        batch[np.arange(width), np.arange(width)] = self._background[0]
        tails = self._tails(batch, self._raw(batch))
        whole = math.log10(tails[width])
        added = [(name, math.log10(tails[i]) - whole) for i, name in enumerate(self.inputs)]
        return sorted(added, key=lambda item: -item[1])

    def _raw(self, rows: npt.NDArray[np.float32]) -> list[list[float]]:
        """Run the trees: isolation scores, and the head's margins where there is a head.

        Raises ModelError for rows of another width, a failing runtime, a score of NaN.
        """
        rows = self._whole(rows)
        try:
            raw: list[list[float]] = [one.ravel().tolist() for one in self._run(self._outputs, {self._input: rows})]
        except Exception as error:  # the runtime's own exceptions share no base class but this one
            raise ModelError(f"model {self.version}: the runtime failed: {error}") from error
        if not all(all(map(math.isfinite, one)) for one in raw):
            raise ModelError(f"model {self.version}: the score is no number")
        return raw

    def _whole(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Add unknown declared inputs to rows of features alone."""
        missing = len(self.inputs) - len(self.features)
        if not missing or rows.ndim != 2 or rows.shape[1] != len(self.features):
            return rows
        return np.concatenate((rows, np.full((len(rows), missing), np.nan, dtype=np.float32)), axis=1)


class Tails:
    """Turns what the parts say of rows into one tail probability each."""

    def __init__(self, manifest: Manifest) -> None:
        joined = manifest.joined
        self._forest = Curve(manifest.calibration)
        self._head = Curve(joined.head) if joined is not None and joined.head is not None else None
        self._likelihood: Curve | None = None
        if joined is not None and joined.likelihood is not None:
            self._likelihood, self._column = Curve(joined.likelihood), manifest.features.index(LIKELIHOOD)
        self._widened = 1.0 if joined is None else joined.widened
        self._smallest = None if joined is None else Curve(joined.smallest)

    def __call__(self, rows: npt.NDArray[np.float32], raw: list[list[float]]) -> list[float]:
        """Return the tails; a log ratio that is unknown says nothing."""
        tails = list(map(self._forest.tail, raw[0]))
        if self._likelihood is not None:
            tail = self._likelihood.tail
            ratios: list[float] = rows[:, self._column].tolist()
            tails = [min(one, tail(ratio)) if ratio == ratio else one for one, ratio in zip(tails, ratios, strict=True)]  # noqa: PLR0124 - NaN is unknown
        if self._head is not None:
            widened, head = self._widened, self._head.tail
            tails = [min(one * widened, head(margin)) for one, margin in zip(tails, raw[1], strict=True)]
        if self._smallest is not None:
            smallest = self._smallest.tail
            tails = [smallest(-math.log10(one)) for one in tails]
        return tails


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
