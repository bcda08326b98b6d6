"""What `riskd train` tells: the truth it measures by, read; and the result, as a table and as plain values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from riskd.learn.contest import Result
from riskd.learn.evaluate.scan import printable
from riskd.learn.registry.promote import current_or_none
from riskd.learn.sift import Kinds
from riskd.learn.train import Trained
from riskd.learn.truth import HONEST, read_truth


def kinds(truths: Sequence[Path]) -> Kinds:
    """Read which decisions are attacks; raises ConfigError for a file that is missing or no truth."""
    return Kinds((line.decision_id, line.label) for path in truths for line in read_truth(path) if line.label != HONEST)


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
    console.print(_head(done), soft_wrap=True)
    console.print(_table(done.contest, training.attacks))
    current = current_or_none(done.folder.parent, strict=False)
    models = escape(str(done.folder.parent))
    if done.kept:
        console.print(f"this very model lay in {models} before, and was kept as it is", soft_wrap=True)
    if current == done.version:
        said = f"is current in {models}"
    elif current is None:
        said = f"is a candidate in {models}; none is current: riskd models promote {done.version} --force --reason …"
    else:
        said = f"is a candidate in {models}; {current} stays current until `riskd models promote {done.version}`"
    console.print(f"model {done.version} {said}", soft_wrap=True)


def _head(done: Trained) -> str:
    if done.no_head is not None:
        return f"no supervised head: {done.no_head}"
    attacks, honest = done.metrics["head_attacks"], done.metrics["head_honest"]
    later = done.metrics.get("head_auc_later")
    measured = "too few later labels to measure it" if later is None else f"AUC {later:.3f} on later labels"
    reads = f"; beside the features it reads {', '.join(done.reads)}" if done.reads else ""
    return f"supervised head on {attacks:,.0f} labelled attacks and {honest:,.0f} honest attempts{reads}; {measured}"


def as_json(done: Trained) -> dict[str, Any]:
    """Return all as plain values."""
    return {
        "version": done.version,
        "folder": str(done.folder),
        "current": current_or_none(done.folder.parent, strict=False) == done.version,
        "kept": done.kept,
        "rows": done.rows,
        "calibration_rows": done.calibration_rows,
        "metrics": done.metrics,
        "no_head": done.no_head,
        "head_reads": done.reads,
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
        name = "caught" if kind == "all" else f"  {printable(kind)}"
        table.add_row(escape(name), *(f"{100 * one.catch[kind]:.1f} %" for one in results))
    return table


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {why}" for why, count in counted.items())
