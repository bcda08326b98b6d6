"""A load generator that costs a fraction of what it loads: one asyncio protocol per connection, closed loop."""

import asyncio
import gc
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

import uvloop
from attempts import KNOWN, Attempts

CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send what."""

    port: int
    path: str
    key: str = "none"

    def request(self, body: bytes, path: str = "") -> bytes:
        """Return a whole HTTP/1.1 request."""
        head = (
            f"POST {path or self.path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\nuser-agent: bench\r\naccept: */*\r\n"
            f"content-type: application/json\r\nx-api-key: {self.key}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(slots=True)
class Round:
    """What came of one round."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    """Decisions by outcome; empty for a service that only echoes."""
    degraded: int = 0
    latencies_s: list[float] = field(default_factory=list)
    refusal: bytes = b""
    """The first answer that was not a 200."""


Turn = Callable[[int, bytes], bytes | None]
"""Takes the status and body of an answer (0 and nothing before the first); returns the next request, None to stop."""


class Connection(asyncio.Protocol):
    """One keep-alive connection that sends a request as soon as the last is answered."""

    def __init__(self, turn: Turn) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turn = turn
        self._buffer = b""
        self._answer_ends = 0
        self._body_begins = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Send the first request."""
        self._transport = transport
        self._go_on(0, b"")

    def data_received(self, data: bytes) -> None:
        """Collect one answer; servers may send head and body apart."""
        self._buffer = buffer = self._buffer + data if self._buffer else data
        if not self._answer_ends:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = buffer[:end].lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._body_begins = end + 4
            self._answer_ends = self._body_begins + int(length)
        if len(buffer) >= self._answer_ends:
            body = buffer[self._body_begins : self._answer_ends]
            status = int(buffer[9:12])
            self._buffer, self._answer_ends = b"", 0
            self._go_on(status, body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that it is over; an end that nobody asked for is an error."""
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("the server closed the connection"))

    def _go_on(self, status: int, body: bytes) -> None:
        request = self._turn(status, body)
        if request is not None:
            self._transport.write(request)
            return
        self.ended.set_result(None)
        self._transport.close()


async def _drive(port: int, make_turn: Callable[[], Turn]) -> None:
    loop = asyncio.get_running_loop()
    pairs = [
        await loop.create_connection(lambda: Connection(make_turn()), "127.0.0.1", port) for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(connection.ended for _, connection in pairs))


def _run(port: int, make_turn: Callable[[], Turn]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_drive(port, make_turn))


def load(target: Target, attempts: Attempts, seconds: float) -> Round:
    """Send attempts for `seconds` over all connections."""
    result = Round()
    begun = perf_counter()

    def make_turn() -> Turn:
        sent = 0.0

        def turn(status: int, body: bytes) -> bytes | None:
            nonlocal sent
            now = perf_counter()
            if status:
                result.latencies_s.append(now - sent)
                result.statuses[status] += 1
                result.degraded += b'"degraded":["' in body
                result.outcomes[_outcome(body)] += 1
                if status != 200 and not result.refusal:
                    result.refusal = body[:500]
            if now - begun >= seconds:
                return None
            sent = perf_counter()
            return target.request(attempts.next())

        return turn

    gc.disable()
    _run(target.port, make_turn)
    gc.enable()
    result.seconds = perf_counter() - begun
    return result


def _outcome(body: bytes) -> str:
    if not body.startswith(b'{"decision":"'):
        return "none"
    return body[13:30].partition(b'"')[0].decode()


def seed_history(target: Target, attempts: Attempts) -> None:
    """Let every known subject log in and succeed once, so that it has a history; raises on any refusal."""
    index = iter(range(KNOWN))

    def make_turn() -> Turn:
        reported = True

        def turn(status: int, body: bytes) -> bytes | None:
            nonlocal reported
            if status not in {0, 200}:
                raise RuntimeError(f"seeding got {status}: {body[:300]!r}")
            reported = not reported
            if reported:
                return target.request(_success(json.loads(body), attempts.at), "/outcome")
            following = next(index, None)
            return None if following is None else target.request(attempts.known(following))

        return turn

    _run(target.port, make_turn)


def _success(decision: dict[str, str], at: float) -> bytes:
    outcome = "login_succeeded" if decision["decision"] == "allow" else "step_up_passed"
    return json.dumps({"decision_id": decision["decision_id"], "outcome": outcome, "at": at}).encode()
