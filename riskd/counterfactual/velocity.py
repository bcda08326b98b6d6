"""What the policy's own velocities would have counted under a change."""

from typing import Final

from msgspec.structs import replace

from riskd.counterfactual.change import Change
from riskd.facts import Facts
from riskd.features.velocity import AMOUNT, ATTRIBUTE, Counted, Velocity

OTHERS: Final = {
    "known_device": ("device",),
    "own_device": ("device",),
    "known_network": ("ip", "network"),
    "quiet_address": ("ip", "network"),
    "known_recipient": ("recipient",),
}
"""Changes to another thing → what velocities are per that then count nothing but the present attempt."""
PAST: Final = 62 / 60
"""Windows after which nothing of now is left in one: sums are kept in sixtieths of theirs, begun ones too."""


def counting_anew(change: Change, counted: Counted | None) -> Change:
    """Return the change with the policy's velocities counted as they would have been."""
    if counted is None:
        return change
    at = change.at

    def apply(facts: Facts) -> Facts:
        changed = change.apply(facts)
        if not facts.velocities:
            return changed
        found = dict(facts.velocities)
        for velocity in counted.velocities:
            value = found.get(velocity.key)
            if value is not None:
                found[velocity.key] = _counted(value, velocity, change, facts, changed)
        return replace(changed, velocities=found)

    smaller = None if at is None else lambda step: counting_anew(at(step), counted)
    return replace(change, apply=apply, at=smaller)


def _counted(value: float, velocity: Velocity, change: Change, before: Facts, after: Facts) -> float:
    sums_amount = velocity.kind == "sum" and velocity.of == AMOUNT
    if velocity.per in OTHERS.get(change.code, ()) or (
        change.code == "later" and isinstance(change.value, float) and change.value >= PAST * velocity.window_s
    ):
        return min(value, 1.0) if velocity.kind != "sum" else _addend(velocity, after)
    if change.code == "amount" and sums_amount:
        return max(0.0, value - (before.action.amount or 0.0)) + (after.action.amount or 0.0)
    return value


def _addend(velocity: Velocity, facts: Facts) -> float:
    """Return what the present attempt alone adds to a sum; 0 for an attribute that facts do not keep."""
    if velocity.of == AMOUNT:
        return facts.action.amount or 0.0
    told = facts.attributes.get(velocity.of.removeprefix(ATTRIBUTE))
    return 0.0 if told is None or isinstance(told, str) else float(told)
