"""Who may call: the API key in `X-API-Key`, its scopes, and how often it may come.

A caller without a key, with a wrong, revoked or oversized one, and with two of them gets the very same 401, so nothing
can be learned by trying. A key that is right but of another scope gets one constant 403.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Protocol

from riskd.http.refusal import Header, Refused, refusal

UNAUTHENTICATED: Final = refusal(
    401, "A valid API key is required in the X-API-Key header.", headers=((b"www-authenticate", b"ApiKey"),)
)
FORBIDDEN: Final = refusal(403, "This API key may not do that.")
RATE_LIMITED: Final = refusal(429, "This API key sends too many requests.", headers=((b"retry-after", b"1"),))
KEY_REFUSALS: Final = {
    401: "No valid API key",
    403: "The key lacks the scope",
    429: "The key sends too many requests; see Retry-After",
}
"""Why each of these three is given, for the OpenAPI document."""


class Caller(Protocol):
    """Who a key belongs to."""

    @property
    def name(self) -> str:
        """The key's name, fit for logs and records."""

    @property
    def scopes(self) -> frozenset[str]:
        """What the key may do: a subset of decide, outcome, policy, admin."""


class Keys(Protocol):
    """Knows the live keys; `verify` takes the same time for every wrong key."""

    def verify(self, presented: bytes, *, now: datetime) -> Caller | None:
        """Return whose key this is at `now`; None when it is nobody's."""


class Door:
    """Lets callers in, or raises `Refused`."""

    def __init__(self, keys: Keys, *, rate: float = 0.0) -> None:
        """`rate` is requests a second and key, with a burst of one second's worth; 0 means no limit."""
        self._keys = keys
        self._rate = rate
        self._buckets: dict[str, tuple[float, datetime]] = {}

    def admit(self, presented: bytes | None, scope: str, now: datetime) -> Caller:
        """Return the caller whose key was presented, provided that it holds `scope` and comes not too often."""
        caller = None if presented is None else self._keys.verify(presented, now=now)
        if caller is None:
            raise Refused(UNAUTHENTICATED)
        if scope not in caller.scopes:
            raise Refused(FORBIDDEN)
        if self._rate:
            self._take(caller.name, now)
        return caller

    def _take(self, name: str, now: datetime) -> None:
        """Take one token from the caller's bucket. Names are those of live keys, so the table is bounded."""
        burst = max(self._rate, 1.0)
        tokens, filled = self._buckets.get(name, (burst, now))
        passed_s = max(0.0, (now - filled).total_seconds())
        tokens = min(burst, tokens + passed_s * self._rate)
        self._buckets[name] = (tokens - 1.0 if tokens >= 1.0 else tokens, now)
        if tokens < 1.0:
            raise Refused(RATE_LIMITED)


def single_key(headers: Iterable[Header]) -> bytes | None:
    """Return the one API key among the headers; None when there is none or more than one."""
    found = [value for name, value in headers if name == b"x-api-key"]
    return found[0] if len(found) == 1 else None
