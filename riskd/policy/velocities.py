"""Velocities in the policy: how they are declared, what is wrong with a declaration, and what becomes of a sound one.

Of `{name: payouts_24h, count: attempts, per: recipient, window: 24h, limit: 5}` the window is in the name. A velocity
is a number for expressions, `velocity.payouts_24h`; a `limit` makes it a signal of its own besides,
`velocity_payouts_24h`, which hits above the limit.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from riskd.contract import Outcome, OutcomeWord, ShortText, Text
from riskd.features.velocity import AMOUNT, ATTEMPTS, ATTRIBUTE, Counted, Velocity
from riskd.policy.finding import Finding, nearest
from riskd.policy.section import Duration, Section, parse_duration
from riskd.policy.text import Path
from riskd.policy.variables import VELOCITY
from riskd.signals import Signal

MAX_VELOCITIES: Final = 32
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=30)
WEIGHT: Final = 0.4
PER: Final = ("subject", "ip", "network", "device", "recipient")
DISTINCT: Final = (*PER, "country")
_MANY: Final = {"ip": "addresses", "country": "countries", **{word: f"{word}s" for word in PER if word != "ip"}}
_ATTRIBUTE = r"attributes\.[A-Za-z_][A-Za-z0-9_]{0,63}"
_UNITS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


def _words(*words: str) -> dict[str, Any]:
    """Tell editors the words; `unsound_velocities` tells a mistake, with the nearest."""
    return {"pattern": f"^({'|'.join(words)}|{_ATTRIBUTE})$"}


Per = Annotated[str, Field(max_length=80, json_schema_extra=_words(*PER))]
Sum = Annotated[str, Field(max_length=80, json_schema_extra=_words(AMOUNT))]
Distinct = Annotated[str, Field(max_length=80, json_schema_extra=_words(*DISTINCT))]


class VelocityRules(Section):
    """A velocity of your own: what happens how often in a window, this attempt included.

    It says one of `count`, `sum` and `distinct`.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
    """Ends in its window: `payouts_24h`. In expressions it is `velocity.payouts_24h`."""
    count: Literal["attempts"] | None = None
    """Count attempts."""
    sum: Sum | None = None
    """Add up `amount`, each currency for itself, or a number among the attributes, `attributes.<name>`."""
    distinct: Distinct | None = None
    """Count how many different ones there are of `subject`, `ip`, `network`, `device`, `recipient`, `country` or
    `attributes.<name>`; counting stops at 256."""
    per: Per
    """What it is counted on: `subject`, `ip`, `network`, `device`, `recipient` or `attributes.<name>`. Unknown for an
    attempt that does not present it."""
    window: Duration
    """1s to 30d, in whole seconds. Counts and sums slide in steps of a 60th of it, and cover that much more at most."""
    actions: Annotated[tuple[ShortText, ...], Field(max_length=500)] = ()
    """Classes of actions that are counted and are told the count, `other` among them; empty: all."""
    limit: Annotated[float, Field(ge=0, le=1e18)] | None = None
    """Above it the signal `velocity_<name>` hits; unset: there is no such signal."""
    weight: Annotated[float, Field(ge=0, lt=1)] = WEIGHT
    """Share of the score of that signal, 0 to below 1."""
    floor: OutcomeWord = "allow"
    """Least outcome a hit of that signal forces; `allow` forces nothing."""
    text: Text | None = None
    """The reason of that signal in words; unset: made from the declaration."""
    shadow: bool = False
    """Only look: that signal is asked, counted and recorded, but neither weighs nor forces nor degrades."""
    breaker: bool = True
    """That signal loses the power to deny while it would stop too many established subjects."""

    @property
    def code(self) -> str:
        """Reason code of the signal that a limit makes."""
        return f"velocity_{self.name}"


def declared_velocities(rules: Sequence[VelocityRules]) -> tuple[Velocity, ...]:
    """Return the velocities of a policy in their order."""
    return tuple(
        Velocity(
            name=rule.name,
            kind=kind,
            of=of,
            per=rule.per,
            window_s=rule.window.total_seconds(),
            actions=rule.actions,
        )
        for rule in rules
        for kind, of in _said(rule)[:1]
    )


def counted(velocities: Sequence[Velocity], classes: Collection[str]) -> dict[str, Counted | None]:
    """Return what is counted of each class of actions; classes of which the same is counted share it."""
    made: dict[tuple[str, ...], Counted] = {}
    found: dict[str, Counted | None] = {}
    for kind in classes:
        chosen = tuple(v for v in velocities if not v.actions or kind in v.actions)
        found[kind] = made.setdefault(tuple(v.key for v in chosen), Counted(chosen)) if chosen else None
    return found


def limit_signals(rules: Sequence[VelocityRules]) -> Iterator[tuple[tuple[str, ...], Signal]]:
    """Yield the signals that limits make, each with the classes of actions that it is for; none: all."""
    for rule in rules:
        if rule.limit is not None:
            yield rule.actions, _signal(rule, rule.limit)


