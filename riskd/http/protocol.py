"""uvicorn's HTTP protocol with the limits it lacks: bytes of headers, time for a request, idle and total connections.

One attribute holds when a connection's patience ends; the server sweeps all connections twice a second. That costs a
request two assignments, where a timer per request would cost a heap operation each.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from riskd.http.refusal import Answer, refusal
from riskd.http.short import ShortCycle, short_way


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may take."""

    head_bytes: int = 16 * 1024
    """Bytes of request line and headers together; more is a 431."""
    request_s: float = 14.5
    """Seconds from a request's first byte to its last. With the sweep's half second, slow callers end by 15 s."""
    first_byte_s: float = 14.5
    """Seconds a new connection may stay silent."""
    idle_s: float = 29.5
    """Seconds a connection may rest between two requests."""
    linger_s: float = 2.0
    """Seconds that what a refused caller still sends is read and thrown away, so that he gets to see the refusal."""
    connections: int = 4096
    """Connections of one worker; one more is told 503 and closed."""


class Connections(ServerState):
    """What all connections of a worker share."""

    def __init__(self, limits: Limits, refused: Callable[[int], None]) -> None:
        super().__init__()
        self.limits = limits
        self.refused = refused
        """Counts a refusal by its status."""
        self.draining = False
        """Set when the worker is about to leave: every answer then closes its connection."""


BAD_REQUEST: Final = refusal(400, "This is not HTTP/1.1.", code="invalid_http")
CUT_SHORT: Final = refusal(400, "The request ended before it was whole.", code="invalid_http")
TOO_SLOW: Final = refusal(408, "The request took too long to arrive.")
HEAD_TOO_LARGE: Final = refusal(431, "The request line and headers are too large.")
TOO_MANY_CONNECTIONS: Final = refusal(
    503, "Too many connections.", code="overloaded", headers=((b"retry-after", b"1"),)
)

REFUSAL_PAUSE_S: Final = 0.1
"""How long a caller waits to hear that there are too many: a tenth of the second that Retry-After asks for."""

UPGRADE: Final = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
"""Java's HttpClient offers HTTP/2 with every first request. The parser would take the offer and lose the body, so it
never sees it; the stand-in is as long as the header's name, and JSON cannot hold it at the start of a line."""
_BEFORE_COLON: Final = len(b"\r\nupgrade")


