"""The gates: what opens them, what closes them, and what they say when too little is known."""

from collections.abc import Callable

import numpy as np
import pytest

from riskd.learn.registry.gate import Verdict, needed, verdict
from riskd.learn.registry.margins import Margins
from riskd.learn.registry.measure import GROUPS, Measured, Stopped

MARGINS = Margins(catch=0.02, alarms=0.003)
SAME = np.zeros(GROUPS, dtype=np.int64)


def stopped(of: int, before: float, after: float) -> Stopped:
    """Attempts of which each model stops a share: whatever the stricter one lets pass, the other does, too."""
    rng = np.random.default_rng(2)
    group, chance = rng.integers(0, GROUPS, of), rng.random(of)
    by = tuple(np.bincount(group[chance < share], minlength=GROUPS) for share in (before, after))
    return Stopped(np.bincount(group, minlength=GROUPS), (by[0], by[1]))


def measured(attacks: Stopped | None, honest: Stopped, **more: object) -> Measured:
    """What a log said: everybody honest comes on a day of their own."""
    kinds = {} if attacks is None else {"takeover": attacks}
    return Measured(judged=1, attacks=kinds, honest=honest, subject_days=honest.of.copy(), **more)  # type: ignore[arg-type]


def failed(verdict: Verdict) -> list[str]:
    """Names of the gates that failed."""
    return [gate.name for gate in verdict.gates if not gate.passed]


def test_a_better_candidate_passes() -> None:
    """More catch and fewer false alarms open both gates, and the numbers are those of the log."""
    honest, attacks = stopped(20_000, 0.02, 0.015), stopped(2000, 0.7, 0.8)
    found = verdict(measured(attacks, honest), MARGINS)
    assert (found.passed, failed(found), found.few_labels) == (True, [], None)
    assert [gate.name for gate in found.gates] == ["catch", "false alarms"]
    assert found.catch is not None
    assert found.catch.hits == (int(attacks.by[0].sum()), int(attacks.by[1].sum()))
    assert found.catch.interval[0] < found.catch.change < found.catch.interval[1]
    assert found.catch.change == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(
    ("attacks", "honest", "closed", "words"),
    [
        ((2000, 0.80, 0.70), (20_000, 0.02, 0.02), ["catch"], "takeover falls"),
        ((2000, 0.80, 0.79), (20_000, 0.02, 0.02), ["catch"], "takeover falls"),
        ((2000, 0.80, 0.80), (20_000, 0.02, 0.03), ["false alarms"], "rise by more than 3"),
        ((2000, 0.80, 0.70), (20_000, 0.02, 0.03), ["catch", "false alarms"], "takeover falls"),
        ((2000, 0.80, 0.80), (900, 0.02, 0.02), ["false alarms"], "1,000 of 30 are needed"),
    ],
)
def test_what_closes_a_gate(
    attacks: tuple[int, float, float], honest: tuple[int, float, float], closed: list[str], words: str
) -> None:
    """Each gate closes for its own reason and says which; a small fall that is certain is a fall."""
    found = verdict(measured(stopped(*attacks), stopped(*honest)), MARGINS)
    assert failed(found) == closed
    assert words in next(gate.said for gate in found.gates if not gate.passed)


def test_a_fall_that_cannot_be_ruled_out_closes_the_gate() -> None:
    """Where models catch different attacks, an interval that reaches beyond the margin is enough to refuse."""
    attacks = stopped(300, 0.2, 0.2)
    attacks.by[1][:] = attacks.of - attacks.by[0]
    attacks.by[1][np.cumsum(attacks.by[1]) > 70] = 0
    found = verdict(measured(attacks, stopped(20_000, 0.02, 0.02)), MARGINS)
    assert failed(found) == ["catch"]
    assert "may fall by more than 2 points" in found.gates[0].said


def test_a_wave_of_one_kind_hides_no_other() -> None:
    """Catch of a rare kind that falls for certain closes the gate, however well a frequent one is caught."""
    found = measured(stopped(100_000, 0.9, 0.9), stopped(20_000, 0.02, 0.02))
    found.attacks["payout"] = stopped(200, 0.8, 0.4)
    told = verdict(found, MARGINS)
    assert failed(told) == ["catch"]
    assert "that of payout falls" in told.gates[0].said
    assert list(told.kinds) == ["takeover", "payout"]


@pytest.mark.parametrize("attacks", [None, stopped(20, 0.8, 0.8)])
def test_too_few_labels_are_said_and_scores_are_asked(attacks: Stopped | None) -> None:
    """Without enough attacks catch is not gated but the scores are, and the verdict says so."""
    calm = [0] * 101
    calm[3] = 1000
    wild = [10] * 101
    for scores, closed in (((calm, calm), []), ((calm, wild), ["scores"])):
        found = verdict(measured(attacks, stopped(20_000, 0.02, 0.02), scores=scores), MARGINS)
        assert [gate.name for gate in found.gates] == ["false alarms", "scores"]
        assert failed(found) == closed
        assert found.few_labels is not None
        assert "150 on 5 are needed" in found.few_labels


def test_what_happens_to_few_people_is_no_rule() -> None:
    """One victim attacked forty times, or two subjects over years, neither close nor open a gate."""
    of, caught = SAME.copy(), SAME.copy()
    of[7], caught[7] = 40, 1
    found = measured(stopped(2000, 0.8, 0.8), stopped(20_000, 0.02, 0.02))
    found.attacks["payout"] = Stopped(of, (caught, SAME.copy()))
    assert verdict(found, MARGINS).passed
    days = SAME.copy()
    days[[3, 9]] = 600
    told = verdict(measured(stopped(2000, 0.8, 0.8), Stopped(days, (SAME.copy(), SAME.copy()))), MARGINS)
    assert failed(told) == ["false alarms"]
    assert "of 2 subjects" in told.gates[1].said


def test_few_attacks_can_be_enough_to_refuse() -> None:
    """When all of twenty attacks were caught and none is any more, nobody waits for 150."""
    found = verdict(measured(stopped(20, 1.1, -1.0), stopped(20_000, 0.02, 0.02)), MARGINS)
    assert failed(found) == ["catch"]


def test_intervals_know_that_attempts_of_one_subject_belong_together(make_clustered: Callable[[int], Measured]) -> None:
    """A hundred attempts of each of forty subjects say hardly more than one attempt of each."""
    alone, together = (verdict(make_clustered(size), MARGINS).catch for size in (1, 100))
    assert alone is not None
    assert together is not None
    widths = [paired.interval[1] - paired.interval[0] for paired in (alone, together)]
    assert widths[1] == pytest.approx(widths[0])


@pytest.fixture
def make_clustered() -> Callable[[int], Measured]:
    """Forty subjects with so many attacks each, of whom half are caught now and others were before."""

    def make(size: int) -> Measured:
        of, before, after = SAME.copy(), SAME.copy(), SAME.copy()
        of[:40], before[:20], after[10:30] = size, size, size
        return measured(Stopped(of, (before, after)), stopped(5000, 0.02, 0.02))

    return make


def test_the_rule_of_three() -> None:
    """What a margin needs: 3 / margin cases."""
    assert (needed(0.02), needed(0.003), needed(1.0)) == (150, 1000, 3)