def unsound_velocities(
    rules: Sequence[VelocityRules], classes: Collection[str], attributes: Mapping[str, str], codes: Collection[str]
) -> Iterator[Finding]:
    """Yield every mistake in the velocities of a policy with these classes, attributes and codes of other signals."""
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        path: Path = ("velocities", number)
        if rule.name in seen:
            yield Finding((*path, "name"), f"two velocities are called {rule.name!r}")
        seen.add(rule.name)
        if rule.limit is not None and rule.code in codes:
            yield Finding((*path, "name"), f"its limit makes the signal {rule.code!r}, and another is called so")
        yield from _unsound_window(path, rule)
        yield from _unsound_words(path, rule, attributes)
        for at, kind in enumerate(rule.actions):
            if kind not in classes:
                yield Finding((*path, "actions", at), f"no such class of actions: {kind!r}", nearest(kind, classes))
        for key in ("weight", "floor", "text", "shadow", "breaker"):
            if rule.limit is None and key in rule.model_fields_set:
                yield Finding((*path, key), "says nothing without a limit", of_key=True)


def uncounted(
    path: Path, actions: Collection[str], reads: Collection[str], rules: Sequence[VelocityRules]
) -> Iterator[Finding]:
    """Yield a mistake for each velocity that the expression at `path` reads where it is not counted."""
    for rule in rules:
        if f"{VELOCITY}{rule.name}" in reads and rule.actions and not (actions and set(actions) <= set(rule.actions)):
            only = ", ".join(rule.actions[:5])
            said = (
                f"reads {VELOCITY}{rule.name}, which is counted for {only} only: give the signal `actions` among these"
            )
            yield Finding(path, said)


def _said(rule: VelocityRules) -> list[tuple[Literal["count", "sum", "distinct"], str]]:
    said: list[tuple[Literal["count", "sum", "distinct"], str]] = []
    if rule.count is not None:
        said.append(("count", ATTEMPTS))
    if rule.sum is not None:
        said.append(("sum", rule.sum))
    if rule.distinct is not None:
        said.append(("distinct", rule.distinct))
    return said


def _unsound_window(path: Path, rule: VelocityRules) -> Iterator[Finding]:
    window = rule.window
    if not SHORTEST <= window <= LONGEST or window.microseconds:
        yield Finding((*path, "window"), "must be 1s to 30d, in whole seconds")
        return
    stem, _, end = rule.name.rpartition("_")
    if not re.fullmatch(r"[0-9]+[smhd]", end) or parse_duration(end) != window:
        near = f"{stem if stem and re.fullmatch('[0-9]+[smhd]?', end) else rule.name}_{written(window)}"
        yield Finding((*path, "name"), f"must end in its window, as in {near!r}", (near,))


def _unsound_words(path: Path, rule: VelocityRules, attributes: Mapping[str, str]) -> Iterator[Finding]:
    said = _said(rule)
    if len(said) != 1:
        one = "says none of count, sum and distinct" if not said else f"says {' and '.join(kind for kind, _ in said)}"
        yield Finding(path, f"{one}: it needs one of the three")
    words: tuple[tuple[str, str | None, tuple[str, ...]], ...] = (
        ("per", rule.per, PER),
        ("sum", rule.sum, (AMOUNT,)),
        ("distinct", rule.distinct, DISTINCT),
    )
    for key, word, known in words:
        if word is None or word in known or re.fullmatch(_ATTRIBUTE, word):
            continue
        near = nearest(word, (*known, *[f"{ATTRIBUTE}{name}" for name in attributes]))
        yield Finding((*path, key), f"must be {', '.join(known)} or attributes.<name>", near)
    if rule.distinct == rule.per:
        yield Finding((*path, "distinct"), f"is always 1: every {rule.per} has one {rule.per}")
    kind = attributes.get((rule.sum or "").removeprefix(ATTRIBUTE), "number")
    if kind != "number":
        yield Finding((*path, "sum"), f"{rule.sum} is declared a {kind}; only numbers have a sum")


def written(window: timedelta) -> str:
    """Write a window as names do, in the largest unit that it is a whole number of; a day is 24h."""
    seconds = int(window.total_seconds())
    unit, length = next((u, s) for u, s in _UNITS.items() if seconds % s == 0 and (u != "d" or seconds > s))
    return f"{seconds // length}{unit}"


def _signal(rule: VelocityRules, limit: float) -> Signal:
    no_knobs: Mapping[str, Any] = {}
    return Signal(
        code=rule.code,
        family="velocity",
        weight=rule.weight,
        reads=(f"{VELOCITY}{rule.name}",),
        knobs=no_knobs,
        text=rule.text or _text(rule, limit),
        doc=f"Hits when {rule.name} is above {limit:g}.",
        floor=Outcome.of(rule.floor),
        statistical=False,
        dated_by=None,
        ask=lambda value: value > limit,
    )


def _text(rule: VelocityRules, limit: float) -> str:
    kind, of = _said(rule)[0]
    what = of.removeprefix(ATTRIBUTE)
    if kind == "sum":
        many = "in amounts" if of == AMOUNT else f"of {what!r}"
    elif kind == "distinct":
        many = f"different {_MANY.get(of, f'values of {what!r}')}"
    else:
        many = "attempts"
    per = "address" if rule.per == "ip" else rule.per.removeprefix(ATTRIBUTE)
    return f"More than {limit:,g} {many} per {per} in {written(rule.window)}."


__all__ = [
    "MAX_VELOCITIES",
    "VelocityRules",
    "counted",
    "declared_velocities",
    "limit_signals",
    "uncounted",
    "unsound_velocities",
    "written",
]
