"""What `riskd train` tells: the truth it measures by, read; and the result, as a table and as plain values."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from riskd.anomaly.load import current_version
from riskd.errors import ConfigError
from riskd.learn.contest import Result
from riskd.learn.rows import Kinds
from riskd.learn.simulate.attempt import HONEST
from riskd.learn.simulate.run import LOG_FOLDER, TRUTH_FILE, Truth
from riskd.learn.train import Trained

_LONGEST = 4096


def truths_beside(log: Sequence[str]) -> list[Path]:
    """Return the truths that a simulation left beside the folder of its log, however files of it are named."""
    found: dict[Path, None] = {}
    for one in log:
        if "://" in one:
            continue
        path = Path(one)
        folder = path / LOG_FOLDER if (path / LOG_FOLDER).is_dir() else path if path.is_dir() else path.parent
        truth = folder.parent / TRUTH_FILE
        if folder.name == LOG_FOLDER and truth.is_file():
            found[truth] = None
    return list(found)


def kinds(truths: Sequence[Path]) -> Kinds:
    """Read which decisions are attacks; raises ConfigError for a file that is missing or no truth."""
    return Kinds((line.decision_id, line.label) for path in truths for line in _lines(path) if line.label != HONEST)


def show(done: Trained, console: Console) -> None:
    """Print what was trained, from what, and how it does beside simple rivals."""
    training = done.training
    console.print(
        f"read {training.decisions:,} decisions and {training.outcomes:,} outcomes in {training.file_count:,} files"
    )
    if training.refused:
        console.print("lines refused: " + _counts(training.refused))
    if training.left_out:
        console.print("taught nothing: " + _counts(training.left_out))
    console.print(
        f"fitted on {done.rows:,} attempts to {training.fitted_until:%Y-%m-%d}, "
        f"calibrated on {done.calibration_rows:,} later ones"
    )
    console.print(_table(done.contest, training.attacks))
    models = done.folder.parent
    if current_version(models) == done.version:
        console.print(f"model {done.version} is current in {models}", soft_wrap=True)
    else:
        console.print(
            f"model {done.version} is a candidate in {models}; {current_version(models)} stays current "
            f"until `riskd models promote {done.version}`",
            soft_wrap=True,
        )


def as_json(done: Trained) -> dict[str, Any]:
    """Return all as plain values."""
    return {
        "version": done.version,
        "folder": str(done.folder),
        "current": current_version(done.folder.parent) == done.version,
        "rows": done.rows,
        "calibration_rows": done.calibration_rows,
        "metrics": done.metrics,
        "training": msgspec.to_builtins(done.training),
    }


def _table(results: Sequence[Result], attacks: int) -> Table:
    said = (
        f"{attacks:,} known attacks of the same time" if results[0].catch else "too few known attacks to tell of them"
    )
    table = Table(title="On later attempts that taught none of them", caption=f"threshold for 1 % false alarms; {said}")
    table.add_column("")
    for one in results:
        table.add_column(one.name, justify="right")
    table.add_row("false alarms", *(f"{100 * one.false_alarms:.2f} %" for one in results))
    if results[0].auc is not None:
        table.add_row("AUC", *(f"{one.auc:.3f}" for one in results if one.auc is not None))
    for kind in results[0].catch:
        name = "caught" if kind == "all" else f"  {kind}"
        table.add_row(name, *(f"{100 * one.catch[kind]:.1f} %" for one in results))
    return table


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {why}" for why, count in counted.items())


def _lines(path: Path) -> Iterator[Truth]:
    decoder = msgspec.json.Decoder(Truth)
    number = 0
    try:
        with path.open("rb") as lines:
            while line := lines.readline(_LONGEST):
                number += 1
                yield decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: line {number}: no line of truth: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
