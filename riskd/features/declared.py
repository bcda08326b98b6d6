"""What a model reads beside the features: amount and hour, and the velocities and attributes that a policy declares.

Each deployment has its own: what was learned of them stands in its artifact. Money is read as a multiple of what is
usual in its currency, of a category what was learned of it; numbers, flags and counts are read as they are. What is
missing, of another kind or was never seen is None, which is unknown.
"""

from collections.abc import Mapping, Sequence
from math import isfinite

from msgspec import Struct

from riskd.facts import Facts

AMOUNT = "action.amount"
HOUR = "time.hour"
VELOCITY = "velocity."
ATTRIBUTE = "attributes."


class AmountInput(Struct, frozen=True, forbid_unknown_fields=True):
    """The amount attempted."""

    usual: dict[str, float]
    """By currency the median amount of honest attempts; an amount in another currency is unknown."""

    @property
    def label(self) -> str:
        """Name of the input, as expressions of a policy call it."""
        return AMOUNT

    def read(self, facts: Facts) -> float | None:
        """Return the amount as a multiple of the usual one."""
        return _multiple(facts.action.amount, facts, self.usual)


class HourInput(Struct, frozen=True, forbid_unknown_fields=True):
    """The hour of the day, UTC."""

    @property
    def label(self) -> str:
        """Name of the input, as expressions of a policy call it."""
        return HOUR

    def read(self, facts: Facts) -> float:
        """Return the hour, 0 ≤ h < 24, as a whole number: as a policy reads it."""
        return float(facts.time.hour)


class VelocityInput(Struct, frozen=True, forbid_unknown_fields=True):
    """A velocity that the policy declares."""

    key: str
    """Its name and the id of its definition, as facts have it: under another definition it is unknown."""
    usual: dict[str, float] | None = None
    """Of a sum of amounts: by currency the median amount of honest attempts; None of a count or another sum."""

    @property
    def label(self) -> str:
        """Name of the input, as expressions of a policy call it."""
        return VELOCITY + self.key.partition(":")[0]

    def read(self, facts: Facts) -> float | None:
        """Return what was counted, this attempt included; a sum of amounts as a multiple of the usual amount."""
        counted = facts.velocities.get(self.key)
        return counted if self.usual is None else _multiple(counted, facts, self.usual)


class AttributeInput(Struct, frozen=True, forbid_unknown_fields=True):
    """An attribute that the policy declares."""

    name: str
    categories: dict[str, float] | None = None
    """What was learned of each value of a text, log odds of an attack; None for a number or flag."""

    @property
    def label(self) -> str:
        """Name of the input, as expressions of a policy call it."""
        return ATTRIBUTE + self.name

    def read(self, facts: Facts) -> float | None:
        """Return the input's value."""
        value = facts.attributes.get(self.name)
        if self.categories is not None:
            return self.categories.get(value) if isinstance(value, str) else None
        return float(value) if isinstance(value, int | float) and isfinite(value) else None


DeclaredInput = AmountInput | HourInput | VelocityInput | AttributeInput


def encoded(inputs: Sequence[DeclaredInput], facts: Facts) -> tuple[float | None, ...]:
    """Return the inputs' values for an attempt."""
    return tuple([one.read(facts) for one in inputs])


def _multiple(amount: float | None, facts: Facts, usual: Mapping[str, float]) -> float | None:
    currency = facts.action.currency
    unit = None if currency is None else usual.get(currency)
    return None if amount is None or unit is None else amount / unit


__all__ = ["AmountInput", "AttributeInput", "DeclaredInput", "HourInput", "VelocityInput", "encoded"]
