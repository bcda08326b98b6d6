"""Callers that come at a fixed rate whether or not they are answered, in a thread of their own.

Latency counts from when a request was due, so that a stall is seen by everybody who would have come meanwhile.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Self

import uvloop

TICK_S = 0.002
MOST_CONNECTIONS = 512


@dataclass(slots=True)
class Sent:
    """One request and what came of it."""

    number: int
    due: float
    """When it was to be sent, by `perf_counter`."""
    latency_s: float
    status: int
    """0 when the connection ended without an answer."""
    degraded: bool
    body: bytes = field(default=b"", repr=False)
    """Kept only when the status was not 200."""


class _Caller(asyncio.Protocol):
    """A kept connection with one request under way."""

    def __init__(self, load: "Paced") -> None:
        self._load = load
        self._buffer = b""
        self._asked: tuple[int, float] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self, number: int, due: float) -> None:
        self._asked = number, due
        self.transport.write(self._load.request(number))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self._buffer = b""
        closing = b"\r\nconnection: close" in lower
        self._done(int(head[9:12]), rest, reuse=not closing)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._load.lost(self)
        if self._asked is not None:
            self._done(0, b"", reuse=False)

    def _done(self, status: int, body: bytes, *, reuse: bool) -> None:
        if self._asked is None:
            return
        number, due = self._asked
        self._asked = None
        degraded = status == 200 and b'"degraded":["' in body
        kept = b"" if status == 200 else body[:300]
        self._load.sent.append(Sent(number, due, perf_counter() - due, status, degraded, kept))
        self._load.under_way -= 1
        if reuse:
            self._load.idle.append(self)


class Paced:
    """Sends `request(number)` at `rate` a second while the block lasts; then waits for what is under way."""

    def __init__(self, port: int, request: Callable[[int], bytes], rate: float) -> None:
        self.sent: list[Sent] = []
        """What was answered so far, in the order of answers."""
        self.request = request
        self.idle: list[_Caller] = []
        self.under_way = 0
        self._port = port
        self._rate = rate
        self._open = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stop.set()
        self._thread.join(30)

    def lost(self, caller: _Caller) -> None:
        """Forget a connection that ended."""
        self._open -= 1
        if caller in self.idle:
            self.idle.remove(caller)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._drive())

    async def _drive(self) -> None:
        begun = perf_counter()
        number = 0
        waiting: list[tuple[int, float]] = []
        while not self._stop.is_set():
            now = perf_counter()
            while begun + number / self._rate <= now:
                waiting.append((number, begun + number / self._rate))
                number += 1
            while waiting and (self.idle or self._open < MOST_CONNECTIONS):
                caller = self.idle.pop() if self.idle else await self._connect()
                if caller is None:
                    self.sent.append(Sent(*waiting.pop(0), 0.0, 0, degraded=False))
                    continue
                self.under_way += 1
                caller.ask(*waiting.pop(0))
            await asyncio.sleep(TICK_S)
        deadline = perf_counter() + 10
        while self.under_way and perf_counter() < deadline:  # noqa: ASYNC110 - answers come one by one
            await asyncio.sleep(TICK_S)
        for caller in self.idle:
            caller.transport.close()

    async def _connect(self) -> _Caller | None:
        try:
            _, caller = await asyncio.get_running_loop().create_connection(
                lambda: _Caller(self), "127.0.0.1", self._port
            )
        except OSError:
            return None
        self._open += 1
        return caller
