"""A disk as slow as a test wants it."""

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from riskd.record.schema import Record
from riskd.record.writer import Writer

SMALLEST = 4096
"""Bytes that the smallest pipe takes before it makes its writer wait."""
F_SETPIPE_SZ = 1031


class SlowDisk:
    """A pipe in place of a writer's open file: while it is full, the kernel makes whoever writes to it wait.

    It is full and hung until `wake`; what comes through is a log file like any other.
    """

    def __init__(self, writer: Writer, log: Path) -> None:
        """Take the place of the file that `writer` has open, and keep what comes through in `log`."""
        self._reading, writing = os.pipe()
        fcntl.fcntl(writing, F_SETPIPE_SZ, SMALLEST)
        os.write(writing, bytes(SMALLEST))
        assert writer._log._fd is not None
        os.dup2(writing, writer._log._fd)
        os.close(writing)
        self._log = log
        self._awake = threading.Event()
        self._pause_s = 0.0
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def wake(self, pause_s: float = 0.0) -> None:
        """Take page after page from now on, with a pause after each."""
        self._pause_s = pause_s
        self._awake.set()

    def end(self) -> None:
        """Read to the end, which comes when the writer has closed its file."""
        self.wake()
        self._thread.join()

    def _read(self) -> None:
        self._awake.wait()
        os.read(self._reading, SMALLEST)
        with self._log.open("wb", buffering=0) as log:
            while page := os.read(self._reading, SMALLEST):
                log.write(page)
                time.sleep(self._pause_s)
        os.close(self._reading)


class Slowed:
    """A writer that has met a slow disk: its file is a pipe that has hung."""

    def __init__(self, writer: Writer, directory: Path, first: Callable[[], Record]) -> None:
        """Hand in one record to open a file and one that is slow."""
        self.writer = writer
        self._directory = directory
        self._disks: list[SlowDisk] = []
        writer.append(first())
        assert not writer.slow
        self.slow_down(first())

    @property
    def disk(self) -> SlowDisk:
        """The disk that has hung."""
        return self._disks[-1]

    def slow_down(self, record: Record) -> None:
        """Let a fast disk take its time with this record, and hang from then on."""
        disk = self._hang()
        waking = threading.Timer(self.writer._slow_s * 2, disk.wake)
        waking.start()
        self.writer.append(record)
        waking.join()
        assert self.writer.slow
        self._hang()
        disk.end()

    def end(self) -> None:
        """Let the disks go, and see everything to its end."""
        self.disk.wake()
        self.writer.close()
        for disk in self._disks:
            disk.end()

    def _hang(self) -> SlowDisk:
        number = len(self._disks) + 1
        self._disks.append(SlowDisk(self.writer, self._directory / f"riskd-20260307T120000Z-1-{number}.jsonl"))
        return self._disks[-1]
