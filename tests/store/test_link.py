"""The wire to one server, on the event loop that workers run."""

import asyncio

import uvloop

from riskd.errors import StoreUnavailable
from riskd.store import parse
from riskd.store.link import packed
from riskd.store.route import route_to


def test_no_caller_reads_anothers_reply(valkey: str) -> None:
    """However little time a caller has left, and whatever is told beside it, each reads the reply to what it sent."""

    async def ask() -> list[object]:
        route = route_to(parse(valkey), budget_s=1.0, preload=())
        await route.alive()
        wire = route._link._wire  # type: ignore[attr-defined]
        hasty = wire.send([packed("PING")], 0.00045)  # uvloop makes a plain handle of a timer that is due at once
        route.tell("q", packed("SET", "q", 1, "EX", 5))
        wire.send([packed("PING")]).add_done_callback(lambda done: done.exception())
        try:
            await hasty
            return await asyncio.gather(*(wire.send([packed("ECHO", f"caller {n}")]) for n in range(5)))
        except StoreUnavailable:
            return []  # it was too hasty: the wire was dropped
        finally:
            await route.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        replies = [runner.run(ask()) for _ in range(100)]
    expected = [[f"caller {n}".encode()] for n in range(5)]
    assert all(got == expected for got in replies if got)
    assert any(replies)
