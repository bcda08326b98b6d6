"""A proxy between a client and a server that fails on command: delay, black hole, reset, slow reader, refuse."""

import asyncio
import struct
from contextlib import suppress
from typing import Literal, Self

Mode = Literal["pass", "delay", "blackhole", "reset", "drip", "refuse"]


class FaultProxy:
    """Forwards TCP on a free loopback port to a unix socket or a host and port.

    `mode` may change at any time and holds for open connections too: `pass` forwards; `delay` holds each answer back
    for `delay_s`; `blackhole` swallows all; `reset` breaks connections as soon as they send; `drip` hands answers over
    one byte each `delay_s`; `refuse` closes new connections at once.
    """

    def __init__(self, target: str | tuple[str, int], *, delay_s: float = 0.2) -> None:
        self._target = target
        self.delay_s = delay_s
        self.mode: Mode = "pass"
        self.accepted = 0
        """Connections accepted so far."""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Start listening."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and break all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def fail(self, mode: Mode) -> None:
        """Change the mode; `refuse` and `reset` also break the connections that are open."""
        self.mode = mode
        if mode in {"refuse", "reset"}:
            for task in self._tasks:
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        try:
            if self.mode != "refuse":
                await self._forward(reader, writer)
        except (OSError, asyncio.CancelledError):
            _reset(writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._target, str):
            up_reader, up_writer = await asyncio.open_unix_connection(self._target)
        else:
            up_reader, up_writer = await asyncio.open_connection(*self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, up_writer))
                group.create_task(self._answers(up_reader, writer))
        except* OSError:
            pass
        finally:
            up_writer.close()

    async def _requests(self, reader: asyncio.StreamReader, up_writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self.mode == "reset":
                raise ConnectionResetError
            if self.mode != "blackhole":
                up_writer.write(data)
        raise ConnectionResetError

    async def _answers(self, up_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await up_reader.read(65536):
            if self.mode == "blackhole":
                continue
            if self.mode == "delay":
                await asyncio.sleep(self.delay_s)
            if self.mode == "drip":
                for byte in data:
                    writer.write(bytes((byte,)))
                    await asyncio.sleep(self.delay_s)
            else:
                writer.write(data)
        raise ConnectionResetError


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST rather than FIN."""
    sock = writer.get_extra_info("socket")
    with suppress(OSError, AttributeError):
        sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER
    writer.transport.abort()
