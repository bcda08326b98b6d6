"""Any number of callers that each ask again as soon as they are answered, refused or not."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter

import uvloop
from attempts import Attempts
from load import Connection, Target, Turn


@dataclass(slots=True)
class Closed:
    """What came of it."""

    statuses: Counter[int] = field(default_factory=Counter)
    accepted_s: list[float] = field(default_factory=list)
    """Latency of every 200, seconds."""
    seconds: float = 0.0


def closed(target: Target, attempts: Attempts, seconds: float, callers: int) -> Closed:
    """Ask for `seconds` over `callers` kept connections."""
    result = Closed()
    begun = perf_counter()

    def make_turn() -> Turn:
        sent = 0.0

        def turn(status: int, body: bytes) -> bytes | None:  # noqa: ARG001 - the signature of a turn
            nonlocal sent
            now = perf_counter()
            if status:
                result.statuses[status] += 1
                if status == 200:
                    result.accepted_s.append(now - sent)
            if now - begun >= seconds:
                return None
            sent = perf_counter()
            return target.request(attempts.next())

        return turn

    async def drive() -> None:
        loop = asyncio.get_running_loop()
        pairs = [
            await loop.create_connection(lambda: Connection(make_turn()), "127.0.0.1", target.port)
            for _ in range(callers)
        ]
        await asyncio.gather(*(connection.ended for _, connection in pairs))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(drive())
    result.seconds = perf_counter() - begun
    return result
