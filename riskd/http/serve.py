"""The parent process: one listening socket, `workers` processes that share it, and nothing that could fail in between.

A worker that dies is replaced. HUP lets all of them read policy, model, keys and databases again, and so does a change
of one of those files. USR2 replaces all workers, one by one, each only after its successor is ready: both share one
accept queue, so no connection is lost on the way. TERM or INT drains and ends; a second one ends at once.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from riskd.errors import ConfigError
from riskd.http import between
from riskd.http.listening import listen

END_WITHIN_S: Final = 4.5
"""Seconds that workers get to leave after the drain time, before they are killed."""
LONGEST_PAUSE_S: Final = 5.0
"""Longest pause before a worker that keeps dying is started again."""

log = structlog.stdlib.get_logger("riskd.serve")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to serve, where, and how."""

    factory: str
    """`module:name` of the callable that makes a worker's service."""
    host: str
    port: int
    """0 takes any free one."""
    workers: int
    key: str
    """The API key shown in the ready line."""
    environment: Mapping[str, str]
    """Variables that workers get beside our own environment."""
    drain_seconds: float
    store: Callable[[], AbstractAsyncContextManager[Mapping[str, str]]]
    """Starts the store before the workers and ends it after them; gives further variables for workers."""
    changes: Callable[[], AsyncIterator[None]] | None = None
    """Yields whenever a file changed that workers read; None leaves it to them to look now and then."""


