"""What a policy declares of its own, as `riskd check` shows it: custom signals and velocities."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from riskd.cli.root import console
from riskd.policy import Policy


def declared(policy: Policy) -> dict[str, list[dict[str, Any]]]:
    """Return custom signals and velocities, each with what it reads, weighs and forces."""
    signals = [
        {
            "code": rule.code,
            "when": " ".join(rule.when.split()),
            "weight": rule.weight,
            "floor": rule.floor,
            "actions": rule.actions,
            "state": "shadow" if rule.shadow else "live",
            "reads": own.signal.reads,
        }
        for rule, own in zip(policy.file.custom_signals, policy.custom, strict=True)
    ]
    velocities = [
        {
            "velocity": f"velocity.{rule.name}",
            "counts": rule.count or (f"sum of {rule.sum}" if rule.sum else f"distinct {rule.distinct}"),
            "per": rule.per,
            "window_s": rule.window.total_seconds(),
            "actions": rule.actions,
            "limit": rule.limit,
            "signal": None if rule.limit is None else rule.code,
            "weight": None if rule.limit is None else rule.weight,
            "floor": None if rule.limit is None else rule.floor,
            "state": "shadow" if rule.shadow else "live",
        }
        for rule in policy.file.velocities
    ]
    return {"custom_signals": signals, "velocities": velocities}


def show_declared(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Print what `declared` found as tables; nothing of what there is none."""
    _show("custom signals", found["custom_signals"], leaving_out="reads")
    _show("velocities", found["velocities"], leaving_out="signal")


def _show(title: str, rows: Sequence[Mapping[str, Any]], *, leaving_out: str) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left")
    columns = [name for name in rows[0] if name != leaving_out]
    for name in columns:
        table.add_column(name.removesuffix("_s").replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(escape(_said(name, row[name])) for name in columns))
    console.print(table)


def _said(name: str, value: Any) -> str:  # noqa: ANN401 - any value of a row
    if name == "actions":
        return ", ".join(value) or "all"
    if name == "window_s":
        return f"{value:.0f} s"
    return "" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)
