"""From bytes on the wire to a validated request, with a limit before every step.

Two parsers read the same bytes: jiter refuses what JSON readers disagree on (duplicate keys, NaN, lone surrogates,
depth), then pydantic-core validates straight from the bytes. Both together cost less than one pass in Python.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import jiter
from pydantic import ValidationError

from riskd.contract import DecisionRequest, OutcomeReport, Wire
from riskd.http.refusal import Header, Refused, field_mistakes, refusal, shown

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Model = TypeVar("Model", bound=Wire)

MAX_BODY: Final = 64 * 1024
"""Bytes of one request. The largest honest one (all fields, 64 attributes of 1 KiB less a user agent) is near it."""
MAX_BATCH_BODY: Final = 1024 * 1024
"""Bytes of a batch: 100 requests of 10 KiB each."""
MAX_MISTAKES: Final = 1000
"""Beyond, mistakes are counted and not told, and no object or list of more is looked at: to put 100,000 of them into
words would hold everybody up for half a second."""
USUAL_BODY: Final = 8 * 1024
"""Bytes up to which a body is not looked through for wide ones: what they cost then is a millisecond."""
MAX_AHEAD: Final = timedelta(minutes=5)
"""How far a caller's clock may be ahead: twice what an unsynchronised server typically drifts in a month."""
MAX_BEHIND: Final = timedelta(hours=24)
"""How old an attempt may be. Older ones would move a subject's history back past its velocity windows."""
MAX_OUTCOME_BEHIND: Final = timedelta(days=31)
"""How old an outcome may be: a month of banking disputes; the store forgets the decision sooner by default."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""No session began before; earlier times are mistakes and overflow when their zone is changed."""

TOO_LARGE: Final = refusal(413, f"A body has at most {MAX_BODY:,} bytes; a batch {MAX_BATCH_BODY:,}.")
NOT_JSON: Final = refusal(415, "Content-Type must be application/json, without Content-Encoding.")
JSON_TYPE: Final = b"application/json"


class Disconnected(Exception):
    """The caller left before the body was complete."""


def declared_length(headers: Iterable[Header], limit: int) -> None:
    """Refuse by the headers alone: a wrong type (415), an encoded body (415), a declared length above `limit` (413)."""
    content_type: bytes | None = None
    for name, value in headers:
        if name == b"content-type":
            if content_type is not None:
                raise Refused(NOT_JSON)
            content_type = value
        elif name == b"content-length":
            # The HTTP parser has refused anything but digits; a length of 5,000 digits must still cost nothing.
            if len(value) > 9 or int(value) > limit:
                raise Refused(TOO_LARGE)
        elif name == b"content-encoding" and value.strip().lower() != b"identity":
            raise Refused(NOT_JSON)
    if content_type != JSON_TYPE and not _is_json(content_type):
        raise Refused(NOT_JSON)


def _is_json(content_type: bytes | None) -> bool:
    if content_type is None:
        return False
    media, _, parameters = content_type.lower().partition(b";")
    charset = parameters.replace(b'"', b"").replace(b" ", b"")
    return media.strip() == JSON_TYPE and charset in {b"", b"charset=utf-8", b"charset=utf8"}


async def read(receive: Receive, limit: int) -> bytes:
    """Return the whole body; 413 as soon as more than `limit` bytes came, whatever was declared."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message["body"]
    if not message["more_body"]:
        if len(body) > limit:
            raise Refused(TOO_LARGE)
        return body
    parts = bytearray(body)
    while message["more_body"] and len(parts) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts += message["body"]
    if len(parts) > limit:
        raise Refused(TOO_LARGE)
    return bytes(parts)


def parse(body: bytes, model: type[Model]) -> Model:
    """Return the validated request; 400 for what is not JSON, 422 for JSON of another shape."""
    try:
        parsed = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError as error:
        raise Refused(refusal(400, _told(str(error)))) from None
    if len(body) > USUAL_BODY and (wide := _wide(parsed)) is not None:
        mistakes = [{"path": wide, "message": f"more than {MAX_MISTAKES:,} entries"}]
        raise Refused(refusal(422, "The body does not fit the contract.", fields=mistakes))
    try:
        return model.__pydantic_validator__.validate_json(body)  # type: ignore[no-any-return]
    except ValidationError as error:
        if error.error_count() > MAX_MISTAKES:
            raise Refused(
                refusal(422, f"The body does not fit the contract in {error.error_count():,} places.")
            ) from None
        mistakes = field_mistakes(error.errors(include_url=False, include_context=False, include_input=False))
        raise Refused(refusal(422, "The body does not fit the contract.", fields=mistakes)) from None


def _wide(parsed: object, path: str = "") -> str | None:
    """Return the path of an object or list with too many entries at any depth; None without one."""
    if not isinstance(parsed, dict | list):
        return None
    if len(parsed) > MAX_MISTAKES:
        return path
    for part, value in parsed.items() if isinstance(parsed, dict) else enumerate(parsed):
        if isinstance(value, dict | list) and (found := _wide(value, f"{path}.{shown(part)}".lstrip("."))) is not None:
            return found
    return None


def _told(message: str) -> str:
    """Say what the parser found and where, without the words it quotes from the body (a duplicate key's name)."""
    if message.startswith("Detected duplicate key"):
        place = message.rpartition(" at ")[2]
        return f"The body is not valid JSON: a key occurs twice at {place}."
    return f"The body is not valid JSON: {message[:120]}."


def check_times(request: DecisionRequest, now: datetime) -> None:
    """Refuse times far from our own clock (422): `context.time` and `subject.auth_time`."""
    time = request.context.time
    if time is not None and not now - MAX_BEHIND <= time <= now + MAX_AHEAD:
        raise _far("context.time", "must lie between 24 hours ago and 5 minutes ahead of now")
    auth_time = request.subject.auth_time
    if auth_time is not None and not EPOCH <= auth_time <= now + MAX_AHEAD:
        raise _far("subject.auth_time", "must lie between 1970 and 5 minutes ahead of now")


def check_report_time(report: OutcomeReport, now: datetime) -> None:
    """Refuse an outcome of the future, or one so old that no decision of it is known (422)."""
    if report.at is not None and not now - MAX_OUTCOME_BEHIND <= report.at <= now + MAX_AHEAD:
        raise _far("at", "must lie between 31 days ago and 5 minutes ahead of now")


def _far(path: str, message: str) -> Refused:
    mistakes = [{"path": path, "message": message}]
    return Refused(refusal(422, "The body does not fit the contract.", fields=mistakes))
