"""Short words for attempts, outcomes and plain commands."""

import itertools
from typing import Any
from uuid import UUID

import redis.asyncio
from msgspec.structs import asdict

from riskd.decision_id import Verdict
from riskd.facts import SubjectHistory
from riskd.store import Attempt, Observation, Settlement, Store

NOW = 1_800_000_000.0
"""A fixed instant: windows are measured from it, not from the clock."""
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

Value = str | float | bool | None
"""What a field of an attempt or a settlement may be."""

_numbers = itertools.count(1)

USUAL: dict[str, Value] = {
    "subject": "ada",
    "address": "home",
    "network": "AS1",
    "device": "laptop",
    "family": "Mac OS X|Safari",
    "country": "DE",
    "language": "de",
    "recipient": "landlord",
    "session": "monday",
    "latitude": 50.1,
    "longitude": 8.7,
    "accuracy_km": 20.0,
    "rtt_ms": 30.0,
}


def attempt(now: float = NOW, **changes: Value) -> Attempt:
    """Make Ada's usual attempt, but for some changes."""
    number = next(_numbers)
    fields: dict[str, Any] = {**USUAL, **changes}
    return Attempt(decision_id=str(UUID(int=number)), token=f"token-{number}", now=now, **fields)


async def report(store: Store, seen: Observation, outcome: str, **changes: Value) -> str:
    """Report an outcome; a success confirms unless told otherwise."""
    success = outcome in {"login_succeeded", "action_completed", "step_up_passed", "confirmed_legitimate"}
    told: dict[str, Any] = {"decided": int(Verdict.ALLOW), "at": seen.time, "confirms": success, **changes}
    return (await store.settle(seen.decision_id, Settlement(outcome=outcome, **told))).status


async def confirmed(store: Store, now: float = NOW, **changes: Value) -> Observation:
    """Attempt and report the success."""
    seen = await store.observe(attempt(now, **changes))
    assert await report(store, seen, "login_succeeded") == "accepted"
    return seen


async def history(store: Store, now: float = NOW, **changes: Value) -> SubjectHistory:
    """Attempt and return the subject's history."""
    seen = await store.observe(attempt(now, **changes))
    assert seen.history is not None
    return seen.history


def values(seen: SubjectHistory, *names: str) -> tuple[Any, ...]:
    """Pick fields of a history."""
    fields = asdict(seen)
    return tuple(fields[name] for name in names)


class Raw:
    """Plain commands to the server, through another client than riskd's own."""

    def __init__(self, socket: str, prefix: str) -> None:
        self.client = redis.asyncio.Redis(unix_socket_path=socket, decode_responses=True)
        self._prefix = prefix

    async def keys(self) -> list[str]:
        """Return all keys of this test."""
        return sorted([key async for key in self.client.scan_iter(f"{self._prefix}:*", count=10_000)])

    async def close(self) -> None:
        """Close the connection."""
        await self.client.aclose()
