"""Leaked credentials: whether a password is in a breach corpus, asked without learning the password.

The caller sends the first 10 to 12 hexadecimal digits of the SHA-1 of the password (in UTF-8, as it was typed). They
are looked up in a file of hashes as Have I Been Pwned publishes it: one SHA-1 a line, `:count` after it or
nothing, ascending, upper or lower case. With d digits, n hashes in the file and P passwords that could be, a password
that never leaked hits by chance in n / 16^d of all cases, and P / 16^d passwords share its digits:

| digits | false hits, n = 10^9 | sharing, 8 printable characters (P = 95^8) |
|---|---|---|
| 5 (the range API) | every one: 954 hashes begin alike | 6,300,000,000 |
| 9 | 1 in 69 | 97,000 |
| 10 | 1 in 1,100 | 6,000 |
| 12 | 1 in 281,000 | 24 |
| 14 | 1 in 72,000,000 | 0.09: the digits are the password |

So 10 is the least that tells anything and 12 the most that still hides one password among others; send 10 unless the
false hits matter. No length hides a password that *is* in the file, for that is the question, nor one that is easily
guessed, for guesses can be hashed: the digits are for this look-up, and are kept nowhere.
"""

import os
import re
import weakref
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import Final

from riskd.enrich.watched import Watched
from riskd.errors import DataError

_BLOCK: Final = 4096
_MAX_LINE: Final = 64
"""Bytes of a line: 40 of the hash, 20 of a count, the colon and the line's end, and one to spare."""
_CHECKED_BLOCKS: Final = 1024
_KEY_DIGITS: Final = 16
"""Leading digits of a hash that guide the search."""
_LINES: Final = re.compile(rb"(?:[0-9A-F]{40}(?::[0-9]{1,20})?\r?\n)+")
_HASHES: Final = re.compile(rb"^[0-9A-F]{40}", re.MULTILINE)


class LeakedCredentials:
    """The hash set of a policy, if it names one: re-read when its file changes."""

    def __init__(self, path: Path | None = None, digest: str | None = None) -> None:
        """Open the file; raises DataError when it is missing, damaged or not in order.

        With a `digest`, SHA-256 in hex, only a file that has it is used; it is read from end to end to tell.
        """
        self.digest = digest
        read = partial(HashFile, pinned=digest is not None)
        self._watched = None if path is None else Watched(path, read, required=True, digest=digest)

    @property
    def path(self) -> Path | None:
        """The file; None without one."""
        return None if self._watched is None else self._watched.path

    def hold(self, prefix: str | None) -> bool | None:
        """Whether a hash that begins with `prefix` (10 to 12 hexadecimal digits) leaked; None without prefix or file.

        Raises DataError or OSError when the file can no longer be read.
        """
        if prefix is None or self._watched is None or self._watched.value is None:
            return None
        return self._watched.value.holds(prefix)

    def refresh(self) -> tuple[str, ...]:
        """Take over a file that changed; return one line when the present one is not in use.

        Reads files: not for the event loop.
        """
        if self._watched is None:
            return ()
        self._watched.refresh()
        return () if self._watched.problem is None else (self._watched.problem,)


