"""Custom signals: what a policy declares under `custom_signals` becomes signals like the built-in ones.

Such a signal hits when its expression holds. It is unknown while anything that the expression reads is unknown,
whatever the rest would say: `network.tor || device.bot` is unknown without a user agent even at a Tor exit. (Write two
signals where each shall count alone.) When the expression fails, or an attribute is of another kind than declared, the
signal is in error, named in `degraded`, and the action's fail mode is the floor.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from riskd.contract import Outcome
from riskd.policy.finding import Finding, nearest
from riskd.policy.schema import OTHER, CustomSignal, PolicyFile
from riskd.policy.text import Path
from riskd.policy.variables import declared_variables
from riskd.policy.velocities import uncounted
from riskd.signals import SIGNALS, Signal

if TYPE_CHECKING:
    from riskd.policy.cel import Expression

MAX_READS: Final = 24
"""Variables that one expression may read: each is told in the reason."""
MAX_ALL_STEPS: Final = 20_000
"""Steps that all expressions of a policy together may cost, some 2 ms."""


class Declared(Struct, frozen=True):
    """A custom signal, ready to be asked."""

    signal: Signal
    actions: frozenset[str]
    """Classes of actions that it is for; empty for all."""
    expression: "Expression"


def declared_signals(file: PolicyFile) -> tuple[Declared, ...]:
    """Return the custom signals of a policy in their order; raises WrongExpressionError for one that is unsound."""
    return tuple([_declared(rule, _expression(rule, file)) for rule in file.custom_signals])


def unsound_signals(file: PolicyFile) -> Iterator[Finding]:
    """Yield every mistake in the custom signals of a policy, each with its place within the expression."""
    seen: set[str] = set()
    classes = [*file.actions, OTHER]
    for number, rule in enumerate(file.custom_signals):
        path: Path = ("custom_signals", number)
        if rule.code in SIGNALS:
            yield Finding((*path, "code"), f"{rule.code!r} is a built-in signal: choose another code")
        elif rule.code in seen:
            yield Finding((*path, "code"), f"two custom signals are called {rule.code!r}")
        seen.add(rule.code)
        for at, kind in enumerate(rule.actions):
            if kind not in classes:
                said = f"no such class of actions: {kind!r}"
                yield Finding((*path, "actions", at), said, nearest(kind, classes))
    if file.custom_signals:
        yield from _unsound_expressions(file)


def _unsound_expressions(file: PolicyFile) -> Iterator[Finding]:
    from riskd.policy.cel import WrongExpressionError  # noqa: PLC0415 - 14 MB that only these policies need

    steps = 0
    for number, rule in enumerate(file.custom_signals):
        path: Path = ("custom_signals", number, "when")
        try:
            expression = _expression(rule, file)
        except WrongExpressionError as error:
            yield from (Finding(path, said, near, offset=at) for at, said, near in error.wrong)
            continue
        steps += expression.steps
        if len(expression.reads) > MAX_READS:
            yield Finding(path, f"reads {len(expression.reads)} variables, over {MAX_READS}")
        yield from uncounted(path, rule.actions, expression.reads, file.velocities)
    if steps > MAX_ALL_STEPS:
        said = f"may take {steps:,} steps together, over the budget of {MAX_ALL_STEPS:,}"
        yield Finding(("custom_signals",), said, of_key=True)


def _expression(rule: CustomSignal, file: PolicyFile) -> "Expression":
    from riskd.policy.cel import expression  # noqa: PLC0415

    declared = declared_variables(file.attributes, [velocity.name for velocity in file.velocities])
    return expression(rule.when, tuple(declared.items()))


def _declared(rule: CustomSignal, expression: "Expression") -> Declared:
    signal = Signal(
        code=rule.code,
        family="custom",
        weight=rule.weight,
        reads=expression.reads,
        knobs={},
        text=rule.text,
        doc=f"Hits when {' '.join(rule.when.split())}",
        floor=Outcome.of(rule.floor),
        statistical=False,
        dated_by=None,
        ask=expression.ask,
    )
    return Declared(signal, frozenset(rule.actions), expression)


__all__ = ["MAX_ALL_STEPS", "MAX_READS", "Declared", "declared_signals", "unsound_signals"]
