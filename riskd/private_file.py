"""Small files that several processes change: locked meanwhile, replaced whole or appended to whole."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from riskd.errors import ConfigError


@contextmanager
def locked(path: Path, failing: str) -> Iterator[None]:
    """Keep other processes from changing the file during the block; makes its folder.

    Raises ConfigError, which says `failing` of the path ("the key file cannot be changed"), where no lock can lie.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{path}: {failing}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def replace_whole(path: Path, content: bytes, failing: str, mode: int = 0o600) -> None:
    """Write the content beside the file and rename it, so that a reader finds the old or the new state.

    Raises ConfigError, which says `failing` of the path; the old state stays then.
    """
    part = path.with_name(path.name + ".part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise ConfigError(f"{path}: {failing}: {error.strerror}") from error


def append_whole(path: Path, lines: bytes, mode: int = 0o600) -> None:
    """Append lines under a lock and sync them; raises OSError, and then nothing of them is there.

    `mode` is that of a file which is new.
    """
    appended = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode)
    try:
        fcntl.flock(appended, fcntl.LOCK_EX)
        size = os.fstat(appended).st_size
        try:
            put = os.write(appended, lines)
            while put < len(lines):
                put += os.write(appended, lines[put:])
            os.fsync(appended)
        except OSError:
            os.ftruncate(appended, size)
            raise
    finally:
        os.close(appended)
