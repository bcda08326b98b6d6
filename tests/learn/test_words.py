"""What was said of decisions, in little memory: as a dict would have it."""

import numpy as np
import pytest

from riskd.learn.words import Words


def test_as_a_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is added, asked and forgotten, in any order, is what a dict says."""
    monkeypatch.setattr("riskd.learn.words.FRESH", 50)
    chance = np.random.default_rng(1)
    words, expected = Words(), dict[int, int]()
    for number in range(5000):
        rank, said = (
            int(chance.integers(0, 1 << 64, dtype=np.uint64)) >> int(chance.integers(54, 60)),
            int(chance.integers(1, 16)),
        )
        words.add(rank, said)
        expected[rank] = expected.get(rank, 0) | said
        if number % 700 == 699:
            middle = sorted(expected)[len(expected) // 2]
            assert words.rank_at(len(expected) // 2) == middle
            words.forget_from(middle)
            expected = {rank: said for rank, said in expected.items() if rank < middle}
            assert len(words) == len(expected)
    for rank in [*expected, 0, 1 << 63]:
        assert words.of(rank) == expected.get(rank, 0)


def test_nothing_was_said() -> None:
    """Of nothing nothing is known."""
    words = Words()
    words.forget_from(5)
    assert (len(words), words.of(3)) == (0, 0)
