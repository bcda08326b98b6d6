"""Compresses closed log files and deletes old ones; run now and then, in a thread, by any process or several."""

import gzip
import os
import shutil
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from riskd.record import files


class Tended(NamedTuple):
    """What one round did."""

    compressed: int = 0
    removed: int = 0
    failed: int = 0
    """Files that could not be compressed or deleted; they are tried again in the next round."""


def tend(directory: Path, *, now: datetime, keep: timedelta | None) -> Tended:
    """Compress what nobody appends to, and delete files all of whose records are older than `keep` (None: never).

    Raises nothing for a single file that fails: a full disk must not stop the deleting that makes room.
    """
    compressed = removed = failed = 0
    for file in files.log_files(directory):
        try:
            if keep is not None and file.opened + files.MAX_AGE + files.SLACK + keep < now:
                removed += _remove(file)
            else:
                compressed += _compress(file)
        except FileNotFoundError:  # another process was faster
            continue
        except OSError:
            failed += 1
    return Tended(compressed, removed, failed)


def _remove(file: files.LogFile) -> bool:
    try:
        with files.closed(file.path) as descriptor:
            if descriptor is None:
                return False
            file.path.unlink()
    except FileNotFoundError:
        files.compressed(file.path).unlink()
        return True
    with suppress(FileNotFoundError):  # left by a death between compressing and deleting
        files.compressed(file.path).unlink()
    return True


def _compress(file: files.LogFile) -> bool:
    with files.closed(file.path) as descriptor:
        if descriptor is None:
            return False
        part = file.path.with_name(file.path.name + ".part")
        try:
            with (
                os.fdopen(os.dup(descriptor), "rb") as plain,
                os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw,
            ):
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as packed:
                    shutil.copyfileobj(plain, packed, 1 << 20)
                raw.flush()
                os.fsync(raw.fileno())
            part.replace(files.compressed(file.path))  # first whole, then named, then the plain one goes
        except OSError:
            with suppress(OSError):
                part.unlink()
            raise
        file.path.unlink()
        return True
