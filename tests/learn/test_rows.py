"""Which attempts teach, and how many of each subject, device and network."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from riskd.contract import Reported
from riskd.learn.capped import Capped
from riskd.learn.rows import ATTACK_SAMPLE, FEWEST, TrustedSample
from riskd.learn.sift import Kinds, rank_of
from riskd.record.schema import Record
from tests.learn.logs import BEGIN, decision, decision_id, outcome

DAYS_14 = 24 * 14


def taught(records: list[Record], sample: TrustedSample | None = None) -> set[str]:
    """Subjects that teach, in whatever order the records come."""
    found = []
    for order in range(3):
        one = sample or TrustedSample()
        shuffled = records.copy()
        random.Random(order).shuffle(shuffled)  # noqa: S311 - numbers that repeat
        one.take(records if order == 0 else shuffled)
        found.append({str(facts.subject.token) for facts in one.facts()})
        if sample is not None:
            return found[0]
    assert found[0] == found[1] == found[2]
    return found[0]


def test_what_nothing_contradicts_teaches_once_it_is_old_enough() -> None:
    """An allow needs two weeks without a report; a younger one teaches nothing, even when its login succeeded."""
    old, young, late = decision(0), decision(2), decision(DAYS_14 + 1)
    assert taught([old, young, late, outcome(young, Reported.LOGIN_SUCCEEDED, confirms=True)]) == {"subject-0"}
    sample = TrustedSample(maturity=timedelta(0))
    assert taught([old, young, late], sample) == {"subject-0", "subject-2", f"subject-{DAYS_14 + 1}"}


@pytest.mark.parametrize("reported", [Reported.CONFIRMED_FRAUD, Reported.REPORTED_BY_USER, Reported.LOGIN_FAILED])
def test_what_is_contradicted_teaches_nothing(reported: Reported) -> None:
    """A report counts however late it comes, and wherever in the log its line stands."""
    told, end = decision(0), decision(24 * 200)
    assert taught([told, outcome(told, reported, days=150), end]) == set()


def test_a_step_up_teaches_when_it_was_passed_and_a_deny_never() -> None:
    """Who was asked and did not answer, or was denied, is nobody."""
    passed, silent, denied, end = (
        decision(n, outcome=word) for n, word in ((0, "step_up"), (1, "step_up"), (2, "deny"), (24 * 30, "allow"))
    )
    said = outcome(passed, Reported.STEP_UP_PASSED, confirms=True)
    assert taught([passed, said, silent, denied, outcome(denied, Reported.LOGIN_SUCCEEDED), end]) == {"subject-0"}


def test_a_record_of_the_future_makes_nothing_old() -> None:
    """A line dated years ahead does not age the log, and is counted."""
    sample = TrustedSample(now=BEGIN + timedelta(days=30))
    far = decision(9, at=BEGIN + timedelta(days=20_000))
    assert taught([decision(0), decision(1), far], sample) == set()
    assert +sample.left_out == {"in the future": 1, "too young": 2}


def test_outcomes_after_the_span_count() -> None:
    """Only decisions are cut by since and until; a report that comes later contradicts all the same."""
    before, told, good, after = decision(0), decision(24), decision(30), decision(24 * 60)
    sample = TrustedSample(since=BEGIN + timedelta(days=1), until=BEGIN + timedelta(days=2))
    fraud = outcome(told, Reported.CONFIRMED_FRAUD, days=40)
    assert taught([before, told, good, fraud, after], sample) == {"subject-30"}
    assert sample.left_out["outside the span"] == 2


@pytest.mark.parametrize("of", ["subject", "device", "ip"])
def test_a_flood_has_few_rows_and_crowds_out_nobody(of: str) -> None:
    """Ten thousand attempts from one subject, device or address, in a sample of a hundred, take their cap."""
    most = FEWEST["network" if of == "ip" else of]
    honest = [decision(n) for n in range(80)]
    flood = [decision(100 + n, at=BEGIN + timedelta(minutes=n), **{of: "flood"}) for n in range(10_000)]
    sample = TrustedSample(100)
    ranks = {rank_of(record.decision_id) for record in honest}
    sample.take([*honest, *flood, decision(24 * 60)])
    taken = {row.rank for row in sample.rows()}
    assert len(ranks & taken) >= 80 - most
    assert 0 < len(taken - ranks) <= most


def test_attempts_of_nobody_share_one_cap() -> None:
    """Without subject, device and address an attempt cannot be told from the next: all of them have one share."""
    nobody = [decision(n, subject=None, device=None, ip=None) for n in range(300)]
    sample = TrustedSample()
    sample.take([*nobody, decision(24 * 60)])
    assert len(sample.rows()) == FEWEST["device"]


def test_a_prefix_is_one_network() -> None:
    """Addresses that were kept plain count by their /24, however many of it are used."""
    spread = [decision(n, ip=f"81.2.69.{n % 250}") for n in range(500)]
    sample = TrustedSample()
    sample.take([*spread, decision(24 * 60)])
    assert len(sample.rows()) == FEWEST["network"]


def test_the_share_of_a_large_sample_is_more_than_the_fewest() -> None:
    """Where there are twenty thousand rows of others, a subject has one in a thousand of them, not only eight."""
    others = [decision(n, at=BEGIN) for n in range(20_000)]
    busy = [decision(30_000 + n, at=BEGIN, subject="busy") for n in range(300)]
    sample = TrustedSample()
    sample.take([*others, *busy, decision(40_000, at=BEGIN + timedelta(days=20))])
    assert sum(row.facts.subject.token == "busy" for row in sample.rows()) == 20


def test_attacks_are_set_aside_by_label_or_truth_and_trusted_as_if_unknown() -> None:
    """Labels set attacks aside; a truth sets aside what it names, and lets it teach where nobody complained."""
    told, hidden, mistaken, end = decision(0), decision(1), decision(2), decision(24 * 60)
    said = [
        outcome(told, Reported.CONFIRMED_FRAUD),
        outcome(mistaken, Reported.REPORTED_BY_USER),
        outcome(mistaken, Reported.CONFIRMED_LEGITIMATE),
    ]
    by_label = TrustedSample()
    by_label.take([told, hidden, mistaken, *said, end])
    assert [(kind, row.rank) for kind, row in by_label.attacks()] == [("labelled", rank_of(told.decision_id))]
    by_truth = TrustedSample(kinds=Kinds([(decision_id(1), "spray")]))
    by_truth.take([told, hidden, mistaken, *said, end])
    assert [(kind, row.rank) for kind, row in by_truth.attacks()] == [("spray", rank_of(decision_id(1)))]
    assert [row.rank for row in by_truth.rows()] == [rank_of(decision_id(1))]


def test_memory_is_bounded_by_the_sample_and_not_by_the_log() -> None:
    """However many decisions and outcomes come, no more rows and words are held than the sample's size says."""
    sample = TrustedSample(200)
    for start in range(0, 20_000, 1000):
        batch = [decision(start + n, ip="one" if n % 2 else f"{start + n}") for n in range(1000)]
        sample.take(batch)
        sample.take([outcome(record, Reported.LOGIN_SUCCEEDED, confirms=True) for record in batch])
        assert len(sample._rows) <= 200
        assert len(sample._told) <= 64 * 200
        assert len(sample._attacks) <= ATTACK_SAMPLE
    assert 100 <= len(sample.rows()) <= 200


