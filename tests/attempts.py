"""Facts for tests: an attempt about which nothing is known, to which a test adds what it is about."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import fields

from riskd.facts import (
    ActionFacts,
    AddressCounts,
    DeviceCounts,
    DeviceFacts,
    Facts,
    KnownPlace,
    ListFacts,
    LiveSession,
    NetworkCounts,
    NetworkFacts,
    PayloadSeen,
    PlaceFacts,
    SubjectFacts,
    SubjectHistory,
)

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
"""A Wednesday."""

NEVER_SEEN: dict[str, Any] = {
    field.name: 0 if field.type in {int, float} else () if field.name in {"places", "sessions"} else None
    for field in fields(SubjectHistory)
} | {"token": "t"}
"""History of a subject of whom nothing is confirmed: every count 0, every age unknown."""

_GROUPS: dict[str, Any] = {
    "subject": SubjectFacts,
    "network": NetworkFacts,
    "place": PlaceFacts,
    "device": DeviceFacts,
    "lists": ListFacts,
    "exempt": dict,
    "payload": PayloadSeen,
    "velocities": dict,
    "attributes": dict,
}
_COUNTS: dict[str, Any] = {
    "address_counts": AddressCounts,
    "network_counts": NetworkCounts,
    "device_counts": DeviceCounts,
}


def history(**known: Any) -> SubjectHistory:  # noqa: ANN401 - fields vary in type
    """History of a subject of whom only `known` is known."""
    return SubjectHistory(**{**NEVER_SEEN, **known})


def known_place(latitude: float | None, longitude: float | None, **more: Any) -> KnownPlace:  # noqa: ANN401
    """A place of a confirmed success an hour ago, exact to the kilometre unless `more` says otherwise."""
    usual = {"accuracy_km": 0.0, "country": None, "age_s": 3600.0, "vague": False, "ip": None}
    return KnownPlace(latitude, longitude, **{**usual, **more})


def live_session(latitude: float | None, longitude: float | None, **more: Any) -> LiveSession:  # noqa: ANN401
    """Another live session, started an hour and seen a minute ago, exact to the kilometre unless `more` says so."""
    usual = {"accuracy_km": 0.0, "country": None, "seen_age_s": 60.0, "started_age_s": 3600.0, "vague": False}
    return LiveSession(latitude, longitude, **{**usual, **more})


def attempt(**groups: Any) -> Facts:  # noqa: ANN401 - a group is a mapping, or the finished thing
    """Build facts from groups given as mappings of the fields that are known; all else is unknown.

    The mappings may come from a file: lists become tuples, counts that are left out are 0.
    """
    made = {name: _group(name, value) for name, value in groups.items()}
    return Facts(**{"time": NOON, "subject": SubjectFacts(token="t"), "action": ActionFacts(name="login"), **made})


def _group(name: str, value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, Mapping):
        return value
    known = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    if name == "action":
        return ActionFacts(**{"name": "login", **known})
    if name == "history":
        for kind, make in (("places", known_place), ("sessions", live_session)):
            known[kind] = tuple(make(**item) if isinstance(item, Mapping) else item for item in known.get(kind, ()))
        return history(**known)
    if name in _COUNTS:
        made = _COUNTS[name]
        return made(**{field.name: 0 for field in fields(made)} | known)
    return _GROUPS[name](**known)
