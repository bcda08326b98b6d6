"""Tells lost history from a new store.

The store holds an epoch, `cold …` or `accepted …`; a marker file beside riskd's data remembers which one this
installation lives in. No epoch and no marker is a cold start. An epoch that is gone, or another cold one, means that
the history was lost: what the store does not know then says nothing, until somebody accepts the loss.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

KEPT_S: Final = 400 * 86400
"""Seconds the epoch is kept without being renewed: longer than anything else in the store."""
RENEW_S: Final = 86400.0

Verdict = Literal["known", "cold_start", "lost"]


def fresh(kind: Literal["cold", "accepted"], now: float) -> bytes:
    """Return the text of a new epoch."""
    return f"{kind} {uuid4().hex} {now:.0f}".encode()


class Epoch:
    """The epoch this process lives in."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker
        self.held: bytes | None = self._read()

    def _read(self) -> bytes | None:
        try:
            with self._marker.open("rb") as file:
                text = file.read(128)
        except OSError:
            return None
        return text if text.startswith((b"cold ", b"accepted ")) else None

    def judge(self, seen: bytes | None) -> Verdict:
        """Say what the epoch in the store means; adopts one that is no loss."""
        if seen is None:
            return "cold_start" if self.held is None else "lost"
        if self.held is None or seen.startswith(b"accepted "):
            self.adopt(seen)
        return "known" if seen == self.held else "lost"

    def adopt(self, seen: bytes) -> None:
        """Live in this epoch from now on, and remember it over restarts."""
        if seen == self.held:
            return
        self.held = seen
        # A disk that takes no marker costs only the memory over restarts: the next start is a cold one.
        with suppress(OSError):
            self._marker.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._marker.parent, prefix=".store-epoch-")
            with os.fdopen(handle, "wb") as file:
                file.write(seen)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._marker)
