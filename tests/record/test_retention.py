"""Compressing and deleting, beside a writer at work."""

import fcntl
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from riskd.record.files import log_files
from riskd.record.reader import find, read
from riskd.record.retention import tend
from riskd.record.schema import DecisionRecord
from riskd.record.writer import Writer

Make = Callable[..., DecisionRecord]


def test_closed_files_are_compressed_and_read_as_before(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """Everything but the file that is written to shrinks, for its owner only; reading and finding see no difference."""
    writer = Writer(tmp_path, max_bytes=30_000)
    records = [decision(noon + timedelta(seconds=n), n) for n in range(40)]
    for record in records:
        writer.append(record)
    tended = tend(tmp_path, now=noon, keep=None)
    assert tended.compressed == len(list(tmp_path.glob("*.jsonl.gz"))) > 2
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in tmp_path.iterdir())
    writer.append(decision(noon + timedelta(seconds=40), 40))
    assert [record.decision_id for record in read(tmp_path)][:40] == [record.decision_id for record in records]
    assert find(tmp_path, records[0].decision_id) == records[0]
    writer.close()
    left = len(list(tmp_path.glob("*.jsonl")))
    assert tend(tmp_path, now=noon, keep=None) == (left, 0, 0)
    assert not list(tmp_path.glob("*.jsonl"))
    assert tend(tmp_path, now=noon, keep=None) == (0, 0, 0)


def test_old_files_are_deleted_when_all_in_them_is_old(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """Retention by days deletes plain and compressed files, never one that may hold a younger record or is open."""
    for day in range(4):
        writer = Writer(tmp_path)
        writer.append(decision(noon + timedelta(days=day)))
        writer.close()
    tend(tmp_path, now=noon, keep=None)
    at_work = Writer(tmp_path)
    at_work.append(decision(noon, 9))
    now = noon + timedelta(days=4, hours=1)
    assert tend(tmp_path, now=now, keep=timedelta(days=2)).removed == 2
    assert [record.when for record in read(tmp_path)] == [noon, noon + timedelta(days=2), noon + timedelta(days=3)]
    at_work.close()
    assert tend(tmp_path, now=now, keep=timedelta(days=2)).removed == 1


def test_a_compressing_that_was_killed_is_done_again(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """A half archive is replaced, a whole one beside its plain file is not read twice, and deleting takes both."""
    writer = Writer(tmp_path)
    writer.append(decision(noon))
    writer.close()
    (file,) = log_files(tmp_path)
    file.path.with_name(file.path.name + ".part").write_bytes(b"half")
    file.path.with_name(file.path.name + ".gz").write_bytes(b"stale")
    assert len(list(read(tmp_path))) == 1
    assert tend(tmp_path, now=noon, keep=None).compressed == 1
    assert [path.suffix for path in tmp_path.iterdir()] == [".gz"]
    assert len(list(read(tmp_path))) == 1
    file.path.write_bytes(b"")
    assert tend(tmp_path, now=noon + timedelta(days=9), keep=timedelta(days=1)).removed == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_compressed_stops_nothing(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """One file that fails is counted and kept, the others are tended."""
    for day in range(2):
        writer = Writer(tmp_path)
        writer.append(decision(noon + timedelta(days=day)))
        writer.close()
    first = log_files(tmp_path)[0].path
    first.with_name(first.name + ".part").mkdir()
    assert tend(tmp_path, now=noon, keep=None) == (1, 0, 1)
    assert len(list(read(tmp_path))) == 2


def test_a_file_taken_while_it_is_made_costs_no_record(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """Where tidying up holds the new file's lock, the writer takes the next name."""
    name = tmp_path / f"riskd-20260307T120000Z-{os.getpid()}-0.jsonl"
    writer = Writer(tmp_path)
    real = os.open

    def open_and_lock(path: Path, *rest: int) -> int:
        descriptor = real(path, *rest)
        if path == name:
            fcntl.flock(holders.append(real(path, os.O_RDONLY)) or holders[0], fcntl.LOCK_EX)  # type: ignore[func-returns-value]
        return descriptor

    holders: list[int] = []
    os.open = open_and_lock  # type: ignore[assignment]
    try:
        writer.append(decision(noon))
    finally:
        os.open = real
        os.close(holders[0])
    writer.close()
    assert writer.written == 1
    assert len(list(read(tmp_path))) == 1
