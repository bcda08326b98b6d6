"""The log files of one process: lines are appended, files rotated, and half lines cut off again.

A group of records is one `write` to an append-only file: what was answered survives the death of the process (not a
power cut: nothing is synced). Every record's fate is exact: it is in the log as a whole line, or it is not and the
failure says why. The next record tries again, so a disk that is back needs no help.

A log counts nothing and is for one thread at a time.
"""

import errno
import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from riskd.record import files
from riskd.record.schema import MAX_LINE, Record, encode_lines

LOST = (OSError, ValueError, TypeError, MemoryError)
"""Why a record is lost: the disk says no or the line is too long · a value that JSON cannot hold · no room for it."""


class Log:
    """What this process appends to; nothing is opened before the first record."""

    def __init__(self, directory: Path, *, max_bytes: int, max_age: timedelta) -> None:
        """Write to `directory`, made when missing, starting a new file after `max_bytes` or `max_age` (≤ 24 h)."""
        self._directory = directory
        self._fd: int | None = None
        self._size = 0
        """Bytes of the whole lines in the open file."""
        self._seq = 0
        self._from = self._to = files.EPOCH  # what the open file may hold; set when one is opened
        self.rotate(max_bytes, max_age)

    def rotate(self, max_bytes: int, max_age: timedelta) -> None:
        """Start a new file after `max_bytes` or `max_age` (≤ 24 h) from now on; the open file ends by them, too."""
        if not timedelta(0) < max_age <= files.MAX_AGE:
            raise ValueError(f"max_age is {max_age}, not within 0 and {files.MAX_AGE}")
        self._max_bytes = max_bytes
        self._max_age = max_age
        if self._fd is not None:
            self._to = self._from + files.SLACK + max_age

    def append(self, records: Sequence[Record]) -> list[Exception | None]:
        """Write records, one at least, the usual group at once; return for each None, or why it is not in the log."""
        if len(records) == 1:
            return [self._alone(records[0])]
        together = self._together(records)
        return [None] * together + [self._alone(record) for record in records[together:]]

    def close(self) -> None:
        """Close the file; a later record opens a new one."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with suppress(OSError):  # nothing is buffered here, so nothing can be lost by closing
                os.close(fd)

    def _together(self, records: Sequence[Record]) -> int:
        """Write a group that fits into the open file; return how many, from the first on, are in the log now."""
        try:
            lines = encode_lines(records)
        except LOST:
            return 0
        if len(lines) > MAX_LINE and max(map(len, lines.splitlines())) >= MAX_LINE:
            return 0
        fd, start = self._fd, self._size
        if fd is None or start + len(lines) > self._max_bytes:
            return 0
        if not all(self._from <= record.when < self._to for record in records):
            return 0
        try:
            return len(records) if self._write(fd, lines) else 0
        except OSError:
            return lines.count(b"\n", 0, self._size - start)

    def _alone(self, record: Record) -> Exception | None:
        try:
            line = encode_lines((record,))
            if len(line) > MAX_LINE:
                raise OSError(errno.EMSGSIZE, f"the record has {len(line)} bytes, more than {MAX_LINE}")
            when, fd = record.when, self._fd
            if fd is None or self._size + len(line) > self._max_bytes or not self._from <= when < self._to:
                fd = self._open(when)
            # Someone may have deleted the file under us: once more, into a new one.
            if not (self._write(fd, line) or self._write(self._open(when), line)):
                raise OSError(errno.ENOENT, "the log file is deleted as soon as it is made")
        except LOST as failure:
            return failure
        return None

    def _write(self, fd: int, lines: bytes) -> bool:
        """Write lines; return False when they went nowhere because the file was deleted, which closes it.

        Raises OSError when not all of them are in the file; `_size` then tells how many are, and no half one.
        """
        put = 0
        try:
            put = os.write(fd, lines)
            while put < len(lines):  # a nearly full disk takes a part; asking again brings the rest or the reason
                put += os.write(fd, lines[put:])
            if os.fstat(fd).st_nlink:
                self._size += put
                return True
        except OSError:
            self._cut(fd, lines.rfind(b"\n", 0, put) + 1)
            raise
        self.close()
        return False

    def _cut(self, fd: int, whole: int) -> None:
        """Keep the first `whole` bytes of what was just written, and nothing behind them."""
        try:
            if os.fstat(fd).st_nlink == 0:  # what was kept is gone; closing gives its room back
                self.close()
                return
            self._size += whole
            os.ftruncate(fd, self._size)
        except OSError:  # the half line stays as the last of its file, where the reader expects one
            self.close()

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
