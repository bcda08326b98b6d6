"""What a caller gets who is refused: one small JSON body, the same shape for every status.

    {"error": {"code": "invalid_body", "message": "…", "fields": [{"path": "subject.id", "message": "…"}]}}

`code` is a stable word for programs, `message` a sentence for people, `fields` is there only for `invalid_body`.
A body never repeats a value the caller sent: it may be a secret, and it would end in somebody's log.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import ErrorDetails, to_json

MAX_FIELDS: Final = 20
"""Mistakes told per body; a body with thousands of them gets no thousands of lines back."""
MAX_PATH_PART: Final = 64
"""Characters shown of a key the caller made up."""
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*$|\d{1,5}$")

Header = tuple[bytes, bytes]

CODES: Final = {
    400: "invalid_json",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_body",
    429: "rate_limited",
    431: "headers_too_large",
    500: "internal",
    503: "unavailable",
}
"""HTTP status → the stable word; a status that is not listed is told as `refused`."""


class FieldMistake(BaseModel):
    """One mistake in a body."""

    path: str
    """Dotted path of the field, e.g. `subject.id`."""
    message: str


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str
    message: str
    fields: list[FieldMistake] | None = None


class ErrorBody(BaseModel):
    """The body of every refusal."""

    error: ErrorDetail


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished HTTP answer."""

    status: int
    body: bytes
    headers: tuple[Header, ...]


class Refused(Exception):
    """Raised on the way to a decision; carries the answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.status)


def refusal(
    status: int,
    message: str,
    *,
    code: str | None = None,
    fields: list[dict[str, str]] | None = None,
    headers: tuple[Header, ...] = (),
) -> Answer:
    """Return the answer that refuses with `status`; `code` replaces the usual word of that status."""
    error: dict[str, object] = {"code": code or CODES.get(status, "refused"), "message": message}
    if fields is not None:
        error["fields"] = fields
    body = to_json({"error": error})
    return Answer(status, body, (*json_headers(body), *headers))


def documented(reasons: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return what FastAPI says of a route that refuses with these statuses, for these reasons."""
    return {status: {"model": ErrorBody, "description": text} for status, text in reasons.items()}


def json_headers(body: bytes) -> tuple[Header, ...]:
    """Return the headers of every JSON answer. A decision is about one moment, so nothing may keep it."""
    return (
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(body)),
    )


def field_mistakes(errors: list[ErrorDetails]) -> list[dict[str, str]]:
    """Return where each mistake is and what is wrong, without the values, at most `MAX_FIELDS` of them."""
    return [
        {
            "path": ".".join(shown(part) for part in error["loc"]),
            "message": error["msg"].removeprefix("Value error, "),
        }
        for error in errors[:MAX_FIELDS]
    ]


def shown(part: object) -> str:
    """Return a part of a path; a key that is no identifier may be anything, a password among it, and is left out."""
    text = str(part)
    if not _IDENTIFIER.match(text):
        return "…"
    return text if len(text) <= MAX_PATH_PART else text[:MAX_PATH_PART] + "…"
