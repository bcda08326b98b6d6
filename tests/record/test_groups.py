"""Groups of records: one write for all, and the exact fate of each (fault case 27)."""

import errno
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from riskd.errors import RecordUnavailable
from riskd.metrics import Metrics
from riskd.record.reader import ReadReport, read
from riskd.record.schema import DecisionRecord, encode
from riskd.record.writer import Writer
from tests.record.disks import file_size_limit

Make = Callable[..., DecisionRecord]
Records = Callable[[int], list[DecisionRecord]]


@pytest.fixture
def records(decision: Make, noon: datetime) -> Records:
    """Return a maker of so many records, numbered in the last digit of their ids."""
    return lambda many: [decision(noon + timedelta(milliseconds=n), n) for n in range(many)]


def numbers(directory: Path, report: ReadReport | None = None) -> list[int]:
    """Return the numbers of the records in the log."""
    return [int(record.decision_id[-4:], 16) for record in read(directory, report=report)]


def test_a_group_is_one_write(tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group reaches the file as the same lines would one by one, and costs one write and one look at the file."""
    calls: list[str] = []
    for name in ("write", "fstat"):
        real = getattr(os, name)

        def counted(*given: object, name: str = name, real: Callable[..., object] = real) -> object:
            calls.append(name)
            return real(*given)

        monkeypatch.setattr(os, name, counted)
    writer = Writer(tmp_path)
    first, *rest = records(9)
    assert writer.append_all([first]) == [None]
    assert writer.append_all(rest) == [None] * 8
    monkeypatch.undo()
    assert calls == ["write", "fstat"] * 2
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == b"".join(encode(record) + b"\n" for record in records(9))
    assert (writer.accepted, writer.written, writer.dropped, writer.failing) == (9, 9, 0, False)
    writer.close()


@pytest.mark.parametrize(("max_bytes", "files"), [(10_000, 50), (10**6, 4)])
def test_files_are_rotated_within_a_group(
    tmp_path: Path, decision: Make, noon: datetime, max_bytes: int, files: int
) -> None:
    """A group that does not fit into the open file, in bytes or in time, ends up in several, each within its limits."""
    writer = Writer(tmp_path, max_bytes=max_bytes, max_age=timedelta(hours=1))
    for start in range(0, 140, 7):
        group = [decision(noon + timedelta(minutes=n), n) for n in range(start, start + 7)]
        assert writer.append_all(group) == [None] * 7
    writer.append_all([decision(noon + timedelta(days=1, seconds=n), 140 + n) for n in range(3)])
    writer.close()
    assert sorted(numbers(tmp_path)) == list(range(143))
    found = list(tmp_path.iterdir())
    assert len(found) <= files
    assert all(file.stat().st_size <= max_bytes for file in found)
    assert (writer.accepted, writer.written) == (143, 143)


def test_limits_may_change(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """New limits hold for the open file too, and wrong ones change nothing."""
    writer = Writer(tmp_path, max_age=timedelta(hours=1))
    writer.append(decision(noon, 0))
    writer.rotate(10**6, timedelta(minutes=10))
    with pytest.raises(ValueError, match="max_age"):
        writer.rotate(10**6, timedelta(hours=25))
    writer.append_all([decision(noon + timedelta(minutes=minute), minute) for minute in (9, 11, 20)])
    writer.close()
    assert sorted(file.name[6:22] for file in tmp_path.iterdir()) == ["20260307T120000Z", "20260307T121100Z"]


@pytest.mark.parametrize("on_failure", ["refuse", "count"])
def test_27_what_cannot_be_written_is_lost_alone(
    tmp_path: Path, records: Records, decision: Make, on_failure: str
) -> None:
    """A record that JSON cannot hold or that is too long costs nobody else anything."""
    metrics = Metrics()
    writer = Writer(tmp_path, on_failure=on_failure, metrics=metrics)  # type: ignore[arg-type]
    good = records(7)
    writer.append_all(good[:1])
    bad = [decision(caller=caller) for caller in ("x" * 70_000, "\ud800", object())]
    answers = writer.append_all([good[1], bad[0], good[2], bad[1], good[3]])
    assert [isinstance(answer, RecordUnavailable) for answer in answers] == [
        on_failure == "refuse" and lost for lost in (False, True, False, True, False)
    ]
    assert not writer.failing
    writer.append_all([good[4], bad[2]])
    assert writer.failing
    writer.append_all([good[5], bad[0], good[6]])
    writer.close()
    assert numbers(tmp_path) == [0, 1, 2, 3, 4, 5, 6]
    assert (writer.accepted, writer.written, writer.dropped) == (11, 7, 4)
    assert (metrics.record_failures.at("emsgsize").value, metrics.record_failures.at("encoding").value) == (2, 2)


def test_27_no_memory_for_a_line(tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """Want of memory costs records as a full disk does, with a counter of its own."""
    metrics = Metrics()
    writer = Writer(tmp_path, on_failure="count", metrics=metrics)

    def refuse(_: object) -> bytes:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("riskd.record.log.encode_lines", refuse)
        assert writer.append_all(records(3)) == [None] * 3
    writer.append_all(records(2))
    writer.close()
    assert (writer.accepted, writer.written, writer.dropped) == (5, 2, 3)
    assert metrics.record_failures.at("enomem").value == 3


def test_a_group_longer_than_the_longest_line(tmp_path: Path, records: Records) -> None:
    """The longest line bounds lines, not groups."""
    writer = Writer(tmp_path)
    assert writer.append_all(records(200)) == [None] * 200
    assert writer.append_all(records(200)) == [None] * 200
    writer.close()
    assert sorted(numbers(tmp_path)) == sorted([*range(200)] * 2)


@pytest.mark.parametrize("on_failure", ["refuse", "count"])
def test_27_a_disk_that_fills_up_within_a_group(tmp_path: Path, records: Records, on_failure: str) -> None:
    """Those who still found room are in the log, the others are lost and told, and no half line stays."""
    metrics = Metrics()
    writer = Writer(tmp_path, on_failure=on_failure, metrics=metrics)  # type: ignore[arg-type]
    group = records(9)
    writer.append_all(group[:1])
    line = len(encode(group[1])) + 1
    with file_size_limit(3 * line + 100):
        answers = writer.append_all(group[1:6])
        assert writer.failing
    assert [answer is not None for answer in answers] == [on_failure == "refuse" and n >= 2 for n in range(5)]
    assert writer.append_all(group[6:]) == [None] * 3
    writer.close()
    report = ReadReport()
    assert numbers(tmp_path, report) == [0, 1, 2, 6, 7, 8]
    assert not report.refused
    assert (writer.accepted, writer.written, writer.dropped) == (9, 6, 3)
    assert metrics.record_failures.at("efbig").value == 3


def test_27_a_half_line_that_stays_doubles_nobody(
    tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the half line of a group cannot be cut off, the records before it are not written a second time."""
    writer = Writer(tmp_path, on_failure="count")
    group = records(6)
    writer.append_all(group[:1])
    line = len(encode(group[1])) + 1

    def refuse(*_: int) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "ftruncate", refuse)
    with file_size_limit(3 * line + 100):
        writer.append_all(group[1:])
    writer.close()
    report = ReadReport()
    assert numbers(tmp_path, report) == list(range(6))
    assert report.refused == {"torn": 1}
    assert (writer.accepted, writer.written, writer.dropped) == (6, 6, 0)


def test_27_a_deleted_file_loses_no_group(tmp_path: Path, records: Records) -> None:
    """A group that went into a deleted file is written again, to a new one."""
    writer = Writer(tmp_path)
    group = records(8)
    writer.append_all(group[:2])
    for file in tmp_path.iterdir():
        file.unlink()
    assert writer.append_all(group[2:]) == [None] * 6
    writer.close()
    assert numbers(tmp_path) == list(range(2, 8))
    assert (writer.accepted, writer.written) == (8, 8)


def test_27_deleted_to_make_room(tmp_path: Path, records: Records) -> None:
    """When the log is deleted because the disk is full, its room is given back and no line in it counts as written."""
    writer = Writer(tmp_path, on_failure="count")
    group = records(9)
    writer.append_all(group[:2])
    line = len(encode(group[1])) + 1
    for file in tmp_path.iterdir():
        file.unlink()
    with file_size_limit(4 * line + 100):  # the deleted file has room for two more, a new one for four
        writer.append_all(group[2:8])
    assert writer.append_all(group[8:]) == [None]
    writer.close()
    assert numbers(tmp_path) == [2, 3, 4, 5, 8]
    assert (writer.accepted, writer.written, writer.dropped) == (9, 7, 2)
