"""What a custom signal's expression may read, by name, and how it is fetched from facts.

Every fact is a variable under its dotted name (`action.amount`, `network.kind`, `history.failures_1h`), every feature
is one under `features.`, the model's score is `anomaly_score`, the moment is `time.hour` and `time.weekday` in UTC, and
the request's attributes are those that the policy declares (`attributes.plan`), and so are velocities
(`velocity.payouts_24h`). All numbers are doubles, counts too.
Texts are read as they are recorded: what looks like a secret and is not spelled in the policy is a keyed hash.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from operator import attrgetter
from types import MappingProxyType, NoneType, UnionType
from typing import Any, get_args, get_type_hints

from msgspec import Struct

from riskd.facts import AttributeValue, Facts
from riskd.features import FEATURES, Fault
from riskd.signals import ANOMALY_SCORE, INPUTS

FEATURE = "features."
ATTRIBUTE = "attributes."
VELOCITY = "velocity."
LONGEST_SHOWN = 100
"""Characters of a text that a reason tells."""


class Kind(StrEnum):
    """What a variable holds; the first three are also what an attribute may be declared as."""

    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"
    TEXTS = "list of texts"


_KIND_OF: Mapping[Any, Kind] = {
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    str: Kind.TEXT,
    bool: Kind.FLAG,
    tuple[str, ...]: Kind.TEXTS,
}
_CLASSES: Mapping[Kind, set[type]] = {Kind.NUMBER: {int, float}, Kind.TEXT: {str}, Kind.FLAG: {bool}}


def known_part(hint: Any) -> Any:  # noqa: ANN401 - any annotation
    """Return an annotation without its `None`."""
    if isinstance(hint, UnionType):
        parts = [part for part in get_args(hint) if part is not NoneType]
        return parts[0] if len(parts) == 1 else hint
    return hint


FACT_GROUPS: Mapping[str, type[Struct]] = MappingProxyType(
    {
        name: group
        for name, hint in get_type_hints(Facts).items()
        if isinstance(group := known_part(hint), type) and issubclass(group, Struct)
    }
)
"""Groups of facts by name, in the order in which `Facts` declares them."""

_facts = {
    f"{name}.{field}": kind
    for name, group in FACT_GROUPS.items()
    for field, hint in get_type_hints(group).items()
    if (kind := _KIND_OF.get(known_part(hint))) is not None
}
_TIME: Mapping[str, Callable[[Facts], float]] = {
    "time.hour": lambda facts: float(facts.time.hour),
    "time.weekday": lambda facts: float(facts.time.isoweekday()),
}
VARIABLES: Mapping[str, Kind] = MappingProxyType(
    {
        **_facts,
        **dict.fromkeys(_TIME, Kind.NUMBER),
        **{f"{FEATURE}{f.name}": Kind.NUMBER if f.numeric else Kind.TEXT for f in FEATURES.values()},
        ANOMALY_SCORE: Kind.NUMBER,
    }
)
"""Every variable that any policy has; those that one declares come on top."""


def declared_variables(attributes: Mapping[str, str], velocities: Iterable[str]) -> dict[str, Kind]:
    """Return the variables that a policy has of itself: its attributes, and its velocities by their names."""
    return {
        **{f"{ATTRIBUTE}{name}": Kind(kind) for name, kind in attributes.items()},
        **{f"{VELOCITY}{name}": Kind.NUMBER for name in velocities},
    }


def input_of(name: str) -> int | None:
    """Return where a variable stands among what built-in signals read; None when it must be fetched from facts."""
    if name == ANOMALY_SCORE:
        return INPUTS.index(name)
    return INPUTS.index(name.removeprefix(FEATURE)) if name.startswith(FEATURE) else None


class Reader:
    """Fetches the variables that a policy's expressions read and no feature holds, once per attempt."""

    names: tuple[str, ...]
    """Names of the values, in their order."""

    def __init__(self, names: Iterable[str], kinds: Mapping[str, Kind], velocities: Mapping[str, str]) -> None:
        """`kinds` are those of the attributes among `names`, `velocities` what facts call the velocities."""
        wanted: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            group, _, field = name.partition(".")
            wanted.setdefault(group, []).append(field)
        times, attributes, counts = (wanted.pop(group, []) for group in ("time", "attributes", "velocity"))
        self._groups = [
            (attrgetter(group), _fields_of(fields), (None,) * len(fields)) for group, fields in wanted.items()
        ]
        self._times = [_TIME[f"time.{name}"] for name in times]
        self._attributes = [(name, kinds[f"{ATTRIBUTE}{name}"]) for name in attributes]
        self._velocities = [velocities[name] for name in counts]
        self.names = (
            *(f"{group}.{field}" for group, fields in wanted.items() for field in fields),
            *(f"time.{name}" for name in times),
            *(f"{ATTRIBUTE}{name}" for name in attributes),
            *(f"{VELOCITY}{name}" for name in counts),
        )

    def __call__(self, facts: Facts) -> tuple[list[Any], bool]:
        """Return the values in the order of `names`, and whether any is a Fault: an attribute of another kind."""
        values: list[Any] = []
        for group_of, fields_of, blank in self._groups:
            group = group_of(facts)
            values += blank if group is None else fields_of(group)
        for read_time in self._times:
            values.append(read_time(facts))
        faulty = False
        for name, kind in self._attributes:
            value = facts.attributes.get(name)
            if value is None or type(value) in _CLASSES[kind]:
                values.append(value)
            else:
                values.append(_fault(name, kind, value))
                faulty = True
        values += map(facts.velocities.get, self._velocities)
        return values, faulty


def shown(value: Any) -> Any:  # noqa: ANN401 - whatever a signal reads
    """Return a value as a reason tells it: a list as one text, and what a caller sent not longer than is read."""
    if isinstance(value, tuple):
        value = ", ".join(value)
    return f"{value[:LONGEST_SHOWN]}…" if isinstance(value, str) and len(value) > LONGEST_SHOWN else value


def _fields_of(fields: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    fetch = attrgetter(*fields)
    return fetch if len(fields) > 1 else lambda group: (fetch(group),)


def _fault(name: str, kind: Kind, value: AttributeValue) -> Fault:
    return Fault(feature=f"{ATTRIBUTE}{name}", error=f"a {_KIND_OF[type(value)]}, not the {kind} that is declared")


__all__ = [
    "ATTRIBUTE",
    "FACT_GROUPS",
    "FEATURE",
    "VARIABLES",
    "VELOCITY",
    "Kind",
    "Reader",
    "declared_variables",
    "input_of",
    "known_part",
    "shown",
]
