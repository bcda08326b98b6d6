"""Small files that only their owner reads, changed by several processes: locked meanwhile, replaced whole."""

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


def replace_whole(path: Path, content: bytes, failing: str) -> None:
    """Write the content beside the file and rename it, so that a reader finds the old or the new state.

    Raises ConfigError, which says `failing` of the path; the old state stays then.
    """
    part = path.with_name(path.name + ".part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise ConfigError(f"{path}: {failing}: {error.strerror}") from error
