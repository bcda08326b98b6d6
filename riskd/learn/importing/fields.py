"""What a column may fill, and how its text is read."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from math import isfinite
from typing import Any, Final

from riskd.learn.importing.row import LONGEST_TEXT, Unusable

TIME, SUCCEEDED, FRAUD = "time", "outcome.succeeded", "outcome.fraud"
BROWSER, SYSTEM, KIND = "device.browser", "device.os", "device.kind"
ATTRIBUTE: Final = "context.attributes."
"""Before the name of an attribute of one's own."""
YES: Final = frozenset({"true", "1", "yes", "y", "success", "succeeded", "successful", "ok", "accepted", "passed"})
NO: Final = frozenset({"false", "0", "no", "n", "failure", "failed", "fail", "error", "denied", "rejected", "invalid"})


def text(value: Any) -> str:  # noqa: ANN401 - anything that JSON holds
    """Read a text; a number stands for its digits."""
    if isinstance(value, str) and len(value) <= LONGEST_TEXT:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError


def number(value: Any) -> float:  # noqa: ANN401
    """Read a number."""
    if isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - whatever is wrong with a value is one thing
    return float(value if isinstance(value, int | float) else text(value))


def whole(value: Any) -> int:  # noqa: ANN401
    """Read a whole number, of an AS number also `AS64500`."""
    digits = text(value).strip().upper().removeprefix("AS").removesuffix(".0")
    if len(digits) > 20:
        raise ValueError
    return int(digits)


def flag(value: Any) -> bool:  # noqa: ANN401
    """Read a yes or a no in one of its usual words."""
    if isinstance(value, bool):
        return value
    word = text(value).strip().lower()
    if word not in YES and word not in NO:
        raise ValueError
    return word in YES


def words(value: Any) -> list[str]:  # noqa: ANN401
    """Read words, as a list or with spaces or commas between them."""
    if isinstance(value, list):
        return [text(item) for item in value[:64]]
    return text(value).replace(",", " ").split()


def country(value: Any) -> str:  # noqa: ANN401
    """Read a country code in letters of any size."""
    return text(value).strip().upper()


Read = Callable[[Any], Any]
_CONTEXT = ("place.", "network.")
FIELDS: Final[Mapping[str, Read]] = {
    TIME: text,
    SUCCEEDED: text,
    FRAUD: text,
    "request_id": text,
    "subject.id": text,
    "subject.type": text,
    "subject.session_id": text,
    "subject.account_age_days": number,
    "subject.email_domain": text,
    "subject.acr": text,
    "subject.amr": words,
    "subject.enrolled_factors": words,
    "subject.leaked_credential": flag,
    "action.name": text,
    "action.amount": number,
    "action.currency": country,
    "action.recipient": text,
    "resource.type": text,
    "resource.id": text,
    "context.ip": text,
    "context.user_agent": text,
    "context.device_id": text,
    "context.platform": text,
    "context.accept_language": text,
    "context.utc_offset_minutes": whole,
    "context.rtt_ms": number,
    "place.country": country,
    "place.city": text,
    "place.latitude": number,
    "place.longitude": number,
    "place.accuracy_km": number,
    "network.asn": whole,
    "network.organization": text,
    "network.kind": text,
    BROWSER: text,
    SYSTEM: text,
    KIND: text,
}
"""Every field that a column may fill, but for attributes: `context.attributes.<name>`."""


def is_field(name: str) -> bool:
    """Whether a column may fill it."""
    return name in FIELDS or (name.startswith(ATTRIBUTE) and 0 < len(name) - len(ATTRIBUTE) <= 64)


def read_field(name: str, value: Any) -> Any:  # noqa: ANN401
    """Return a column's value as the field takes it; None for an empty one. Raises Unusable with the field's name."""
    if value is None or value == "":
        return None
    attribute = name.startswith(ATTRIBUTE)
    try:
        if attribute:
            return value if isinstance(value, bool | int | float) else text(value)
        return FIELDS[name](value)
    except (ValueError, OverflowError, TypeError):
        raise Unusable(ATTRIBUTE.rstrip(".") if attribute else name) from None


KINDS: Final[Mapping[str, Read]] = {"number": number, "flag": flag, "text": text}
"""How an attribute is read, by the kind that the policy declares."""


def read_attribute(value: Any, kind: str) -> str | float | bool:  # noqa: ANN401
    """Return an attribute's value as the kind that the policy declares; raises ValueError."""
    try:
        found: str | float | bool = KINDS[kind](value)
    except (OverflowError, TypeError) as error:
        raise ValueError from error
    if isinstance(found, float) and not isfinite(found):
        raise ValueError
    return found


def put(body: dict[str, Any], name: str, value: Any) -> None:  # noqa: ANN401
    """Put a field into the body of a request."""
    path = name.split(".", 2) if name.startswith(ATTRIBUTE) else name.split(".")
    if name.startswith(_CONTEXT):
        path.insert(0, "context")
    for part in path[:-1]:
        body = body.setdefault(part, {})
    body[path[-1]] = value


def read_time(value: Any, form: str, zone: tzinfo) -> float:  # noqa: ANN401
    """Return seconds since 1970 of a time in the form `iso`, `unix`, `unix_ms` or one of strptime's.

    `zone` is the one of times that name none. Raises Unusable.
    """
    try:
        if form in {"unix", "unix_ms"}:
            return number(value) / (1000 if form == "unix_ms" else 1)
        said = text(value).strip()
        at = datetime.fromisoformat(said) if form == "iso" else datetime.strptime(said, form)  # noqa: DTZ007 - below
        return (at if at.tzinfo is not None else at.replace(tzinfo=zone)).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise Unusable(TIME) from None
