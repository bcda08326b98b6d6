"""Appends records to this process's log file, before the answer they belong to leaves.

One record is one `write` to an append-only file: what was answered survives the death of the process (not a power cut:
nothing is synced). One writer belongs to one event loop; it is not for several threads.

When the disk refuses, nothing is silent: the half line is cut off again, the loss is counted by kind, and either the
caller learns of it (`refuse`) or the decision is answered all the same (`count`). Always, exactly:
accepted = written + dropped. The next record tries again, so a disk that is back needs no help.
"""

import errno
import fcntl
import os
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from riskd.errors import RecordUnavailable
from riskd.metrics import Metrics
from riskd.record import files
from riskd.record.schema import MAX_LINE, Record, encode

OnFailure = Literal["refuse", "count"]


class Writer:
    """The log of one process."""

    def __init__(
        self,
        directory: Path,
        *,
        on_failure: OnFailure = "refuse",
        max_bytes: int = 64 * 2**20,
        max_age: timedelta = timedelta(hours=1),
        metrics: Metrics | None = None,
    ) -> None:
        """Write to `directory`, made when missing, starting a new file after `max_bytes` or `max_age` (≤ 24 h).

        Nothing is opened before the first record. `on_failure` says what `append` does when a record is lost.
        """
        if not timedelta(0) < max_age <= files.MAX_AGE:
            raise ValueError(f"max_age is {max_age}, not within 0 and {files.MAX_AGE}")
        metrics = metrics or Metrics()
        self._directory = directory
        self._refuse = on_failure == "refuse"
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._written = metrics.record_written.at()
        self._dropped = metrics.record_dropped.at()
        self._failures = metrics.record_failures
        self._fd: int | None = None
        self._size = 0
        self._seq = 0
        self._from = self._to = files.EPOCH  # what the open file may hold; set when one is opened
        self.accepted = 0
        """Records handed to `append` so far."""
        self.failing = False
        """The latest record was lost."""

    @property
    def written(self) -> int:
        """Records that reached the log."""
        return int(self._written.value)

    @property
    def dropped(self) -> int:
        """Records that were lost."""
        return int(self._dropped.value)

    def append(self, record: Record) -> None:
        """Write one record; its own time is the clock that files are rotated by.

        Raises RecordUnavailable when the record is lost and `on_failure` is `refuse`.
        """
        self.accepted += 1
        try:
            self._write(_line(record), record.when)
        except (OSError, ValueError, TypeError) as failure:  # the last two: a value that JSON cannot hold
            self._lose(failure)
        else:
            self._written.value += 1
            self.failing = False

    def close(self) -> None:
        """Close the file; a later record opens a new one."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with suppress(OSError):  # nothing is buffered here, so nothing can be lost by closing
                os.close(fd)

    def _write(self, line: bytes, when: datetime) -> None:
        fd = self._fd
        if fd is None or self._size + len(line) > self._max_bytes or not self._from <= when < self._to:
            fd = self._open(when)
        self._put(fd, line)
        if os.fstat(fd).st_nlink == 0:
            # Someone deleted the file under us: the line went nowhere. Once more, into a new one.
            fd = self._open(when)
            self._put(fd, line)
            if os.fstat(fd).st_nlink == 0:
                raise OSError(errno.ENOENT, "the log file is deleted as soon as it is made")

    def _put(self, fd: int, line: bytes) -> None:
        put = os.write(fd, line)
        while put < len(line):  # a nearly full disk takes a part; asking again brings the rest or the reason
            put += os.write(fd, line[put:])
        self._size += len(line)

    def _open(self, when: datetime) -> int:
        self.close()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        while True:
            path = self._directory / files.name(when, os.getpid(), self._seq)
            self._seq += 1
            if files.compressed(path).exists():  # of an earlier process with this id
                continue
            try:
                fd = os.open(path, flags, 0o600)
            except FileExistsError:  # the same, not compressed yet
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as failure:
                os.close(fd)
                if isinstance(failure, BlockingIOError):  # someone tidying up took it for a closed one
                    continue
                path.unlink(missing_ok=True)
                raise
            self._fd, self._size = fd, 0
            self._from, self._to = when - files.SLACK, when + self._max_age
            return fd

    def _lose(self, failure: Exception) -> None:
        self._dropped.value += 1
        number = failure.errno if isinstance(failure, OSError) else None
        self._failures.at(errno.errorcode.get(number or 0, "encoding").lower()).inc()
        self.failing = True
        if self._fd is not None:
            try:
                os.ftruncate(self._fd, self._size)
            except OSError:  # the half line stays as the last of its file, where the reader expects one
                self.close()
        if self._refuse:
            raise RecordUnavailable(f"the decision record cannot be written: {failure}") from failure


def _line(record: Record) -> bytes:
    line = encode(record) + b"\n"
    if len(line) > MAX_LINE:
        raise OSError(errno.EMSGSIZE, f"the record has {len(line)} bytes, more than {MAX_LINE}")
    return line
