"""Several processes at one log, and processes that are killed (fault case 28)."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from riskd.record.reader import ReadReport, read
from riskd.record.retention import tend
from riskd.record.schema import DecisionRecord, encode

Make = Callable[..., DecisionRecord]

ANSWERER = """
import os, sys
from datetime import timedelta
from pathlib import Path
from msgspec.structs import replace
from riskd.record.schema import decode
from riskd.record.writer import Writer

directory, count, first = Path(sys.argv[1]), int(sys.argv[2]), decode(sys.stdin.buffer.read())
writer = Writer(directory, max_bytes=200_000)
for number in range(count):
    when = first.evaluated_at + timedelta(milliseconds=number)
    writer.append(replace(first, evaluated_at=when, request_id=f"{os.getpid()}-{number}"))
    os.write(1, b"%d-%d\\n" % (os.getpid(), number))
"""


def start(directory: Path, count: int, first: DecisionRecord) -> subprocess.Popen[bytes]:
    """Start a process that records `count` decisions and says each one's request id once it is recorded."""
    process = subprocess.Popen(
        [sys.executable, "-c", ANSWERER, str(directory), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    process.stdin.write(encode(first))
    process.stdin.close()
    return process


def test_28_a_killed_process_loses_no_answered_decision(tmp_path: Path, decision: Make) -> None:
    """In full swing, every answered decision is in the log, and at most one line is torn."""
    process = start(tmp_path, 10**9, decision())
    assert process.stdout is not None
    answered = [process.stdout.readline() for _ in range(3_000)]
    process.send_signal(signal.SIGKILL)
    answered += process.stdout.read().splitlines(keepends=True)
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    report = ReadReport()
    recorded = {record.request_id for record in read(tmp_path, report=report) if isinstance(record, DecisionRecord)}
    whole = {line.decode().strip() for line in answered if line.endswith(b"\n")}
    assert len(whole) >= 3_000
    assert whole <= recorded
    assert len(recorded) - len(whole) <= 1
    assert report.refused.total() == report.refused["torn"] <= 1
    # The lock went with the process: its last file is a closed one now.
    tend(tmp_path, now=decision().evaluated_at, keep=None)
    assert not list(tmp_path.glob("*.jsonl"))
    assert len(list(read(tmp_path))) == len(recorded)


def test_four_processes_and_one_that_tidies_up(tmp_path: Path, decision: Make, noon: datetime) -> None:
    """Four processes write while a fifth compresses: every record is there once, whole and in order."""
    done = threading.Event()

    def tidy() -> None:
        while not done.is_set():
            tend(tmp_path, now=noon, keep=None)

    tidying = threading.Thread(target=tidy)
    tidying.start()
    processes = [start(tmp_path, 500, decision()) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert len(process.stdout.read().splitlines()) == 500
        process.stdout.close()
        assert process.wait() == 0
    done.set()
    tidying.join()
    report = ReadReport()
    records = list(read(tmp_path, report=report))
    assert not report.refused
    expected = {f"{process.pid}-{number}" for process in processes for number in range(500)}
    assert {record.request_id for record in records if isinstance(record, DecisionRecord)} == expected
    assert len(records) == 2_000
    assert [record.when for record in records] == sorted(record.when for record in records)
