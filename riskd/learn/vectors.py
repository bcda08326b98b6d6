"""The model's vectors of many attempts."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from riskd.facts import Facts
from riskd.features import MODEL_FEATURES, Extractor
from riskd.features.population import Population

_LARGEST = float(np.finfo(np.float32).max)


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
                matrix[row, column] = min(max(value, -_LARGEST), _LARGEST)  # a forest fits on no infinity
    return matrix
