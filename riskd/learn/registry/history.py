"""The history of promotions: one JSON line per change of the current model, in `HISTORY.jsonl` among the models.

Lines are appended and synced before CURRENT changes, and never changed or removed. Who may write the folder may forge
them: they are a diary, not a proof.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from riskd.errors import ConfigError
from riskd.private_file import append_whole

HISTORY_FILE: Final = "HISTORY.jsonl"
MAX_LINE: Final = 65_536
"""Bytes of the longest line."""
MAX_BYTES: Final = 16 * 2**20
"""Bytes of the longest history: several thousand promotions."""

Event = Literal["promoted", "forced", "rolled_back"]


def _version() -> Literal[1]:
    return 1


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One change of the current model."""

    # A factory, because `omit_defaults` would leave a plain default out of the line.
    v: Literal[1] = field(default_factory=_version)
    at: Annotated[datetime, Meta(tz=True)]
    event: Event
    """It passed its gates · somebody decided without them · back to the model before."""
    version: Annotated[str, Meta(max_length=32)]
    """Current from now on."""
    former: Annotated[str, Meta(max_length=32)] | None
    """Current until now; None where there was none."""
    by: Annotated[str, Meta(max_length=256)]
    """Who says they did it: the name of the account the command ran under, unless they said another."""
    reason: Annotated[str, Meta(max_length=2000)] = ""
    evidence: dict[str, Any] | None = None
    """What the gates measured; None where they were not asked."""


_decode = msgspec.json.Decoder(Entry).decode


def read_history(models: Path) -> list[Entry]:
    """Return all entries, oldest first; raises ConfigError, with its line, for what is none."""
    path = models / HISTORY_FILE
    entries: list[Entry] = []
    try:
        with path.open("rb") as lines:
            if os.fstat(lines.fileno()).st_size > MAX_BYTES:
                raise ConfigError(f"{path}: larger than {MAX_BYTES:,} bytes; keep it elsewhere and begin a new one")
            for number, line in enumerate(lines, 1):
                try:
                    entries.append(_decode(line))
                except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                    raise ConfigError(
                        f"{path}: line {number} is no promotion ({error}); restore the file, or move it away"
                    ) from error
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    return entries


def append(models: Path, entry: Entry) -> None:
    """Append one line, synced to the disk; raises ConfigError, and then nothing was written."""
    path = models / HISTORY_FILE
    line = msgspec.json.encode(entry) + b"\n"
    if len(line) > MAX_LINE:
        raise ConfigError(f"{path}: a line of {len(line):,} bytes is too long")
    try:
        append_whole(path, line, 0o644)
    except OSError as error:
        raise ConfigError(f"{path}: the promotion cannot be written down: {error.strerror}") from error


def former_of(current: str, entries: list[Entry]) -> str | None:
    """Return the model before the current one; None where the history knows none.

    A rollback undoes a promotion, so that the next one goes further back, and never forth again.
    """
    stack: list[str] = []
    for entry in entries:
        if entry.event == "rolled_back":
            while stack and stack.pop() != entry.version:
                pass
        elif entry.former is not None and entry.former not in stack[-1:]:
            stack.append(entry.former)
        stack.append(entry.version)
    if current in stack:  # else CURRENT was written by hand, and the last one promoted is the one before
        del stack[len(stack) - 1 - stack[::-1].index(current) :]
    return next((version for version in reversed(stack) if version != current), None)
