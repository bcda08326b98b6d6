"""Endpoint paths: one normal form for policies to match, and whether the raw form tries to hide something."""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_CACHED_LENGTH = 256
_SCHEME_AND_HOST = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEX_PAIR = re.compile(r"%[0-9A-Fa-f]{2}")
_HIDES = re.compile(
    r"""
    %2e | %2f | %5c | %00       # encoded dot, slash, backslash, NUL
  | %25[0-9a-f]{2}              # encoded twice
  | %3[0-9] | %4[1-9a-f] | %5[0-9a] | %6[1-9a-f] | %7[0-9a]  # encoded digits and letters
  | [\\\x00-\x1f\x7f] | // | /\.\.?(?:[/;?\#]|$) | ;
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Path(NamedTuple):
    """A path as policies see it."""

    path: str
    """Decoded once, without query, dot segments, repeated slashes, segment parameters or trailing slash."""
    obfuscated: bool
    """The raw form hides something: encoded dots, slashes, letters or digits, double encoding, `//`, `/./`, `/../`,
    backslashes, `;` parameters, control characters, bytes that are no UTF-8."""


def normalise_path(raw: str) -> Path:
    """Return the normal form of a raw request target; never raises, and never gives back more than it got.

    Encoded blanks and UTF-8 letters, a trailing slash, a query and an absolute URL are what honest clients write.
    Known false alarms: APIs with `%2F` in an id, and old Java servers with `;jsessionid=`.
    """
    return _cached(raw) if len(raw) <= _CACHED_LENGTH else _normalise(raw)


def _normalise(raw: str) -> Path:
    target = _SCHEME_AND_HOST.sub("", raw, count=1)
    target = re.split(r"[?#]", target, maxsplit=1)[0]
    decoded = unquote_to_bytes(target.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    segments: list[str] = []
    for part in decoded.replace("\\", "/").split("/"):
        segment = part.partition(";")[0]
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    path = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", "/" + "/".join(segments))
    hides = (
        _HIDES.search(target) is not None or "\N{REPLACEMENT CHARACTER}" in path or ("%" in target and _twice(decoded))
    )
    return Path(path, hides)


def _twice(decoded: str) -> bool:
    """Whether a decoded path can be decoded once more."""
    return _HEX_PAIR.search(decoded) is not None


_cached = lru_cache(maxsize=8192)(_normalise)