def test_a_flood_that_fails_takes_no_row_away() -> None:
    """Thirty failed logins of an attack for each honest one leave the sample as it is."""
    honest, end = [decision(n, at=BEGIN) for n in range(100)], decision(24 * 60)
    flood = [decision(1000 + n, at=BEGIN, subject=f"victim-{n}", ip=f"{n}", device=f"{n}") for n in range(3000)]
    sample = TrustedSample(200)
    failed = [line for one in flood for line in (one, outcome(one, Reported.LOGIN_FAILED))]
    sample.take([*honest, *failed, end])
    assert len(sample.rows()) == 100


def test_words_about_decisions_that_never_come_are_bounded_too() -> None:
    """A log of outcomes alone holds nothing beyond its bound."""
    sample = TrustedSample(50)
    sample.take(outcome(decision(n), Reported.LOGIN_SUCCEEDED, confirms=True) for n in range(5000))
    assert len(sample._told) <= 64 * 50


def test_the_same_decision_twice_is_one_row() -> None:
    """A record that is in two files of a log teaches once."""
    one, end = decision(0), decision(24 * 60)
    sample = TrustedSample()
    sample.take([one, one, end, one])
    assert len(sample.rows()) == 1


def test_a_full_sample_holds_the_lowest_ranks_and_forgets_who_left() -> None:
    """Bottom-k, whatever the order; rows that are let go leave no trace in the caps."""

    class One:
        def __init__(self, entity: str) -> None:
            self.entities = (entity,)

    capped: Capped[One] = Capped(10, (3,))
    for rank in random.Random(1).sample(range(1000), 1000):  # noqa: S311
        row = One(str(rank % 5))
        if capped.wants(rank, row.entities):
            capped.add(rank, row)
    assert [rank for rank, _ in capped.items()] == list(range(10))
    for rank in range(10):
        assert capped.discard(rank) is not None
    assert len(capped) == 0
    assert capped._of == {}
    assert capped.discard(3) is None


def test_a_log_of_the_first_year_there_is() -> None:
    """Dates from which no fortnight can be taken make nothing old, and end nothing."""
    sample = TrustedSample()
    sample.take([decision(n, at=datetime(1, 1, 2, n, tzinfo=UTC)) for n in range(3)])
    assert sample.rows() == []
    assert sample.span()[1] == datetime.min.replace(tzinfo=UTC)
