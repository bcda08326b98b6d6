"""The reader: order, spans, and what cannot be read."""

import gzip
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from riskd.record.files import log_file
from riskd.record.reader import ReadReport, find, read
from riskd.record.schema import DecisionRecord, OutcomeRecord, encode

MakeDecision = Callable[..., DecisionRecord]
MakeOutcome = Callable[..., OutcomeRecord]


def write(path: Path, *records: DecisionRecord | OutcomeRecord) -> Path:
    """Write records as lines, compressed when the name says so."""
    text = b"".join(encode(record) + b"\n" for record in records)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def test_files_of_several_processes_are_merged_by_time(
    tmp_path: Path, decision: MakeDecision, outcome: MakeOutcome, noon: datetime
) -> None:
    """Decisions and outcomes of three processes, one compressed, come in the order of time."""
    at = [noon + timedelta(seconds=n) for n in range(9)]
    write(tmp_path / "riskd-20260307T120000Z-7-0.jsonl", *(decision(at[n], n) for n in (0, 3, 6)))
    write(tmp_path / "riskd-20260307T120000Z-8-0.jsonl.gz", *(decision(at[n], n) for n in (1, 4, 7)))
    write(tmp_path / "riskd-20260307T120002Z-9-0.jsonl", *(outcome(at[n], n) for n in (2, 5, 8)))
    assert [record.when for record in read(tmp_path)] == at


def test_lines_slightly_out_of_order_are_put_in_order(tmp_path: Path, decision: MakeDecision, noon: datetime) -> None:
    """A process writes decisions as they end, not as they began: they are sorted, across a rotation too."""
    order = [n ^ 63 for n in range(1_000)]  # each block of 64 backwards
    records = [decision(noon + timedelta(milliseconds=n), n) for n in order]
    write(tmp_path / "riskd-20260307T120000Z-7-0.jsonl", *records[:480])
    write(tmp_path / "riskd-20260307T120000Z-7-1.jsonl", *records[480:])
    assert list(read(tmp_path)) == sorted(records, key=lambda record: record.when)


def test_a_span_yields_what_is_inside_only(tmp_path: Path, decision: MakeDecision, noon: datetime) -> None:
    """`since` is inside, `until` is not; files of other days are not even opened."""
    for day in range(5):
        start = noon + timedelta(days=2 * day)
        write(
            tmp_path / f"riskd-{start:%Y%m%dT%H%M%SZ}-7-0.jsonl",
            *(decision(start + timedelta(minutes=minute), minute) for minute in range(10)),
        )
    since = noon + timedelta(days=4, minutes=3)
    report = ReadReport()
    found = list(read(tmp_path, since=since, until=since + timedelta(minutes=4), report=report))
    assert [record.when for record in found] == [since + timedelta(minutes=n) for n in range(4)]
    assert report.records == 10


def test_files_are_opened_one_after_the_other(tmp_path: Path, decision: MakeDecision, noon: datetime) -> None:
    """Reading is lazy: the first record of a long log comes without a look at its later files."""
    for hour in range(50):
        start = noon + timedelta(hours=hour)
        write(tmp_path / f"riskd-{start:%Y%m%dT%H%M%SZ}-7-{hour}.jsonl", decision(start, hour))
    report = ReadReport()
    records = read(tmp_path, report=report)
    assert next(records).when == noon
    assert report.records == 1
    assert len(list(records)) == 49


def test_single_files_of_any_name_are_read(tmp_path: Path, decision: MakeDecision, noon: datetime) -> None:
    """A log that someone renamed is read all the same, plain and compressed, whatever the span."""
    one = write(tmp_path / "march.jsonl", decision(noon, 1))
    two = write(tmp_path / "april.jsonl.gz", decision(noon + timedelta(days=30), 2))
    assert [record.decision_id[-1] for record in read([two, one], since=noon)] == ["1", "2"]
    assert len(list(read(one))) == 1


def test_what_cannot_be_read_is_counted_by_reason(tmp_path: Path, decision: MakeDecision, noon: datetime) -> None:
    """Damage costs the damaged lines only, and each is counted under its reason."""
    good = [encode(decision(noon + timedelta(seconds=n), n)) for n in range(4)]
    lines = [
        good[0],
        b"\x00\xff garbage",
        good[1].replace(b'"v":1', b'"v":9'),
        b'"' + b"x" * 200_000 + b'"',
        good[1],
        b"",
        b"[" * 65_000,
        good[2],
    ]
    text = b"\n".join(lines) + b"\n" + good[3][:700]
    (tmp_path / "riskd-20260307T120000Z-7-0.jsonl").write_bytes(text)
    report = ReadReport()
    assert [record.decision_id[-1] for record in read(tmp_path, report=report)] == ["0", "1", "2"]
    assert report.records == 3
    assert report.refused == {"damaged": 3, "version": 1, "too_long": 1, "torn": 1}


