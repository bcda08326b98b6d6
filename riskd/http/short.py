"""The short way: whole small POSTs to the hot routes go from the parser to the front and back, past ASGI.

ASGI wants a scope, an event, two coroutines and two messages per request, and uvicorn checks every header of an answer
by two patterns. None of that is needed where the body is here already and the answer is made of our own constant
headers; it would cost about as much as judging does. Everything else goes the ASGI way to the same front.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from riskd.http.refusal import Answer, Header


class ShortFront(Protocol):
    """What answers the short way."""

    short: dict[bytes, tuple[str, int]]
    """Request target, as it is on the wire → the route's path and the largest body it takes."""

    def overloaded(self) -> Answer | None:
        """Return the refusal that is due while too many requests are under way."""

    async def answer(self, path: str, headers: list[Header], body: bytes) -> Answer:
        """Answer one POST; never raises."""


class _Unheard:
    """Stands in for the event that an ASGI app would wait for."""

    def set(self) -> None:
        """Do nothing: nobody waits."""


class ShortCycle:
    """A request under way, with the attributes that uvicorn's protocol reads and sets."""

    __slots__ = (
        "body", "default_headers", "disconnected", "flow", "headers", "keep_alive", "more_body",
        "on_response", "path", "response_complete", "transport",
    )  # fmt: skip

    message_event: Final = _Unheard()

    def __init__(
        self,
        path: str,
        headers: list[Header],
        *,
        transport: Any,  # noqa: ANN401 - asyncio's or uvloop's
        flow: FlowControl,
        default_headers: list[Header],
        keep_alive: bool,
        on_response: Callable[[], None],
    ) -> None:
        self.path = path
        self.headers = headers
        self.transport = transport
        self.flow = flow
        self.default_headers = default_headers
        self.keep_alive = keep_alive
        self.on_response = on_response
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.response_complete = False

    async def run(self, front: ShortFront) -> None:
        """Get the answer and write it in one go."""
        answer = await front.answer(self.path, self.headers, bytes(self.body))
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        self.finish(answer)

    def finish(self, answer: Answer) -> None:
        """Write the answer, unless the caller has left."""
        if self.disconnected:
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


def short_path(front: ShortFront | None, target: bytes, method: bytes, headers: list[Header]) -> str | None:
    """Return the path of a request that can go the short way: its length is said, and small enough; else None."""
    found = None if front is None else front.short.get(target)
    if found is None or method != b"POST":
        return None
    path, max_body = found
    length = b""
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name in {b"transfer-encoding", b"expect"}:
            return None
    return path if 0 < len(length) <= 7 and int(length) <= max_body else None
