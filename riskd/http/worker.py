"""One serving process: `python -m riskd.http.worker <module:factory> <listening fd> <status fd>`.

Over the status socket the parent learns `ready`, or `refused <why>` when something riskd was told is wrong, and the
worker when to read its files again (`riskd.http.between`). When the parent dies the socket closes, and the worker
drains and leaves: no orphans.

Signals: TERM or INT, the service goes down: /readyz says so, requests are still taken for a while, then the worker
leaves. USR2, a successor serves already: leave without a word. A second signal ends it at once. HUP: read policy,
model, keys and databases again.
"""

import sys

if __name__ == "__main__":  # else structlog loads it where it is, 5 MB to colour tracebacks that here become JSON
    sys.modules["rich"] = None  # type: ignore[assignment]

import asyncio
import contextlib
import gc
import importlib
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import structlog
import uvloop
from uvicorn import Config, Server

from riskd.errors import ConfigError
from riskd.http import between
from riskd.http.front import ASGIApp
from riskd.http.listening import take_no_more
from riskd.http.logs import configure_logs
from riskd.http.protocol import BoundedProtocol, Connections, Limits, sweep

EXIT_CONFIG: Final = 78
"""Exit status (EX_CONFIG of sysexits.h) when something riskd was told at start is wrong."""
LEAVE_WITHIN_S: Final = 3
"""Seconds that requests under way get to finish once nothing new is taken."""
LAST_REQUESTS_S: Final = 0.3
"""Seconds in which the last connections are accepted and send their requests."""
TICKS_PER_SWEEP: Final = 5
"""uvicorn ticks ten times a second."""

log = structlog.stdlib.get_logger("riskd.worker")


class Service(Protocol):
    """What a worker serves; the factory named on the command line makes it, without arguments."""

    app: ASGIApp
    limits: Limits
    log_level: str
    drain_seconds: float
    """How long a worker goes on taking requests after it has said that it is not ready any more."""
    spread: Callable[[], None]
    """Lets all other workers of the service read their files again; set before `start`."""

    async def start(self) -> None:
        """Open everything; raises ConfigError when something riskd was told is wrong."""

    async def stop(self) -> None:
        """Close everything."""

    def ready(self) -> bool:
        """Whether /readyz answers 200."""

    def drain(self) -> None:
        """Answer 503 on /readyz from now on."""

    def look(self, *, again: bool) -> None:
        """Soon take over files that changed; `again`: read them anew even if they seem unchanged."""

    def refused(self, status: int) -> None:
        """Count a request that was refused before it reached the app."""


class DrainingServer(Server):
    """uvicorn's server, with an end in which no caller is cut."""

    def __init__(self, service: Service, ready: Callable[[], None]) -> None:
        """`ready` is called once, when connections are taken and the service is ready."""
        super().__init__(
            Config(
                service.app,
                http=BoundedProtocol,
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=LEAVE_WITHIN_S,
            )
        )
        self.server_state: Connections = Connections(service.limits, service.refused)
        self._service = service
        self._ready = ready
        self._told_ready = False
        self._quiet = False
        self._forced = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `run`, which knows three ways to end."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Tell that we are ready and cut connections whose patience has ended, besides what uvicorn does."""
        if not self._told_ready and self._service.ready():
            self._told_ready = True
            self._ready()
        if counter % TICKS_PER_SWEEP == 0:
            sweep(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    def leave(self, *, quiet: bool = False) -> None:
        """Begin to drain; called a second time, end at once. `quiet`: a successor serves already."""
        if self.should_exit:
            self.force_exit = True
            self._forced.set()
        self._quiet = quiet
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Go in three steps: say so, take no more connections, close those that rest.

        Every answer closes its connection from the start, so whatever is busy is gone before the last step.
        """
        self.server_state.draining = True
        if self._quiet:
            for server in self.servers:
                server.close()
            await self._unless_forced(self._service.drain_seconds)
        else:
            self._service.drain()
            await self._unless_forced(self._service.drain_seconds)
            for listening in sockets or []:
                take_no_more(listening)
            await self._unless_forced(LAST_REQUESTS_S)
        await super().shutdown(sockets)

    async def _unless_forced(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._forced.wait(), seconds)


async def run(factory: str, listening: socket.socket, status: socket.socket) -> int:
    """Serve until told to leave; return the exit status."""
    reader, writer = await asyncio.open_connection(sock=status)
    try:
        service = _make(factory)
        configure_logs(service.log_level)
        service.spread = lambda: writer.write(between.RELOAD)
        await service.start()
    except ConfigError as error:
        writer.write(between.REFUSED + " ".join(str(error).split()).encode() + b"\n")
        await writer.drain()
        return EXIT_CONFIG
    server = DrainingServer(service, lambda: writer.write(between.READY))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.leave)
    loop.add_signal_handler(signal.SIGUSR2, lambda: server.leave(quiet=True))
    loop.add_signal_handler(signal.SIGHUP, lambda: service.look(again=True))
    # What exists by now lives as long as the process: the collector need not walk it again and again.
    gc.freeze()
    # Sixteen decisions together make thousands of objects, hardly any of them in cycles: to look through those that are
    # still in use every 700 costs a twentieth of a decision.
    gc.set_threshold(10_000)
    gc.enable()
    listening_to_parent = asyncio.create_task(_listen(reader, server, service))
    try:
        await server.serve(sockets=[listening])
    finally:
        listening_to_parent.cancel()
        await service.stop()
        writer.close()
    return 0


def _make(factory: str) -> Service:
    module, _, name = factory.partition(":")
    service: Service = getattr(importlib.import_module(module), name)()
    return service


async def _listen(reader: asyncio.StreamReader, server: DrainingServer, service: Service) -> None:
    """Do what the parent says; leave when it is gone."""
    with contextlib.suppress(ConnectionError):
        async for word in reader:
            service.look(again=word == between.RELOAD)
    log.warning("parent_gone")
    server.leave()


def _allow_many_files() -> None:
    """Raise the soft limit of open files to the hard one: 4,096 connections do not fit in the usual 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(arguments: list[str]) -> int:
    """Run one worker."""
    factory, listening_fd, status_fd = arguments
    gc.disable()  # until everything is loaded: nothing of it is garbage
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to read again
    configure_logs("info")
    _allow_many_files()
    os.set_inheritable(int(listening_fd), False)
    os.set_inheritable(int(status_fd), False)
    listening = socket.socket(fileno=int(listening_fd))
    status = socket.socket(fileno=int(status_fd))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(factory, listening, status))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
