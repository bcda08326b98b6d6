"""The circuit breaker: after a few failures in a row nobody waits for a dead store any more."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from riskd.errors import StoreUnavailable


class Breaker:
    """Opens after `limit` failures in a row; a single probe at a time closes it again.

    While it is open one task of its own asks the store every `pause_s` seconds, so callers neither wait nor herd, and
    full service is back within one pause and one answer after the store is.
    """

    def __init__(self, probe: Callable[[], Awaitable[None]], *, limit: int = 5, pause_s: float = 0.25) -> None:
        self._probe = probe
        self._limit = limit
        self._pause_s = pause_s
        self._failures = 0
        self._recovery: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        """Whether calls must fail at once."""
        return self._recovery is not None

    def succeeded(self) -> None:
        """Note an answer: the count of failures starts anew."""
        self._failures = 0

    def failed(self) -> None:
        """Note a failure; opens the breaker at the limit. Must run in the event loop."""
        self._failures += 1
        if self._failures >= self._limit and self._recovery is None:
            self._recovery = asyncio.get_running_loop().create_task(self._recover(), name="store-recovery")

    async def _recover(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s)
            try:
                await self._probe()
            except StoreUnavailable:
                continue
            self._failures = 0
            self._recovery = None
            return

    async def close(self) -> None:
        """End the probing."""
        if self._recovery is not None:
            self._recovery.cancel()
            with suppress(asyncio.CancelledError):
                await self._recovery
            self._recovery = None
