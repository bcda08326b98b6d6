"""The circuit breaker by itself."""

import asyncio

from riskd.errors import StoreUnavailable
from riskd.store.breaker import Breaker


async def test_opens_at_the_limit_and_closes_after_a_good_probe() -> None:
    """It stays closed below the limit, opens at it, probes singly, and closes at the first good probe."""
    running = 0
    most = 0
    results = [False, False, True]

    async def probe() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        if not results.pop(0):
            raise StoreUnavailable("still down")

    breaker = Breaker(probe, limit=3, pause_s=0.001)
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    breaker.failed()
    assert not breaker.open
    for _ in range(50):
        breaker.failed()
    assert breaker.open
    async with asyncio.timeout(5):
        while breaker.open:  # noqa: ASYNC110 - the breaker tells nobody
            await asyncio.sleep(0.001)
    assert (results, most) == ([], 1)
    breaker.failed()
    assert not breaker.open


async def test_close_ends_the_probing() -> None:
    """A closed breaker leaves no task behind."""

    async def probe() -> None:
        raise StoreUnavailable("down")

    breaker = Breaker(probe, limit=1, pause_s=0.001)
    breaker.failed()
    await breaker.close()
    assert len(asyncio.all_tasks()) == 1
