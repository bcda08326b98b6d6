"""Models and comparisons for the terminal."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from riskd.learn.evaluate.scan import printable
from riskd.learn.registry.compare import Compared
from riskd.learn.registry.gate import Paired
from riskd.learn.registry.history import Entry
from riskd.learn.registry.listing import Listed, Shown

_LABELS = {
    "truth": "Labels are the truth of a simulation.",
    "outcomes": "Labels are the log's outcomes; who was never contradicted counts as honest, and a deny that nobody "
    "vouched for as neither.",
}
_FROM = {"promoted": "passed its gates", "forced": "forced", "rolled_back": "rolled back"}


def show_list(models: Sequence[Listed], console: Console) -> None:
    """Print all versions."""
    table = Table()
    for name in ("version", "standing", "made", "trained on attempts", "signature"):
        table.add_column(name, no_wrap=name in {"version", "standing"})
    for one in models:
        span = ""
        if one.trained_from is not None and one.trained_until is not None:
            span = f"{one.rows:,}, {one.trained_from:%Y-%m-%d} to {one.trained_until:%Y-%m-%d}"
        made = "" if one.created is None else f"{one.created:%Y-%m-%d %H:%M}"
        standing = f"[bold]{one.standing}[/bold]" if one.standing == "current" else one.standing
        table.add_row(one.version, standing, made, span, escape(one.signature))
    console.print(table)
    for one in models:
        if one.problem is not None:
            console.print(f"{one.version} would be refused: {escape(printable(one.problem, 1000))}", highlight=False)
    if not any(one.standing == "current" for one in models):
        console.print("None is current; riskd models promote VERSION --force --reason … makes one.", highlight=False)


def show_one(shown: Shown, console: Console) -> None:
    """Print one version."""
    manifest, listed = shown.manifest, shown.listed
    table = Table(title=f"model {listed.version}", show_header=False)
    rows: list[tuple[str, object]] = [("standing", listed.standing), ("signature", listed.signature)]
    rows.append(("a service would", "take it" if listed.problem is None else f"refuse it: {listed.problem}"))
    rows.append(("features", shown.features))
    for name, value in manifest.items():
        if not isinstance(value, dict | list | None):  # what is long is for --json
            rows.append((name.replace("_", " "), value))
    rows.append(("made with", ", ".join(f"{name} {number}" for name, number in manifest["versions"].items())))
    for name, value in rows:
        table.add_row(name, escape(printable(str(value), 1000)))
    table.add_section()
    for name, value in sorted(manifest["metrics"].items()):
        table.add_row(name.replace("_", " "), f"{value:.6g}")
    console.print(table)
    for line in history_lines(shown.history):
        console.print(line, highlight=False)


def history_lines(history: Iterable[Entry]) -> Iterator[str]:
    """Yield a line for each change of the current model."""
    for entry in history:
        why = f": {escape(printable(entry.reason, 2000))}" if entry.reason else ""
        former, by = (escape(printable(name)) for name in (entry.former or "none", entry.by))
        how = _FROM[entry.event]
        yield f"{entry.at:%Y-%m-%d %H:%M} UTC  {former} → {escape(printable(entry.version))}, {how}, by {by}{why}"


def show_compared(compared: Compared, console: Console) -> None:
    """Print what both models say of the same decisions, and what the gates say of that."""
    verdict = compared.verdict
    console.print(
        f"{compared.judged:,} of {compared.decisions:,} decisions from {compared.since:%Y-%m-%d %H:%M} to "
        f"{compared.until:%Y-%m-%d %H:%M} UTC, under policy {compared.policy}, judged by "
        f"{'no model' if compared.alone else compared.current} and by the candidate {compared.candidate}; neither was "
        f"trained on them. {_LABELS[compared.labels]}",
        highlight=False,
    )
    for why, count in compared.unanswered.items():
        console.print(f"not re-judgeable: {count:,}: {escape(why)}", highlight=False)
    if compared.refused_lines:
        told = ", ".join(f"{count:,} {why}" for why, count in compared.refused_lines.items())
        console.print(f"lines that are no record: {told}", highlight=False)
    table = Table(caption="95 % intervals by bootstrap over subjects")
    table.add_column("on the same decisions")
    for name in ("signals alone" if compared.alone else "current", "candidate", "change"):
        table.add_column(name, justify="right")
    table.add_row(*_rate("attacks caught", verdict.catch, 100, " %"))
    for kind, paired in verdict.kinds.items():
        table.add_row(*_rate(f"  {escape(printable(kind))}", paired, 100, " %"))
    table.add_row(*_rate("false alarms, 1,000 subject-days", verdict.alarms, 1000, ""))
    odd = ["no model" if share is None else f"{100 * share:.2f} %" for share in verdict.odd]
    table.add_row("anomaly score of .99 or more", *odd, "")
    table.add_row("stability index of the scores", "", "", f"{verdict.stability:.3f}")
    table.add_row("decided otherwise", "", "", f"{compared.differing:,}")
    console.print(table)
    for note in compared.notes:
        console.print(escape(note), highlight=False)
    if verdict.few_labels is not None:
        console.print(f"Too few labels: {verdict.few_labels}.", highlight=False)
    for gate in verdict.gates:
        word = "[green]passed[/green]" if gate.passed else "[red]failed[/red]"
        console.print(f"gate {gate.name}: {word}: {escape(gate.said)}", highlight=False)


def _rate(name: str, paired: Paired | None, unit: int, sign: str) -> tuple[str, str, str, str]:
    if paired is None:
        return name, "", "", "none are known"
    low, high = (unit * end for end in paired.interval)
    change = f"{unit * paired.change:+.2f} ({low:+.2f} to {high:+.2f})"
    return (
        f"{name} (of {paired.of:,})",
        f"{unit * paired.current:.2f}{sign}",
        f"{unit * paired.candidate:.2f}{sign}",
        change,
    )