def test_a_damaged_archive_yields_what_came_before(tmp_path: Path, decision: MakeDecision, noon: datetime) -> None:
    """A compressed file cut short or overwritten is given up where it breaks, the others are read."""
    records = [decision(noon + timedelta(seconds=n), n, request_id=f"h:{n * 7919:x}") for n in range(400)]
    whole = gzip.compress(b"".join(encode(record) + b"\n" for record in records))
    (tmp_path / "riskd-20260307T120000Z-7-0.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "riskd-20260307T120000Z-7-1.jsonl.gz").write_bytes(b"no archive")
    middle = len(whole) // 2
    (tmp_path / "riskd-20260307T120000Z-7-2.jsonl.gz").write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    write(tmp_path / "riskd-20260307T130000Z-7-3.jsonl", decision(noon + timedelta(hours=1), 9_999))
    report = ReadReport()
    found = list(read(tmp_path, report=report))
    assert found[-1].when == noon + timedelta(hours=1)
    assert 2 < len(found) < 802
    assert report.refused["unreadable"] == 3


def test_an_endless_line_is_passed_over(tmp_path: Path, decision: MakeDecision, noon: datetime) -> None:
    """A last line beyond the limit that never ends costs neither memory nor the lines before it."""
    file = write(tmp_path / "riskd-20260307T120000Z-7-0.jsonl", decision(noon))
    with file.open("ab") as stream:
        stream.write(b"x" * 1_000_000)
    report = ReadReport()
    assert len(list(read(tmp_path, report=report))) == 1
    assert report.refused == {"too_long": 1}
    assert list(read(tmp_path / "no folder")) == []


def test_a_missing_folder_and_a_missing_file_are_empty(tmp_path: Path) -> None:
    """No log yet is no error; a file that went away is counted."""
    report = ReadReport()
    assert list(read(tmp_path, report=report)) == []
    assert list(read([tmp_path / "riskd-20260307T120000Z-7-0.jsonl"], report=report)) == []
    assert report.refused == {"unreadable": 1}


def test_a_decision_is_found_by_its_id(
    tmp_path: Path, decision: MakeDecision, outcome: MakeOutcome, noon: datetime
) -> None:
    """The decision is returned, not an outcome or another record that names it; an unknown id gives None."""
    wanted = decision(noon + timedelta(hours=30), 5)
    naming = outcome(noon + timedelta(hours=30), decision_id=wanted.decision_id)
    write(tmp_path / "riskd-20260307T120000Z-7-0.jsonl.gz", decision(noon, 5))
    write(tmp_path / "riskd-20260308T100000Z-7-1.jsonl.gz", naming, decision(noon + timedelta(hours=22), 6), wanted)
    write(tmp_path / "riskd-20260309T100000Z-7-2.jsonl", decision(noon + timedelta(hours=46), 5))
    assert find(tmp_path, wanted.decision_id) == wanted
    broken = b'{"broken":"' + wanted.decision_id.encode() + b'"}\n'
    (tmp_path / "riskd-20260308T110000Z-7-3.jsonl").write_bytes(broken)
    assert find(tmp_path, wanted.decision_id) == wanted
    assert find(tmp_path, decision(noon, 77).decision_id) is None


@pytest.mark.parametrize("decision_id", ["", "x", "../../etc/passwd", "00000000-0000-4000-8000-000000000000", "f" * 32])
def test_what_is_no_uuid7_is_not_found(tmp_path: Path, decision_id: str) -> None:
    """A text that is no UUIDv7, or one of an impossible time, gives None."""
    assert find(tmp_path, decision_id) is None
    assert find(tmp_path, "ffffffff-ffff-7fff-bfff-ffffffffffff") is None


@pytest.mark.parametrize(
    "name", ["riskd-20260231T120000Z-1-0.jsonl", "riskd.jsonl", "riskd-20260307T120000Z-1-0.jsonl.gz.part", "notes.txt"]
)
def test_other_files_in_the_folder_are_left_alone(tmp_path: Path, name: str) -> None:
    """Only names that the writer gives are log files."""
    assert log_file(tmp_path / name) is None
