"""Files that may change while riskd runs: the new one is taken when it is good, else the last good one stays."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from riskd.errors import DataError

T = TypeVar("T")
Stamp = tuple[int, int, int, int]


class Watched(Generic[T]):
    """One file and what was last read from it."""

    def __init__(self, path: Path, read: Callable[[Path], T], *, required: bool, digest: str | None = None) -> None:
        """Read the file now; raises DataError when it is damaged, or missing though `required`.

        With a `digest`, SHA-256 in hex, only a file that has it is used.
        """
        self.path = path
        self.value: T | None = None
        """What the last good file held; None while there was none."""
        self.problem: str | None = None
        """Why the file as it stands now is not in use, one line; None when it is."""
        self._read = read
        self._required = required
        self.digest = digest
        self._seen: Stamp | None = None
        self.refresh()
        if self.problem:
            raise DataError(self.problem)

    def refresh(self) -> bool:
        """Look whether the file changed, and read it if so; say whether `value` is new. Never raises DataError."""
        try:
            stamp = _stamp(self.path)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError) and not self._required and self.value is None
            self.problem = None if missing else self._say(f"{self.path}: {error.strerror}")
            self._seen = None
            return False
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            value = self._read(self.path)
            self._check_digest(stamp)
        except (DataError, OSError) as error:
            self.problem = self._say(str(error))
            return False
        self.value, self.problem = value, None
        return True

    def _check_digest(self, stamp: Stamp) -> None:
        """Refuse what was read when the file is not the one asked for, or was changed meanwhile."""
        if self.digest is None:
            return
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self.digest or _stamp(self.path) != stamp:
            raise DataError(f"{self.path}: not the file that was signed with the policy")

    def _say(self, problem: str) -> str:
        return f"{problem}; the last good one stays in use" if self.value is not None else problem


def followed(path: Path, digest: str | None, files: Iterable[Watched[T] | None]) -> Watched[T] | None:
    """Return what follows a file already, for this digest, once it has looked whether that changed; None if nothing.

    To read a file beside what was read of it before would for a while take the memory of both.
    """
    for watched in files:
        if watched is not None and (watched.path, watched.digest) == (path, digest):
            watched.refresh()
            return watched
    return None


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
