"""The writer, on real files and real failures of them (fault case 27)."""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path

import pytest

from riskd.errors import RecordUnavailable
from riskd.metrics import Metrics
from riskd.record.reader import ReadReport, find, read
from riskd.record.schema import DecisionRecord
from riskd.record.writer import Writer
from tests.record.disks import file_size_limit

Make = Callable[..., DecisionRecord]


def plain_files(directory: Path) -> list[Path]:
    """Return the log files, in the order of their names."""
    return sorted(directory.glob("riskd-*.jsonl"))


def check_sum(writer: Writer, *, written: int, dropped: int) -> None:
    """Hold the law: accepted = written + dropped, exactly."""
    assert (writer.written, writer.dropped) == (written, dropped)
    assert writer.accepted == written + dropped


def test_a_record_is_on_disk_when_append_returns(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """Nothing is buffered: another reader sees the record at once; only the owner may read the file."""
    writer = Writer(tmp_path / "log")
    record = decision(noon)
    writer.append(record)
    (file,) = plain_files(tmp_path / "log")
    assert file.name == f"riskd-20260307T120000Z-{os.getpid()}-0.jsonl"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert list(read(tmp_path / "log")) == [record]
    check_sum(writer, written=1, dropped=0)
    writer.close()
    writer.close()


def test_files_are_rotated_by_size(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """No file grows beyond max_bytes, and no record is lost between two."""
    writer = Writer(tmp_path, max_bytes=10_000)
    records = [decision(noon + timedelta(milliseconds=n), n) for n in range(20)]
    for record in records:
        writer.append(record)
    writer.close()
    assert len(plain_files(tmp_path)) > 3
    assert all(file.stat().st_size <= 10_000 for file in plain_files(tmp_path))
    assert list(read(tmp_path)) == records


def test_files_are_rotated_by_age(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """A record later than max_age, or far before the file began, opens a new file."""
    writer = Writer(tmp_path, max_age=timedelta(minutes=10))
    minutes = (0, 9, 10, 19.9, 30, 20)
    for minute in minutes:
        writer.append(decision(noon + timedelta(minutes=minute)))
    writer.close()
    assert [file.name[6:22] for file in plain_files(tmp_path)] == [
        "20260307T120000Z",
        "20260307T121000Z",
        "20260307T122000Z",
        "20260307T123000Z",
    ]


@pytest.mark.parametrize("age", [timedelta(0), timedelta(hours=25)])
def test_an_age_outside_a_day_is_refused(tmp_path: Path, age: timedelta) -> None:
    """The reader relies on a file's span, so the writer refuses a longer one."""
    with pytest.raises(ValueError, match="max_age"):
        Writer(tmp_path, max_age=age)


def test_a_name_that_is_taken_is_passed_over(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """A file of an earlier process with the same id is never appended to."""
    (tmp_path / f"riskd-20260307T120000Z-{os.getpid()}-0.jsonl").write_text("before\n")
    writer = Writer(tmp_path)
    writer.append(decision(noon))
    writer.close()
    assert [file.name[-7] for file in plain_files(tmp_path)] == ["0", "1"]
    assert plain_files(tmp_path)[0].read_text() == "before\n"


def test_27_a_full_disk_refuses(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """`refuse`: the caller learns of it, the loss is counted by kind, and room lets it go on by itself."""
    metrics = Metrics()
    writer = Writer(tmp_path, on_failure="refuse", metrics=metrics)
    writer.append(decision(noon, 1))
    with file_size_limit(plain_files(tmp_path)[0].stat().st_size + 100):
        for number in (2, 3):
            with pytest.raises(RecordUnavailable, match="File too large"):
                writer.append(decision(noon, number))
        assert writer.failing
    writer.append(decision(noon, 4))
    assert not writer.failing
    writer.close()
    check_sum(writer, written=2, dropped=2)
    assert metrics.record_failures.at("efbig").value == 2
    assert [record.decision_id[-1] for record in read(tmp_path)] == ["1", "4"]


def test_27_a_full_disk_is_counted(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """`count`: nothing is raised, written and dropped add up, nothing is held back and no heap of files is left."""
    writer = Writer(tmp_path, on_failure="count")
    writer.append(decision(noon, 1))
    with file_size_limit(plain_files(tmp_path)[0].stat().st_size + 100):
        for number in range(1_000):
            writer.append(decision(noon, number))
    writer.append(decision(noon, 2))
    writer.close()
    check_sum(writer, written=2, dropped=1_000)
    assert len(list(read(tmp_path))) == 2
    assert len(plain_files(tmp_path)) == 1


def test_27_no_space_left(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """ENOSPC from a device that cannot be truncated either: counted, and the next record begins a new file."""
    metrics = Metrics()
    writer = Writer(tmp_path, on_failure="count", metrics=metrics)
    writer.append(decision(noon, 1))
    assert writer._log._fd is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, writer._log._fd)
    os.close(full)
    writer.append(decision(noon, 2))
    writer.append(decision(noon, 3))
    writer.close()
    check_sum(writer, written=2, dropped=1)
    assert metrics.record_failures.at("enospc").value == 1
    assert [record.decision_id[-1] for record in read(tmp_path)] == ["1", "3"]


def test_27_a_partial_write_leaves_no_half_line(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """A write that the kernel cuts short is taken back, so that the next line stays readable."""
    writer = Writer(tmp_path, on_failure="count")
    writer.append(decision(noon, 1))
    size = plain_files(tmp_path)[0].stat().st_size
    with file_size_limit(size + 100):
        writer.append(decision(noon, 2))
    assert plain_files(tmp_path)[0].stat().st_size == size
    writer.append(decision(noon, 3))
    writer.close()
    check_sum(writer, written=2, dropped=1)
    report = ReadReport()
    assert [record.decision_id[-1] for record in read(tmp_path, report=report)] == ["1", "3"]
    assert not report.refused


def test_27_a_half_line_that_stays_ends_its_file(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """Where the half line cannot be cut off, the next record begins a new file and the reader counts one torn line."""
    os.mkfifo(tmp_path / "pipe")
    writer = Writer(tmp_path, on_failure="count")
    writer.append(decision(noon, 1))
    assert writer._log._fd is not None
    os.write(writer._log._fd, b'{"record":"decision","v":1,"decis')
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    broken = os.open(tmp_path / "pipe", os.O_WRONLY)
    os.close(reading)
    os.dup2(broken, writer._log._fd)  # a pipe without a reader: write gives EPIPE, and it cannot be truncated
    os.close(broken)
    writer.append(decision(noon, 2))
    writer.append(decision(noon, 3))
    writer.close()
    check_sum(writer, written=2, dropped=1)
    report = ReadReport()
    assert [record.decision_id[-1] for record in read(tmp_path, report=report)] == ["1", "3"]
    assert report.refused == {"torn": 1}


def test_27_a_removed_folder_is_made_again(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """A log that is deleted under the writer is noticed with the very next record, which lands in a new file."""
    log = tmp_path / "deep" / "log"
    writer = Writer(log, on_failure="refuse")
    writer.append(decision(noon, 1))
    shutil.rmtree(tmp_path / "deep")
    writer.append(decision(noon, 2))
    writer.append(decision(noon, 3))
    writer.close()
    assert [record.decision_id[-1] for record in read(log)] == ["2", "3"]
    check_sum(writer, written=3, dropped=0)


def test_27_a_folder_that_cannot_be_made_is_counted(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """While something else stands in the folder's place every record is lost and counted; then it goes on."""
    log = tmp_path / "log"
    writer = Writer(log, on_failure="count")
    writer.append(decision(noon, 1))
    shutil.rmtree(log)
    log.write_text("in the way")
    for number in (2, 3, 4):
        writer.append(decision(noon, number))
    log.unlink()
    writer.append(decision(noon, 5))
    writer.close()
    check_sum(writer, written=2, dropped=3)
    assert [record.decision_id[-1] for record in read(log)] == ["5"]


def test_27_a_folder_that_is_emptied_again_and_again(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """A file that is deleted before its first record is safe counts as a loss, never as written."""
    writer = Writer(tmp_path, on_failure="count")
    writer.append(decision(noon, 1))
    opened = writer._log._open

    def open_and_delete(when: datetime) -> int:
        descriptor = opened(when)
        for file in plain_files(tmp_path):
            file.unlink()
        return descriptor

    writer._log._open = open_and_delete  # type: ignore[method-assign]
    plain_files(tmp_path)[0].unlink()
    writer.append(decision(noon, 2))
    writer._log._open = opened  # type: ignore[method-assign]
    writer.append(decision(noon, 3))
    writer.close()
    check_sum(writer, written=2, dropped=1)
    assert [record.decision_id[-1] for record in read(tmp_path)] == ["3"]


def test_27_a_file_system_without_locks_is_counted(
    tmp_path: Path, decision: Make, noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where files cannot be locked the record is refused with that reason, and no empty files pile up."""
    metrics = Metrics()
    writer = Writer(tmp_path, on_failure="count", metrics=metrics)

    def no_locks(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    writer.append(decision(noon))
    check_sum(writer, written=0, dropped=1)
    assert metrics.record_failures.at("enolck").value == 1
    assert plain_files(tmp_path) == []


def test_27_a_read_only_folder_is_counted(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """A folder without write permission loses records with a counter; one that is writable again takes them."""
    log = tmp_path / "log"
    log.mkdir()
    metrics = Metrics()
    writer = Writer(log, on_failure="count", metrics=metrics)
    read_only = os.open(log, os.O_RDONLY)
    uid = os.geteuid()
    try:
        if uid == 0:  # root writes anywhere; become nobody for a while
            shutil.chown(log, 65534)
            ours = takewhile(lambda folder: folder.name.startswith(("pytest-", "popen-")), tmp_path.parents)
            for folder in (tmp_path, *ours):
                folder.chmod(0o755)
            os.seteuid(65534)
        os.fchmod(read_only, 0o500)
        writer.append(decision(noon, 1))
        writer.append(decision(noon, 2))
        os.fchmod(read_only, 0o700)
        writer.append(decision(noon, 3))
    finally:
        os.seteuid(uid)
        os.close(read_only)
    writer.close()
    check_sum(writer, written=1, dropped=2)
    assert metrics.record_failures.at("eacces").value == 2


def test_a_record_too_long_or_unwritable_is_a_loss(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """What the reader would refuse is never written: it is refused here, and counted."""
    writer = Writer(tmp_path, on_failure="count")
    for caller in ("x" * 70_000, "\ud800", object()):
        writer.append(decision(noon, caller=caller))
    with suppress(RecordUnavailable):
        Writer(tmp_path, on_failure="refuse").append(decision(noon, caller="\ud800"))
    writer.append(decision(noon, 7))
    writer.close()
    check_sum(writer, written=1, dropped=3)
    assert len(list(read(tmp_path))) == 1
    assert writer._failures.at(errno.errorcode[errno.EMSGSIZE].lower()).value == 1
    assert writer._failures.at("encoding").value == 2


def test_a_decision_just_written_is_found(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """`explain` may ask for a decision while its file is still being written."""
    writer = Writer(tmp_path)
    records = [decision(noon + timedelta(seconds=n), n) for n in range(5)]
    for record in records:
        writer.append(record)
    assert find(tmp_path, records[3].decision_id) == records[3]
    writer.close()
