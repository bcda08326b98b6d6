"""The files of the decision log: how they are named, found and opened.

Each process writes files of its own, `riskd-<opened>-<pid>-<seq>.jsonl`, `opened` being the UTC time of the first
record. A file holds records of at most `MAX_AGE` from there on, so the name alone says which times are inside. The
writer keeps an exclusive `flock` on the file it appends to; closed files are compressed to `….jsonl.gz`.
"""

import fcntl
import gzip
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from riskd.errors import ConfigError

MAX_AGE = timedelta(hours=24)
"""The longest span of one file."""
SLACK = timedelta(seconds=60)
"""How far the times of neighbouring lines may be out of order: several decisions are under way at once, and clocks are
set back."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_OF_OTHERS = (".bz2", ".zst", ".lz4")
"""Endings of compressed files that riskd reads and never writes."""
_BUFFER = 1 << 20
_NAME = re.compile(r"^riskd-(\d{8}T\d{6}Z)-\d{1,10}-\d{1,10}\.jsonl(\.gz)?$")
_OPENED = "%Y%m%dT%H%M%SZ"


class LogFile(NamedTuple):
    """One file of the log."""

    opened: datetime
    """Time of its first record, cut to the second, aware UTC."""
    path: Path
    """Its plain name; the file itself may be there as `….gz`."""
    named: bool = True
    """False for a file under a foreign name, which says nothing of the times inside."""

    def may_hold(self, since: datetime | None, until: datetime | None) -> bool:
        """Whether a record with `since` ≤ time < `until` may be inside."""
        return not self.named or (
            (since is None or self.opened + MAX_AGE + SLACK >= since) and (until is None or self.opened - SLACK < until)
        )


def name(opened: datetime, pid: int, seq: int) -> str:
    """Return the name of a plain log file."""
    return f"riskd-{opened.astimezone(UTC).strftime(_OPENED)}-{pid}-{seq}.jsonl"


def log_file(path: Path) -> LogFile | None:
    """Return what the name of a plain or compressed file says; None when it is no log file's name."""
    match = _NAME.match(path.name)
    try:
        opened = datetime.strptime(match[1], _OPENED).replace(tzinfo=UTC) if match else None
    except ValueError:  # the 31st of February
        return None
    return LogFile(opened, path.with_name(path.name.removesuffix(".gz"))) if opened else None


def log_files(directory: Path) -> list[LogFile]:
    """Return the log files of a directory, oldest first, each once; none when the directory is missing."""
    try:
        found = {log_file(path) for path in directory.iterdir()}
    except FileNotFoundError:
        return []
    return sorted(file for file in found if file)


def open_file(file: LogFile) -> BinaryIO:
    """Open for reading, plain or compressed; raises OSError."""
    try:
        return open_path(file.path)
    except FileNotFoundError:  # compressed, perhaps since it was listed
        return open_path(compressed(file.path))


def open_path(path: Path) -> BinaryIO:
    """Open a file of any name for reading, decompressed as its ending says; raises OSError, ConfigError."""
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.open(path))
    if path.suffix in _OF_OTHERS:
        try:
            stream = import_module("pyarrow").input_stream(str(path), compression="detect")
        except ModuleNotFoundError:
            raise ConfigError(f"{path}: needs pyarrow: pip install 'riskd[learn]'") from None
        return BufferedReader(stream, _BUFFER)
    return path.open("rb")


def compressed(path: Path) -> Path:
    """Return the compressed name of a plain file."""
    return path.with_name(path.name + ".gz")


@contextmanager
def closed(path: Path) -> Iterator[int | None]:
    """Hold a plain file that nobody appends to and yield its descriptor; None while its writer is at work."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)
