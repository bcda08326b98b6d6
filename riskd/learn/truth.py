"""What is true of a log's decisions, as a simulation leaves it beside its log: `truth.jsonl`, a line a decision."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from riskd.errors import ConfigError
from riskd.record.schema import MAX_LINE
from riskd.settings import LOG_FOLDER

TRUTH_FILE: Final = "truth.jsonl"
HONEST: Final = "honest"
"""The label of an attempt by the account's owner; every other label is the kind of an attack."""


class Truth(Struct, frozen=True, omit_defaults=True):
    """What is true of one decision."""

    decision_id: str
    label: str
    """`honest`, or the kind of attack."""
    sequence: str | None = None
    """Attacks that belong together: one campaign, one victim."""
    password_right: bool = True


def read_truth(path: Path) -> Iterator[Truth]:
    """Yield the lines of a file; raises ConfigError, with the line, for one that is missing or damaged."""
    decode = msgspec.json.Decoder(Truth).decode
    number = 0
    try:
        with path.open("rb") as lines:
            while line := lines.readline(MAX_LINE):
                number += 1
                yield decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: line {number}: no line of truth: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error


def truths_beside(log: Iterable[str | Path]) -> list[Path]:
    """Return the truths that a simulation left beside the folder of its log, however files of it are named."""
    found: dict[Path, None] = {}
    for one in log:
        if "://" in str(one):
            continue
        path = Path(one)
        folder = path / LOG_FOLDER if (path / LOG_FOLDER).is_dir() else path if path.is_dir() else path.parent
        truth = folder.parent / TRUTH_FILE
        if folder.name == LOG_FOLDER and truth.is_file():
            found[truth] = None
    return list(found)
