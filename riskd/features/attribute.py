"""Attributes of a request that a model reads: numbers and flags as they are, categories by what was learned of each."""

from collections.abc import Mapping, Sequence
from math import isfinite

from msgspec import Struct

PREFIX = "attributes."


class AttributeInput(Struct, frozen=True, forbid_unknown_fields=True):
    """One input of a model: an attribute that the policy declares."""

    name: str
    categories: dict[str, float] | None = None
    """What was learned of each value of a text, log odds of an attack; None for a number or flag."""

    def encoded(self, value: object) -> float | None:
        """Return the input's value; None, which is unknown, for what is missing, of another kind or was never seen."""
        if self.categories is not None:
            return self.categories.get(value) if isinstance(value, str) else None
        return float(value) if isinstance(value, int | float) and isfinite(value) else None


def encoded(inputs: Sequence[AttributeInput], attributes: Mapping[str, object]) -> tuple[float | None, ...]:
    """Return the inputs that attributes give."""
    return tuple([one.encoded(attributes.get(one.name)) for one in inputs])


__all__ = ["PREFIX", "AttributeInput", "encoded"]
