"""Stand-ins for a loaded model, for tests that are not about models."""

from collections.abc import Sequence

from riskd.errors import ModelError
from riskd.features import Extractor
from riskd.features.population import Population


class FixedModel:
    """A model of one opinion about everything."""

    version = "20260101-00000000"

    def __init__(self, score: float, population: Population = Population()) -> None:  # noqa: B008 - frozen
        self._score = score
        self.extract = Extractor(population)

    def score_all(self, vectors: Sequence[Sequence[float | None]]) -> list[float]:
        """The opinion, about each."""
        if not all(value is None or isinstance(value, int | float) for vector in vectors for value in vector):
            raise TypeError("no number")
        return [self._score] * len(vectors)


class BrokenModel(FixedModel):
    """A model whose runtime fails."""

    def __init__(self) -> None:
        super().__init__(0.0)

    def score_all(self, vectors: Sequence[Sequence[float | None]]) -> list[float]:
        """Fail."""
        raise ModelError(f"no score for {len(vectors)} vectors")
