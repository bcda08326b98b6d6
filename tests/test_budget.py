"""Case 9: a model that is too slow or fails is left in peace, and taken back."""

from collections.abc import Sequence

import pytest

from riskd.budget import LIMIT, REST_S, WithinBudget
from riskd.errors import ModelError
from tests.models import BrokenModel, FixedModel

VECTORS: Sequence[Sequence[float | None]] = [[1.0, None]]


class Clock:
    """A clock that goes on by what a test says, each time it is read."""

    def __init__(self) -> None:
        self.now = 100.0
        self.step = 0.0

    def __call__(self) -> float:
        """Return the time and go on."""
        self.now += self.step
        return self.now


def test_case_09_beyond_the_budget_the_score_is_not_used() -> None:
    """A call that takes longer than its budget is an error; one within it gives its scores."""
    cpu = Clock()
    model = WithinBudget(FixedModel(0.5), 0.02, cpu=cpu)
    assert model.score_all(VECTORS) == [0.5]
    cpu.step = 0.03
    with pytest.raises(ModelError, match="budget"):
        model.score_all(VECTORS)
    cpu.step = 0.01
    assert model.score_all(VECTORS) == [0.5]


def test_case_09_after_failures_in_a_row_the_model_rests() -> None:
    """Then it is not called until the rest is over; a single call tries it, and its success takes it back."""
    cpu, clock = Clock(), Clock()
    called: list[int] = []

    class Slow(FixedModel):
        def score_all(self, vectors: Sequence[Sequence[float | None]]) -> list[float]:
            called.append(len(vectors))
            return super().score_all(vectors)

    model = WithinBudget(Slow(0.5), 0.02, cpu=cpu, clock=clock)
    cpu.step = 1.0
    for _ in range(LIMIT + 3):
        with pytest.raises(ModelError):
            model.score_all(VECTORS)
    assert len(called) == LIMIT
    clock.now += REST_S
    with pytest.raises(ModelError, match="budget"):
        model.score_all(VECTORS)
    with pytest.raises(ModelError, match="in peace"):
        model.score_all(VECTORS)
    assert len(called) == LIMIT + 1
    clock.now += REST_S
    cpu.step = 0.0
    assert model.score_all(VECTORS) == [0.5]
    assert model.score_all(VECTORS) == [0.5]


def test_case_09_failures_of_the_runtime_count_too() -> None:
    """A runtime that raises is left in peace as well; a success between resets the count."""
    clock = Clock()
    model = WithinBudget(BrokenModel(), 0.02, clock=clock)
    for _ in range(LIMIT):
        with pytest.raises(ModelError, match="no score"):
            model.score_all(VECTORS)
    with pytest.raises(ModelError, match="in peace"):
        model.score_all(VECTORS)