class HashFile:
    """One file of hashes, searched where it lies: nothing of it is held in memory, however large it is.

    Blocks are read, not mapped: a mapped file counts as memory of the process, and kills it when somebody shortens it.
    """

    def __init__(self, path: Path, *, pinned: bool = False) -> None:
        """Open and check: all of a file up to 4 MB, 1,024 blocks spread over a larger one.

        One that is `pinned` is given up at whatever happens to it, even when it is only moved or taken away: nothing
        else tells that somebody wrote to it and set its time back.
        Raises DataError, one clear line that quotes nothing of the file, and OSError when it cannot be read.
        """
        self._path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        weakref.finalize(self, os.close, self._file)
        status = os.fstat(self._file)
        if not S_ISREG(status.st_mode):
            raise DataError(f"{path}: not a regular file")
        self._size, self._pinned = status.st_size, pinned
        self._seen = self._stamp(status)
        os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_RANDOM)
        self._check()

    def holds(self, prefix: str) -> bool:
        """Whether a hash in the file begins with these hexadecimal digits, in either case.

        Guesses the place from the digits, which in hashes are evenly spread, and halves what remains every third time,
        for files in which they are not. Raises DataError for what is no line of hashes, and when the file was written
        over: it is no longer what was checked.
        """
        if self._stamp(os.fstat(self._file)) != self._seen:
            way_out = "give a new one another name, and sign" if self._pinned else "put a new file in its place instead"
            raise DataError(f"{self._path}: written over while in use; {way_out}")
        sought = prefix.upper().encode()
        digits = len(sought)
        key = int(sought.ljust(_KEY_DIGITS, b"0"), 16)
        # The first line to find lies at `low_at` or after, and before `high_at`.
        low_at, high_at, low_key, high_key = 0, self._size, 0, 16**_KEY_DIGITS
        step = 0
        while high_at - low_at > _BLOCK - 2 * _MAX_LINE:
            step += 1
            share = 0.5 if step % 3 == 0 else (key - low_key) / (high_key - low_key)
            guess = low_at + int((high_at - low_at) * share) - _BLOCK // 2
            start, lines = self._lines(min(max(guess, low_at), high_at - 2 * _MAX_LINE))
            last_at = lines.rfind(b"\n", 0, -1) + 1
            first, last = self._hash(lines, 0, start), self._hash(lines, last_at, start)
            if sought < first[:digits]:
                high_at, high_key = start, int(first[:_KEY_DIGITS], 16)
            elif sought > last[:digits]:
                low_at, low_key = start + last_at, int(last[:_KEY_DIGITS], 16)
            else:
                return _begins(lines, sought)
        _, lines = self._lines(low_at)
        return _begins(lines, sought)

    def _stamp(self, status: os.stat_result) -> tuple[int, ...]:
        return status.st_size, status.st_mtime_ns, status.st_ctime_ns if self._pinned else 0

    def _check(self) -> None:
        """Raise DataError for blocks that hold anything but ascending hashes."""
        if self._size == 0:
            raise DataError(f"{self._path}: empty")
        before, at = b"", 0
        while at < self._size:
            start, lines = self._lines(at)
            if not lines:
                break
            if not _LINES.fullmatch(lines if lines.endswith(b"\n") else lines + b"\n"):
                raise self._damaged(start)
            hashes = [before, *_HASHES.findall(lines)]
            if hashes != sorted(hashes):
                raise DataError(f"{self._path}: not in ascending order near byte {start:,}; sort it by hash")
            before = hashes[-1]
            at = max(start + len(lines), at + self._size // _CHECKED_BLOCKS)

    def _lines(self, at: int) -> tuple[int, bytes]:
        """Return the whole lines of a block, in upper case, from the first that begins at `at` or after, and where."""
        begin = max(at - 1, 0)
        block = os.pread(self._file, _BLOCK, begin).upper()
        first = 0 if at == 0 else block.find(b"\n", 0, _MAX_LINE) + 1
        end = len(block) if begin + len(block) >= self._size else block.rfind(b"\n") + 1
        if (first == 0) != (at == 0) or (first >= end and begin + len(block) < self._size):
            raise self._damaged(at)
        return begin + first, block[first:end]

    def _hash(self, lines: bytes, at: int, start: int) -> bytes:
        """Return the hash of the line that begins at `at`."""
        found = _HASHES.match(lines, at)
        if found is None:
            raise self._damaged(start + at)
        return found[0]

    def _damaged(self, at: int) -> DataError:
        return DataError(
            f"{self._path}: near byte {at:,} is no line of hashes; each has a SHA-1 in hexadecimal digits, and may have"
            " `:count` after it"
        )


def _begins(lines: bytes, sought: bytes) -> bool:
    return lines.startswith(sought) or b"\n" + sought in lines
