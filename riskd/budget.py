"""The model within its budget: one that fails or takes too long is left in peace for a while.

A call of the runtime cannot be broken off, so one that took too long has already cost its time. Its scores are not used
all the same: that is what a budget promises, and the calls after it are spared.
"""

from collections.abc import Callable, Sequence
from time import monotonic, thread_time
from typing import Final

from riskd.anomaly.model import Vector
from riskd.errors import ModelError
from riskd.evaluation import Scorer
from riskd.features import Extractor

LIMIT: Final = 5
"""Failures in a row after which the model is not asked: as many as the store's breaker takes."""
REST_S: Final = 5.0
"""Seconds it is left in peace then, before it is tried again."""


class WithinBudget:
    """A model of which no call may take more than `budget_s` seconds of CPU time.

    Not of the clock: that the machine is busy is no fault of the model's.
    """

    def __init__(
        self,
        model: Scorer,
        budget_s: float,
        *,
        cpu: Callable[[], float] = thread_time,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._model = model
        self._budget_s = budget_s
        self._cpu = cpu
        self._clock = clock
        self._failures = 0
        self._rests_until = 0.0

    @property
    def version(self) -> str:
        """The model's version."""
        return self._model.version

    @property
    def extract(self) -> Extractor:
        """The model's extractor."""
        return self._model.extract

    def score_all(self, vectors: Sequence[Vector]) -> list[float]:
        """Score as the model does; raises ModelError when that took too long, and while it is left in peace."""
        if self._failures >= LIMIT and self._clock() < self._rests_until:
            raise ModelError(f"model {self.version}: failed {LIMIT} times in a row and is left in peace for a while")
        begun = self._cpu()
        try:
            scores = self._model.score_all(vectors)
        except Exception:
            self._failed()
            raise
        took_s = self._cpu() - begun
        if took_s > self._budget_s:
            self._failed()
            raise ModelError(f"model {self.version}: took {took_s * 1000:.0f} ms, more than its budget")
        self._failures = 0
        return scores

    def _failed(self) -> None:
        self._failures += 1
        self._rests_until = self._clock() + REST_S
