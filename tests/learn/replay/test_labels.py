"""The join of decisions with what became of them, and the count of subjects."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.contract import Reported
from riskd.learn.replay.labels import ATTACKS, DECIDED, HONEST, LABELS, TOLD, Join, Subjects, key, told
from riskd.record.schema import OutcomeRecord
from tests.conftest import NOON

CELLS = 9
IDS = st.integers(0, 40).map(lambda number: f"decision-{number}")


def outcome(decision_id: str, reported: Reported, minutes: int = 0) -> OutcomeRecord:
    """An outcome of a decision some minutes after noon."""
    at = NOON + timedelta(minutes=minutes)
    return OutcomeRecord(decision_id=decision_id, recorded_at=at, at=at, outcome=reported, source="reported")


def joined(decided: dict[str, int], outcomes: list[OutcomeRecord], blocks: int = 1) -> dict[Reported, list[int]]:
    """Join in so many blocks, outcomes and decisions in the order given."""
    rows = [(key(decision_id), 0, cell) for decision_id, cell in decided.items()]
    told_rows = [row for record in outcomes if (row := told(record)) is not None]
    join = Join()
    for block in range(blocks):
        some, more = rows[block::blocks], told_rows[block::blocks]
        join.add(np.array(some, DECIDED).tobytes(), np.array(more, TOLD).tobytes())
    found = join.cells(CELLS)
    join.close()
    return found


@given(
    decided=st.dictionaries(IDS, st.integers(0, CELLS - 1), max_size=30),
    outcomes=st.lists(st.tuples(IDS, st.sampled_from(Reported), st.integers(0, 5)), max_size=60),
    blocks=st.integers(1, 4),
)
def test_the_join_is_that_of_a_dictionary(
    decided: dict[str, int], outcomes: list[tuple[str, Reported, int]], blocks: int
) -> None:
    """Of each decision the weightiest label counts, of equals the latest, in whatever blocks the sides come."""
    weights = dict(LABELS)
    best: dict[str, tuple[int, int]] = {}
    for decision_id, reported, minutes in outcomes:
        if reported in weights:
            best[decision_id] = max(best.get(decision_id, (0, 0)), (weights[reported], minutes))
    found = joined(decided, [outcome(*row) for row in outcomes], blocks)
    expected = {(weights[label], cell): 0 for label in weights for cell in range(CELLS)}
    for decision_id, (weight, _) in best.items():
        if decision_id in decided:
            expected[weight, decided[decision_id]] += 1
    counted = dict.fromkeys(expected, 0)
    for label, cells in found.items():
        for cell, count in enumerate(cells):
            counted[weights[label], cell] += count
    assert counted == expected


@pytest.mark.parametrize(
    ("outcomes", "label"),
    [
        ([(Reported.LOGIN_SUCCEEDED, 0), (Reported.REPORTED_BY_USER, 9)], Reported.REPORTED_BY_USER),
        ([(Reported.REPORTED_BY_USER, 0), (Reported.CONFIRMED_LEGITIMATE, 9)], Reported.CONFIRMED_LEGITIMATE),
        ([(Reported.CONFIRMED_FRAUD, 9), (Reported.CONFIRMED_LEGITIMATE, 0)], Reported.CONFIRMED_FRAUD),
        ([(Reported.CONFIRMED_FRAUD, 0), (Reported.CONFIRMED_LEGITIMATE, 9)], Reported.CONFIRMED_LEGITIMATE),
        ([(Reported.STEP_UP_FAILED, 0), (Reported.STEP_UP_PASSED, 1)], Reported.STEP_UP_PASSED),
        ([(Reported.STEP_UP_PASSED, 0), (Reported.STEP_UP_ABANDONED, 1)], Reported.STEP_UP_PASSED),
        ([(Reported.LOGIN_FAILED, 0)], None),
        ([(Reported.STEP_UP_ABANDONED, 0)], None),
    ],
)
def test_which_word_counts(outcomes: list[tuple[Reported, int]], label: Reported | None) -> None:
    """An analyst outweighs the owner, the owner a success; a wrong password says nothing."""
    found = joined({"d": 4}, [outcome("d", reported, minutes) for reported, minutes in outcomes])
    assert [name for name, cells in found.items() if any(cells)] == ([label] if label else [])
    assert sum(map(sum, found.values())) == bool(label)


def test_every_label_is_of_one_side() -> None:
    """Each label says attack or honest, and none both."""
    assert {label for label, _ in LABELS} == {*ATTACKS, *HONEST}
    assert not set(ATTACKS) & set(HONEST)


def test_the_join_goes_through_files_when_it_is_long() -> None:
    """A long log's rows are not kept in memory, and joined all the same."""
    join = Join()
    ids = np.arange(400_000, dtype=np.uint64) * 7919
    decided, outcomes = np.zeros(len(ids), DECIDED), np.zeros(len(ids), TOLD)
    decided["id"] = outcomes["id"] = ids
    decided["cell"] = 4
    join.add(decided.tobytes(), outcomes.tobytes())
    assert all(part._rolled for part in join._decided)
    assert sum(map(sum, join.cells(CELLS).values())) == len(ids)
    join.close()


@pytest.mark.parametrize("people", [0, 1, 500, 100_000])
def test_subjects_are_counted_about(people: int) -> None:
    """The estimate is within a percent, and those of each group are counted apart."""
    subjects = Subjects()
    rows = np.zeros(2 * people, DECIDED)
    rows["subject"] = np.tile(np.random.default_rng(1).integers(1, 2**32, people), 2)
    rows["cell"][::2] = 8
    subjects.add(rows.tobytes(), (frozenset(range(CELLS)), frozenset({8}), frozenset({3})))
    assert subjects.count(0) == pytest.approx(people, rel=0.01)
    assert subjects.count(1) <= subjects.count(0)
    assert subjects.count(2) == 0


def test_nobody_is_no_subject() -> None:
    """Anonymous attempts are nobody's."""
    subjects = Subjects()
    subjects.add(np.zeros(5, DECIDED).tobytes(), (frozenset(range(CELLS)),))
    assert subjects.count(0) == 0
