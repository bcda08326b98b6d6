"""The short way: whole small POSTs to the hot routes go from the parser to the front and back, past ASGI.

ASGI wants a scope, an event, two coroutines and two messages per request, and uvicorn checks every header of an answer
by two patterns. None of that is needed where the body is here already and the answer is made of our own constant
headers; it would cost about as much as judging does. Everything else goes the ASGI way to the same front.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any, Final, Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from riskd.http.refusal import Answer, Header

UNUSUAL: Final = frozenset({b"transfer-encoding", b"expect", b"content-encoding"})


class ShortFront(Protocol):
    """What answers the short way."""

    short: dict[bytes, tuple[str, int]]
    """Request target, as it is on the wire → the route's path and the largest body it takes."""

    def overloaded(self) -> Answer | None:
        """Return the refusal that is due while too many requests are under way."""

    def take(self, cycle: "ShortCycle", tasks: "set[asyncio.Task[None]]") -> None:
        """Answer one POST whose whole body is here; what that takes stands among `tasks` until it is done."""


class _Unheard:
    """Stands in for the event that an ASGI app would wait for."""

    def set(self) -> None:
        """Do nothing: nobody waits."""


class ShortCycle:
    """A request under way, with the attributes that uvicorn's protocol reads and sets."""

    __slots__ = (
        "arrived", "body", "default_headers", "disconnected", "drained", "flow", "keep_alive", "key", "more_body",
        "on_response", "path", "response_complete", "transport",
    )  # fmt: skip

    message_event: Final = _Unheard()
    drained: asyncio.Task[None]
    """Waits for a caller who does not read; held here, or nobody would hold it."""

    def __init__(
        self,
        path: str,
        key: bytes,
        *,
        transport: Any,  # noqa: ANN401 - asyncio's or uvloop's
        flow: FlowControl,
        default_headers: list[Header],
        keep_alive: bool,
        on_response: Callable[[], None],
    ) -> None:
        self.path = path
        self.key = key
        """The API key that was presented."""
        self.transport = transport
        self.flow = flow
        self.default_headers = default_headers
        self.keep_alive = keep_alive
        self.on_response = on_response
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.response_complete = False
        self.arrived = inf
        """When its body was complete, by `perf_counter`."""

    def finish(self, answer: Answer) -> None:
        """Write the answer in one go, unless the caller has left; once he reads what he has, when he does not."""
        if self.disconnected:
            return
        if self.flow.write_paused:
            self.drained = asyncio.get_running_loop().create_task(self._finish_drained(answer))
            return
        lines = [STATUS_LINE[answer.status]]
        for name, value in (*self.default_headers, *answer.headers):
            lines += (name, b": ", value, b"\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines += (b"\r\n", answer.body)
        self.response_complete = True
        self.transport.write(b"".join(lines))
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    async def _finish_drained(self, answer: Answer) -> None:
        await self.flow.drain()
        self.finish(answer)


def short_way(
    front: ShortFront | None, target: bytes, method: bytes, headers: list[Header]
) -> tuple[str, bytes] | None:
    """Return path and API key of a request that can go the short way: a POST whose headers leave no question open.

    None for any other, right or wrong: the ASGI way has an answer to each.
    """
    found = None if front is None else front.short.get(target)
    if found is None or method != b"POST":
        return None
    path, max_body = found
    key = length = media = None
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name == b"x-api-key":
            if key is not None:
                return None
            key = value
        elif name == b"content-type":
            if media is not None:
                return None
            media = value
        elif name in UNUSUAL:
            return None
    if key is None or length is None or media != b"application/json" or not 0 < len(length) <= 7:
        return None
    return (path, key) if int(length) <= max_body else None
