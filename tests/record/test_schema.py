"""The format of a record: exact, bounded, versioned."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from riskd.contract import Reported
from riskd.facts import ActionFacts, Facts, SubjectFacts
from riskd.record.schema import MAX_LINE, DecisionRecord, LineError, OutcomeRecord, decode, encode

numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
instants = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
attributes = st.dictionaries(texts, texts | st.booleans() | st.integers(-(2**53), 2**53) | numbers, max_size=8)
all_facts = st.builds(
    Facts,
    time=instants,
    subject=st.builds(SubjectFacts, acr=st.none() | texts, amr=st.none() | st.tuples(texts, texts), auth_age_s=numbers),
    action=st.builds(ActionFacts, name=texts, amount=st.none() | numbers, path_obfuscated=st.none() | st.booleans()),
    attributes=attributes,
    down=st.lists(texts, max_size=3).map(tuple),
)
decisions = st.builds(
    DecisionRecord,
    decision_id=texts,
    evaluated_at=instants,
    facts=all_facts,
    vector=st.lists(st.none() | numbers, max_size=80).map(tuple),
    feature_schema=texts,
    catalogue=texts,
    hits=st.dictionaries(texts, numbers, max_size=5),
    score=numbers,
    score_range=st.tuples(numbers, numbers),
    outcome=st.sampled_from(("allow", "step_up", "deny")),
    reasons=st.lists(st.tuples(texts, numbers), max_size=5).map(tuple),
    policy_revision=texts,
)
outcomes = st.builds(
    OutcomeRecord,
    decision_id=texts,
    recorded_at=instants,
    at=instants,
    outcome=st.sampled_from(Reported),
    source=st.sampled_from(("reported", "evidence", "matured")),
    amr=st.none() | st.lists(texts, max_size=3).map(tuple),
)


@given(decisions | outcomes)
def test_every_record_comes_back_as_it_was(record: DecisionRecord | OutcomeRecord) -> None:
    """What is read is what was written, and writes the same bytes again: floats, -0.0 and number types included."""
    line = encode(record)
    again = decode(line)
    assert again == record
    assert encode(again) == line
    assert b"\n" not in line


def test_a_full_decision_comes_back(decision: Callable[..., DecisionRecord]) -> None:
    """History, counts and vector of a whole decision survive, in at most 3 KB."""
    record = decision()
    line = encode(record)
    assert decode(line) == record
    assert len(line) <= 3_072
    assert line.startswith(b'{"record":"decision","v":1,')


def test_an_outcome_comes_back(outcome: Callable[..., OutcomeRecord]) -> None:
    """An outcome is written in well under 1 KB and read as the same."""
    record = outcome()
    assert decode(encode(record)) == record
    assert len(encode(record)) <= 500


def test_the_version_is_in_the_line_and_another_one_is_refused(decision: Callable[..., DecisionRecord]) -> None:
    """A record of a version that this release does not know is named as such, not as damaged."""
    line = encode(decision()).replace(b'"v":1', b'"v":2')
    with pytest.raises(LineError) as caught:
        decode(line)
    assert caught.value.reason == "version"


def test_an_unknown_field_is_refused(decision: Callable[..., DecisionRecord]) -> None:
    """Decoding is strict: a field that version 1 does not have is damage."""
    with pytest.raises(LineError) as caught:
        decode(encode(decision()).replace(b'"v":1', b'"v":1,"admin":true'))
    assert caught.value.reason == "damaged"


def test_a_time_without_offset_is_refused(decision: Callable[..., DecisionRecord]) -> None:
    """A naive time would be compared with aware ones later; it is refused at the door, in facts too."""
    record = decision()
    naive = encode(replace(record, facts=replace(record.facts, time=datetime(2026, 3, 7))))  # noqa: DTZ001
    for line in (
        naive,
        encode(record).replace(b'"evaluated_at":"2026-03-07T12:00:00Z"', b'"evaluated_at":"2026-03-07T12:00:00"'),
    ):
        with pytest.raises(LineError):
            decode(line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "damaged"),
        (b"null", "damaged"),
        (b"{}", "damaged"),
        (b'{"v":1}', "damaged"),
        (b'{"v":"1","record":"decision"}', "damaged"),
        (b'{"v":1,"record":"other"}', "damaged"),
        (b"[" * 60_000, "damaged"),
        (b'{"a":' * 10_000, "damaged"),
        (b"\xff\xfe", "damaged"),
        (b'{"record":"outcome","v":1,"decision_id":"\xff"}', "damaged"),
        (b'{"record":"outcome","v":1,"decision_id":"\\ud800"}', "damaged"),
        (b'{"record":"outcome","v":1e999}', "damaged"),
        (b'{"record":"outcome","v":' + b"9" * 5_000 + b"}", "damaged"),
        (b"\x00" * 100, "damaged"),
        (b" " * (MAX_LINE + 1), "too_long"),
    ],
)
def test_a_hostile_line_is_refused_with_a_reason(line: bytes, reason: str) -> None:
    """Whatever stands on a line, the answer is LineError with one of three words."""
    with pytest.raises(LineError) as caught:
        decode(line)
    assert caught.value.reason == reason


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(line: bytes) -> None:
    """No bytes crash the decoder."""
    with pytest.raises(LineError):
        decode(line)