class BoundedProtocol(HttpToolsProtocol):
    """One connection, within `Limits`."""

    server_state: Connections

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = self.server_state.limits
        self._front: Any = self.app if hasattr(self.app, "short") else None
        self.patience_ends = inf
        """Time of the loop's clock when this connection is cut; infinite while we owe the answer."""
        self._head_bytes = 0
        self._between = 0  # bytes since the head or the last piece of the body: chunk sizes, extensions, trailers
        self._in_head = True
        self._head_end = b""  # of a head that is not whole, its last bytes: the offer's name may be cut there
        self._receiving = False
        self._cut = False
        self._answering: Any = None  # the cycle whose turn it is; pipelined ones wait behind it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection in, unless there are too many."""
        super().connection_made(transport)
        self.patience_ends = self.loop.time() + self._limits.first_byte_s
        if len(self.connections) > self._limits.connections:
            self._refuse(TOO_MANY_CONNECTIONS)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, counting while a head is incomplete."""
        if self._cut:
            return
        if not self._in_head:
            self._between += len(data)
            super().data_received(data)
            if self._between > self._limits.head_bytes and not self._in_head and not self._cut:
                self._refuse(HEAD_TOO_LARGE)
            return
        self._head_bytes += len(data)
        data = UPGRADE.sub(b"\r\nx-grade:", data)
        if self._head_end:
            data = self._without_cut_offer(data)
        super().data_received(data)
        if not self._in_head:
            return
        if self._receiving:
            self._head_end = (self._head_end + data)[-_BEFORE_COLON:]
        if self._head_bytes > self._limits.head_bytes and not self._cut:
            self._refuse(HEAD_TOO_LARGE)

    def _without_cut_offer(self, data: bytes) -> bytes:
        """Return what follows in a head; an offer whose name began in what the parser has already gets another name."""
        cut = UPGRADE.search(self._head_end + data[:_BEFORE_COLON])
        if cut is None:
            return data
        colon = cut.end() - 1 - len(self._head_end)
        return data[:colon] + b"-" + data[colon:]

    def eof_received(self) -> bool:  # type: ignore[override]
        """Let a caller who only ended his half have what is owed to him; the last answer ends the connection."""
        if self._is_arriving and not self._cut:
            self._refuse(CUT_SHORT)
        elif self.cycle is not None:
            self.cycle.keep_alive = False
        owed = self._answering
        return owed is not None and not owed.response_complete and not owed.disconnected

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep everybody from writing to what is closed."""
        super().connection_lost(exc)
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def on_message_begin(self) -> None:
        """Start the clock of a request."""
        super().on_message_begin()
        self._receiving = True
        self._in_head = True
        self.patience_ends = self.loop.time() + self._limits.request_s

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header in; what comes as one behind a chunked body is thrown away."""
        if self._in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on."""
        self._between = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Hand the request to the app; to one that answers 431 when the head alone was too large."""
        if self._head_bytes > self._limits.head_bytes and self._head_size() > self._limits.head_bytes:
            self.app = _refuse_large_head
        self._head_bytes, self._head_end = 0, b""
        if self.expect_100_continue and self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # it knows no "100 Continue" (RFC 9110, 10.1.1)
        way = short_way(self._front, self.url, self.parser.get_method(), self.headers)
        if way is not None and self.app is self._front and (self.cycle is None or self.cycle.response_complete):
            self.cycle = self._answering = ShortCycle(  # type: ignore[assignment] # all that is asked of a cycle
                *way,
                transport=self.transport,
                flow=self.flow,
                default_headers=self.server_state.default_headers,
                keep_alive=self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive(),
                on_response=self.on_response_complete,
            )
        else:
            super().on_headers_complete()
        if self.server_state.draining or self.expect_100_continue:
            # Whoever waits for "100 Continue" may leave out the body after a refusal: the connection ends there.
            self.cycle.keep_alive = False
        self._in_head, self._between = False, 0  # not sooner: a target that is none fails above, and has no cycle

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:  # noqa: ANN401 - uvicorn's types
        """Begin to answer a request the ASGI way."""
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """Stop the clock: from here on it is we who owe something."""
        self._receiving = False
        self._in_head = True
        answered = self.cycle.response_complete
        self.patience_ends = self.loop.time() + self._limits.idle_s if answered else inf
        super().on_message_complete()
        cycle: Any = self.cycle
        if isinstance(cycle, ShortCycle) and not answered:
            refused = self._front.overloaded()
            if refused is not None:
                # Callers that come back at once, whatever Retry-After says, would slow those that were let in.
                self.loop.call_later(REFUSAL_PAUSE_S, cycle.finish, refused)
            else:
                self._front.take(cycle, self.tasks)

    def on_response_complete(self) -> None:
        """Go on to the next pipelined request, or wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self.patience_ends = self.loop.time() + self._limits.linger_s
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not self._receiving:
            self.patience_ends = self.loop.time() + self._limits.idle_s
        elif self.cycle.response_complete:
            self.patience_ends = self.loop.time() + self._limits.linger_s

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not shown
        """Answer what is not HTTP in the shape of every refusal."""
        self._refuse(BAD_REQUEST)

    def impatient(self) -> None:
        """End the connection: gently the first time, at once when that did not help."""
        if self.transport.is_closing() or self._cut:
            self.transport.abort()
            return
        self.patience_ends = self.loop.time() + self._limits.linger_s
        if self._is_arriving:
            self._refuse(TOO_SLOW)
        else:
            self.transport.close()

    @property
    def _is_arriving(self) -> bool:
        """Whether a request is on its way that has no answer yet."""
        return self._receiving and (self._in_head or not self.cycle.response_complete)

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, answer: Answer) -> None:
        """Write a refusal without the app, close our half and throw away what still comes."""
        self._cut = True
        self.server_state.refused(answer.status)
        if self.cycle is not None and not self.cycle.response_complete:
            last: Any = self.cycle
            if not self._in_head:
                last.disconnected = True  # the app waits for the rest of a body that will not come
                last.message_event.set()
                if self.pipeline:
                    self.pipeline.popleft()
                    last = self.pipeline[0][0] if self.pipeline else self._answering
            if not last.disconnected:  # earlier requests are being answered: the latest one's answer is the last
                last.keep_alive = False
                return
        if self._in_head or not self.cycle.response_complete:  # else it was refused before its body was all here
            lines = [STATUS_LINE[answer.status]]
            for name, value in answer.headers:
                lines += [name, b": ", value, b"\r\n"]
            self.transport.write(b"".join([*lines, b"connection: close\r\n\r\n", answer.body]))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.patience_ends = self.loop.time() + self._limits.linger_s


def sweep(connections: Iterable[Any], now: float) -> None:
    """Cut every connection whose patience ended before `now`, a time of the loop's clock."""
    for connection in list(connections):
        if connection.patience_ends < now:
            connection.impatient()


async def _refuse_large_head(_scope: object, _receive: object, send: Any) -> None:  # noqa: ANN401 - uvicorn's ASGI types
    headers = [*HEAD_TOO_LARGE.headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": HEAD_TOO_LARGE.status, "headers": headers})
    await send({"type": "http.response.body", "body": HEAD_TOO_LARGE.body})
