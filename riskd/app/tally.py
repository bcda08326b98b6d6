"""One set of metrics out of several workers: each writes its numbers to a file now and then, whoever is asked adds up.

run/metrics/<pid>.json      numbers of a worker that lives, or died without a word
run/metrics/departed.json   sum of those that have left, so that no counter falls when a worker is replaced
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from riskd.metrics import Metrics, Snapshot, merge

_decode = msgspec.json.Decoder(Snapshot).decode


class Tally:
    """The files of one service; every worker has one over the same folder."""

    def __init__(self, data_dir: Path, metrics: Metrics) -> None:
        self._folder = data_dir / "run" / "metrics"
        self._metrics = metrics
        self._own = self._folder / f"{os.getpid()}.json"
        self._departed = self._folder / "departed.json"

    def write(self) -> None:
        """Write this worker's numbers, and take over those of workers that died. Blocks: call it from a thread."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _put(self._own, self._metrics.snapshot())
        dead = [path for path in self._others() if not _alive(int(path.stem))]
        if dead:
            self._depart(dead)

    def leave(self) -> None:
        """Leave this worker's numbers to the departed."""
        self.write()
        self._depart([self._own])

    def read(self) -> Snapshot:
        """Return the sum of all workers, this one as of now and the others as of a second ago."""
        living = [snapshot for path in self._others() if (snapshot := _get(path)) is not None]
        departed = _get(self._departed)
        return merge([self._metrics.snapshot(), *living], [] if departed is None else [departed])

    def _others(self) -> Iterator[Path]:
        return (path for path in self._folder.glob("*.json") if path.stem.isdigit() and path != self._own)

    def _depart(self, paths: list[Path]) -> None:
        with self._locked():
            known = [snapshot for path in (self._departed, *paths) if (snapshot := _get(path)) is not None]
            _put(self._departed, merge((), known))
            for path in paths:
                path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, under another user
        return True
    return True


def _get(path: Path) -> Snapshot | None:
    """Return what a file holds; None when it is gone or not (any more) what we write."""
    with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return _decode(path.read_bytes())
    return None


def _put(path: Path, snapshot: Snapshot) -> None:
    part = path.with_suffix(f".{os.getpid()}")
    part.write_bytes(msgspec.json.encode(snapshot))
    part.replace(path)
