"""What came before a case: which attempts, when each was, and in what they differ."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any, NamedTuple

from riskd.app.cases.schema import Step
from riskd.contract import DecideRequest
from riskd.policy.section import parse_duration

Tree = dict[str, Any]
AGO = " ago"
RELATIVE = (("subject", "auth_time"), ("context", "time"))
"""Times of a request that may be written `20s ago`."""
_FIELDS = {
    "subject": ("subject", "id"),
    "ip": ("context", "ip"),
    "device": ("context", "device_id"),
    "session": ("subject", "session_id"),
    "recipient": ("action", "recipient"),
}
_IPV6_NETWORK_BITS = 64
"""Addresses of one /64 count as one, so different ones are as far apart."""


class Past(NamedTuple):
    """One step of a history."""

    step: Step
    tree: Tree
    """The request, whole but for a request id: each attempt is one of its own."""


class Moment(NamedTuple):
    """One attempt of a history."""

    at: datetime
    past: Past
    number: int
    """Which of its step it is, from 1, oldest first."""


def moments(history: Iterable[Past], at: datetime) -> list[Moment]:
    """Return all attempts before a case at `at`, oldest first; of the same time in the order of the file."""
    found = [Moment(at - age, past, number) for past in history for number, age in enumerate(ages(past.step), start=1)]
    found.sort(key=lambda moment: moment.at)
    return found


def ages(step: Step) -> Iterator[timedelta]:
    """Yield how long before the case each attempt of a step was, oldest first."""
    times = step.times
    if step.within is not None:
        gap = step.within / times
        last = (step.ago or timedelta(0)) + gap / 2
    else:
        gap = step.every or timedelta(0)
        last = gap if step.ago is None else step.ago
    return (last + gap * later for later in reversed(range(times)))


def request_at(tree: Mapping[str, Any], at: datetime) -> DecideRequest:
    """Read a request as of a time, just as from the wire; raises ValidationError."""
    body = dict(tree)
    for part, field in RELATIVE:
        group = body.get(part)
        if isinstance(group, dict) and (age := _age(group.get(field))) is not None:
            body[part] = {**group, field: (at - age).timestamp()}
    return DecideRequest.model_validate_json(json.dumps(body))


def _age(said: object) -> timedelta | None:
    if not isinstance(said, str) or not said.endswith(AGO):
        return None
    try:
        age = parse_duration(said.removesuffix(AGO))
    except ValueError:
        return None
    return age if isinstance(age, timedelta) else None


def is_the_same_at_all_times(past: Past) -> bool:
    """Whether all attempts of a step are one request, which need not be made again for each."""
    relative = any(_age((past.tree.get(part) or {}).get(field)) is not None for part, field in RELATIVE)
    return not relative and not past.step.different


def differing(past: Past, number: int) -> Tree:
    """Return the request of the `number`th attempt of a step, with what it has of its own."""
    tree = {part: dict(group) if isinstance(group, dict) else group for part, group in past.tree.items()}
    for what in past.step.different:
        if what in _FIELDS:
            part, field = _FIELDS[what]
            group = tree.setdefault(part, {})
        else:
            field = what.partition(".")[2]
            context = tree.setdefault("context", {})
            group = context["attributes"] = dict(context.get("attributes") or {})
        group[field] = _address(group[field], number) if what == "ip" else _another(group.get(field, field), number)
    return tree


def _another(value: object, number: int) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value + number
    return f"{value}-{number}"


def _address(text: str, number: int) -> str:
    address = ip_address(text)
    step = number if address.version == 4 else number << _IPV6_NETWORK_BITS
    return str(type(address)((int(address) + step) % (1 << address.max_prefixlen)))
