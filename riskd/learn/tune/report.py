"""What tuning found, as tables for the terminal."""

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from riskd.learn.tune.choose import Choice, Rates
from riskd.learn.tune.predict import Prediction
from riskd.learn.tune.tune import Tuned


def show(tuned: Tuned, console: Console) -> None:
    """Print all of it but the diff."""
    console.print(escape(grounds(tuned)), highlight=False)
    console.print(thresholds(tuned))
    for note in notes(tuned):
        console.print(note, highlight=False)
    console.print(friction_catch(tuned))
    console.print(promise(tuned), style="bold", highlight=False)


def promise(tuned: Tuned) -> str:
    """Say in one sentence what is promised."""
    chosen, then = tuned.chosen, tuned.chosen.then.troubled
    said = (
        f"In the next {days(tuned)}, {100 * then.low:.2f} to {100 * then.high:.2f} % of the decisions about honest "
        f"subjects will be stepped up or denied (95 % prediction interval; expected {100 * then.share:.2f} %, "
        f"{100 * chosen.now.troubled.share:.2f} % with the thresholds in force)."
    )
    if then.trend is not None:
        first, second = then.trend
        said += (
            f" The share moved from {100 * first:.2f} % in the first half of the log to {100 * second:.2f} % in the "
            "second, more than by chance: the interval reaches to where that leads; `--since` leaves a beginning out."
        )
    return said


def days(tuned: Tuned) -> str:
    """Return the length of the period in words."""
    return f"{max(1, round(tuned.span.total_seconds() / 86_400))} days"


def grounds(tuned: Tuned) -> str:
    """Say what the log held and how it was counted."""
    said = (
        f"{tuned.honest:,} decisions from {tuned.begins:%Y-%m-%d} to {tuned.ends:%Y-%m-%d} count as honest, "
        f"{tuned.attacks:,} as attacks, {tuned.neither:,} as neither ({tuned.unproven_denies:,} denies that nobody "
        "vouched for, wrong passwords, abandoned step-ups)."
    )
    if tuned.unanswered:
        whys = ", ".join(f"{why}: {many:,}" for why, many in tuned.unanswered.items())
        said += f" Not re-judgeable: {sum(tuned.unanswered.values()):,} ({whys})."
    return said


def thresholds(tuned: Tuned) -> Table:
    """Return the thresholds, in force and chosen, and what they do."""
    table = _table("action class")
    deny = any(choice.deny != choice.place.deny for choice in tuned.chosen.choices)
    for column in ("honest", "step_up", *(["deny"] if deny else []), "now", "expected (95 %)", "attacks caught"):
        table.add_column(column, justify="right", no_wrap=True)
    for choice in tuned.chosen.choices:
        moves = [moved(choice.place.step_up, choice.step_up)]
        moves += [moved(choice.place.deny, choice.deny)] if deny else []
        table.add_row(*_row(escape(name(choice)), moves, choice.now, choice.then), style="dim" if choice.kept else None)
    table.add_section()
    moves = ["", ""] if deny else [""]
    table.add_row(*_row("tuned together", moves, tuned.chosen.now, tuned.chosen.then), style="bold")
    return table


def _row(what: str, moves: list[str], now: Rates, then: Rates) -> list[str]:
    return [what, f"{now.troubled.total:,}", *moves, share(now.troubled), str(then.troubled), caught(now, then)]


def _table(first: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    return table


def friction_catch(tuned: Tuned) -> Table:
    """Return the friction-catch curve."""
    table = _table("at most")
    for column in ("stepped up (95 %)", "attacks caught"):
        table.add_column(column, justify="right")
    for point in tuned.points:
        table.add_row(f"{100 * point.asked:g} %", str(point.troubled), of(point.caught.hits, point.caught.total))
    return table


def notes(tuned: Tuned) -> Iterator[Text]:
    """Yield why thresholds stay as they are, each reason once, and which floors weigh."""
    whys: dict[str, list[str]] = {}
    for choice in tuned.chosen.choices:
        if choice.kept is not None:
            whys.setdefault(choice.kept, []).append(choice.place.name)
    for why, names in whys.items():
        yield Text(f"kept: {', '.join(names)}: {why}")
    for choice in tuned.chosen.tuned:
        if len(choice.shared_by) > 1:
            yield Text(
                f"{name(choice)}: {', '.join(choice.shared_by)}, each known too little to have its own threshold"
            )
    for choice in tuned.chosen.tuned:
        most = [f"{floored.by} {100 * floored.share:.2f} %" for floored in choice.floors[:3]]
        if most:
            yield Text(f"floors of {name(choice)}: {', '.join(most)}")


def name(choice: Choice) -> str:
    """Return what a choice is about."""
    return f"{choice.place.name} ({len(choice.shared_by)})" if len(choice.shared_by) > 1 else choice.place.name


def moved(now: float, then: float) -> str:
    """Return a threshold before and after."""
    return f"{now:g}" if now == then else f"{now:g} → {then:g}"


def share(found: Prediction) -> str:
    """Return a share without its interval; a dash when nothing was counted."""
    return f"{100 * found.share:.2f} %" if found.total else "-"


def caught(now: Rates, then: Rates) -> str:
    """Return a catch before and after, in numbers: shares of a few attacks would look surer than they are."""
    if now.caught.hits == then.caught.hits:
        return of(now.caught.hits, now.caught.total)
    return f"{now.caught.hits:,} → {of(then.caught.hits, then.caught.total)}"


def of(hits: int, total: int) -> str:
    """Return some of all; a dash of none."""
    return f"{hits:,} of {total:,}" if total else "-"
