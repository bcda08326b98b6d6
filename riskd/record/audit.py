"""The audit trail: one JSON line per change of a list or exemption, written before the change is made.

All processes append to one file, `audit/changes.jsonl` below the data directory, under an exclusive lock and synced to
the disk, so that a line is there before anybody is told of the change. Lines are never changed or removed by riskd.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from riskd.errors import RecordUnavailable
from riskd.private_file import append_whole

FILE: Final = "changes.jsonl"
VERSION: Literal[1] = 1

What = Literal["entry_added", "entry_removed", "exemption_granted", "exemption_withdrawn"]


def _version() -> Literal[1]:
    return VERSION


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One change."""

    # A factory, because `omit_defaults` would leave a plain default out of the line.
    v: Literal[1] = field(default_factory=_version)
    at: Annotated[datetime, Meta(tz=True)]
    """When it was asked for, aware UTC."""
    change: What
    author: str
    """Name of the API key that asked."""
    reason: str
    list: str | None = None
    """Name of the list."""
    entry: str | None = None
    """The entry as the list keeps it (a subject or device as its keyed hash), or the exemption's id."""
    subject: str | None = None
    """Of an exemption: keyed hash of the subject, as exemptions keep it."""
    code: str | None = None
    """Of an exemption: the signal."""
    until: Annotated[datetime, Meta(tz=True)] | None = None
    """When it lapses; None: never."""
    failed: str | None = None
    """Why the change that a line before tells of, in the same words, was not made, as far as is known."""


encode_lines = msgspec.json.Encoder().encode_lines
decode = msgspec.json.Decoder(Change).decode
"""One line of the trail; raises msgspec.MsgspecError for anything else."""


class Trail:
    """Appends to the audit trail. Blocks for as long as the disk takes: call it from a thread."""

    def __init__(self, directory: Path) -> None:
        """`directory` is made when missing, readable by its owner only."""
        self.path = directory / FILE

    def append(self, changes: Sequence[Change]) -> None:
        """Write changes, one line each, all or none; raises RecordUnavailable."""
        lines = encode_lines(changes)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            append_whole(self.path, lines)
        except OSError as failure:
            raise RecordUnavailable(f"{self.path}: the change cannot be audited: {failure.strerror}") from failure


__all__ = ["FILE", "Change", "Trail", "What", "decode"]
