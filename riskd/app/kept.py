"""The last good policy, kept beside the workers: one that dies takes what it knew with it, and its successor needs it.

It lasts as long as one `riskd serve`: a start refuses a wrong policy, whatever was good before.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from riskd.private_file import locked, replace_whole

KEPT_FILE: Final = Path("run") / "policy-kept.json"
"""Relative to the data folder."""
UNKEPT: Final = "the policy in use cannot be kept for workers to come"


class Written(Struct, frozen=True):
    """What was read of a policy."""

    content: bytes
    signature: bytes | None
    """None where no signature is asked for."""
    read_at: int
    """By the machine's monotonic clock, in nanoseconds: of two, the later one was on disk later."""


def keep(path: Path, written: Written) -> None:
    """Keep a policy that is in use, unless a later one is kept; raises ConfigError where it cannot be written."""
    with locked(path, UNKEPT):
        before = kept(path)
        if before is None or before.read_at < written.read_at:
            replace_whole(path, msgspec.json.encode(written), UNKEPT)


def kept(path: Path) -> Written | None:
    """Return what is kept; None when nothing is, or nothing that can be read."""
    with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode(path.read_bytes(), type=Written)
    return None