@dataclass(slots=True)
class Worker:
    """One worker process, and what it told us."""

    process: Process
    status: asyncio.StreamReader
    writer: asyncio.StreamWriter
    expected_to_end: bool = False
    watch: asyncio.Task[None] | None = field(default=None, repr=False)
    hear: asyncio.Task[None] | None = field(default=None, repr=False)

    async def word(self) -> str:
        """Wait for the worker's first word: `ready`, `refused …`, or nothing when it died."""
        with contextlib.suppress(ConnectionError):
            return (await self.status.readline()).decode(errors="replace").strip()
        return ""

    def tell(self, word: bytes) -> None:
        """Say a word, if it still listens."""
        if not self.writer.is_closing():
            self.writer.write(word)

    def signal(self, number: int) -> None:
        """Send a signal, if it still lives."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


class WorkerFailed(ConfigError):
    """A worker ended before it was ready; says why when the worker did."""


class Supervisor:
    """Keeps the workers of one plan alive."""

    def __init__(self, plan: Plan, listening: socket.socket, environment: Mapping[str, str]) -> None:
        self._plan = plan
        self._listening = listening
        self._environment = dict(environment)
        self._workers: list[Worker] = []
        self._ending = asyncio.Event()
        self._forced = asyncio.Event()
        self._rolling: asyncio.Task[None] | None = None

    async def run(self, ready: Callable[[], None]) -> None:
        """Start the workers, call `ready` once all of them are, and keep them until told to end.

        Raises WorkerFailed when one does not start.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGUSR2, self._renew)
        loop.add_signal_handler(signal.SIGHUP, self._tell, between.RELOAD)
        looking = asyncio.ensure_future(self._look_out())
        starting = asyncio.ensure_future(self._launch_all())
        try:
            await _first(starting, self._ending.wait())
            if starting.done():
                await starting
                ready()
                await self._ending.wait()
        finally:
            starting.cancel()
            looking.cancel()
            await asyncio.gather(starting, looking, return_exceptions=True)
            await self._stop()

    def _end(self) -> None:
        if self._ending.is_set():
            self._forced.set()
        self._ending.set()

    def _renew(self) -> None:
        if self._rolling is None or self._rolling.done():
            self._rolling = asyncio.create_task(self._roll())

    def _tell(self, word: bytes, but: Worker | None = None) -> None:
        """Tell all workers; those that are starting hear it once they serve."""
        for worker in self._workers:
            if worker is not but:
                worker.tell(word)

    async def _look_out(self) -> None:
        """Tell the workers of changes, from the first moment on."""
        if self._plan.changes is not None:
            async for _ in self._plan.changes():
                self._tell(between.LOOK)

    async def _hear(self, worker: Worker) -> None:
        """Pass on to all others what a worker says."""
        with contextlib.suppress(ConnectionError):
            async for word in worker.status:
                self._tell(word, but=worker)

    async def _launch_all(self) -> None:
        """Start all workers at once; the first that fails speaks for all."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._plan.workers):
                    group.create_task(self._launch())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _launch(self) -> None:
        """Start one worker and wait until it is ready."""
        worker = await self._spawn()
        self._workers.append(worker)
        word = await worker.word()
        if word != "ready":
            self._workers.remove(worker)
            worker.signal(signal.SIGKILL)
            code = await worker.process.wait()
            worker.writer.close()
            raise WorkerFailed(word.removeprefix("refused ") or f"a worker ended with status {code}; its log says why")
        worker.watch = asyncio.create_task(self._watch(worker))
        worker.hear = asyncio.create_task(self._hear(worker))

    async def _spawn(self) -> Worker:
        ours, theirs = socket.socketpair()
        fds = (self._listening.fileno(), theirs.fileno())
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "riskd.http.worker",
            self._plan.factory,
            *map(str, fds),
            pass_fds=fds,
            stdin=DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal is for the parent alone
            env={**os.environ, **self._plan.environment, **self._environment},
        )
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        return Worker(process, reader, writer)

    async def _watch(self, worker: Worker) -> None:
        """Replace a worker that dies, with growing pauses while its successors die as well."""
        code = await worker.process.wait()
        worker.writer.close()
        self._workers.remove(worker)
        pause = 0.1
        while not worker.expected_to_end and not self._ending.is_set():
            log.error("worker_died", status=code, pid=worker.process.pid)
            try:
                await self._launch()
            except WorkerFailed as failure:
                log.error("worker_failed", reason=str(failure))  # noqa: TRY400 - the reason is the whole story
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                return

    async def _roll(self) -> None:
        """Replace every worker; the old ones stay when a new one refuses to start."""
        for old in list(self._workers):
            try:
                await self._launch()
            except WorkerFailed as failure:
                log.error("restart_refused", reason=str(failure))  # noqa: TRY400 - the reason is the whole story
                return
            old.expected_to_end = True
            old.signal(signal.SIGUSR2)
            if old.watch is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(old.watch), self._plan.drain_seconds + END_WITHIN_S)
            old.signal(signal.SIGKILL)
        log.info("workers_renewed", workers=len(self._workers))

    async def _stop(self) -> None:
        """Let every worker drain and end; kill those that do not, or all of them when forced."""
        self._ending.set()
        self._listening.close()  # the workers' copies are the last ones: what they do not accept nobody will
        if self._rolling is not None:
            self._rolling.cancel()
        workers = list(self._workers)
        for worker in workers:
            worker.expected_to_end = True
            worker.signal(signal.SIGTERM)
        ended = asyncio.gather(*(worker.process.wait() for worker in workers))
        await _first(ended, self._forced.wait(), within=self._plan.drain_seconds + END_WITHIN_S)
        for worker in workers:
            worker.signal(signal.SIGKILL)
        await ended
        await asyncio.gather(*(worker.watch for worker in workers if worker.watch), return_exceptions=True)


async def _first(future: asyncio.Future[Any], other: Coroutine[Any, Any, object], within: float | None = None) -> None:
    """Wait until one of both is done; the other coroutine is cancelled, the future goes on."""
    waiting = asyncio.ensure_future(other)
    await asyncio.wait({future, waiting}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def serve(plan: Plan) -> None:
    """Serve until a signal ends it; prints one line to stdout when all workers are ready.

    Raises ConfigError when it cannot start: the address is taken, the store or a worker refuses.
    """
    listening = listen(plan.host, plan.port)
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def ready() -> None:
        sys.stdout.write(f"riskd ready: {url} key={plan.key}\n")
        sys.stdout.flush()

    with listening:
        async with plan.store() as environment:
            await Supervisor(plan, listening, environment).run(ready)
