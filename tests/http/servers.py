"""Real servers for the tests of this folder: a parent, its workers and sockets, around the echo engine."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

PATIENCE = 30.0
"""Seconds after which a test gives up waiting."""
BODY = {"subject": {"id": "ada"}, "action": {"name": "login"}, "context": {"ip": "192.0.2.1"}}
PARENT = """
import asyncio, contextlib, sys
from riskd.errors import ConfigError
from riskd.http.logs import configure_logs
from riskd.http.serve import Plan, serve

@contextlib.asynccontextmanager
async def store():
    yield {"ECHO_STORE": "started"}

configure_logs("info")
port, workers, drain = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
factory = "tests.http.echo_service:EchoService"
plan = Plan(factory, "127.0.0.1", port, workers, "rk_all", {"ECHO_DRAIN": str(drain)}, drain, store)
try:
    asyncio.run(serve(plan))
except ConfigError as error:
    sys.exit(f"riskd: {error}")
"""


@dataclass
class Running:
    """A parent process that serves."""

    process: subprocess.Popen[str]
    port: int
    ready_line: str
    headers: dict[str, str]
    """Holds the key of the ready line."""

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, **headers: str) -> httpx.Client:
        """Return a client with the key that may do all."""
        return httpx.Client(base_url=self.url, headers=self.headers | headers, timeout=10)

    def connect(self) -> socket.socket:
        """Return a bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    @staticmethod
    def pause() -> None:
        """Give it time to take in what was sent, so that what is sent next comes in another packet."""
        time.sleep(0.02)

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal; return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def worker_pids(self) -> list[int]:
        """Return the ids of the worker processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]


Start = Callable[..., Running]


def run(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Run Python code in a process of its own that finds riskd and these tests."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def launch(*, workers: int = 1, drain: float = 0.3, port: int = 0, **environment: str) -> subprocess.Popen[str]:
    """Start a parent process, not waiting for anything."""
    return run(PARENT, port, workers, drain, **environment)


def started(**options: object) -> Running:
    """Start a parent and wait for its ready line."""
    return wait_ready(launch(**options))  # type: ignore[arg-type]


def wait_ready(process: subprocess.Popen[str]) -> Running:
    """Wait for the ready line of a parent."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, process.stderr.read() if process.stderr else ""
    url, _, key = line.removeprefix("riskd ready: ").partition(" key=")
    return Running(process, int(url.rpartition(":")[2]), line, {"x-api-key": key})


def finish(running: Running) -> None:
    """End a parent, however it stands, and close its pipes."""
    if running.process.poll() is None:
        running.end()
    for pipe in (running.process.stdout, running.process.stderr):
        if pipe is not None:
            pipe.close()


def eventually(holds: Callable[[], bool], within_s: float = PATIENCE) -> bool:
    """Tell whether something comes true in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def request(path: str, body: bytes, *headers: str, key: str = "rk_all") -> bytes:
    """Return a POST as bytes."""
    lines = [f"POST {path} HTTP/1.1", "host: x", f"x-api-key: {key}", "content-type: application/json", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer; status 0 when the other side closed without a whole one."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return 0, {}, data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    while len(body) < int(headers.get("content-length", "0")):
        part = connection.recv(65536)
        if not part:
            return 0, {}, data
        body += part
    return int(lines[0].split()[1]), headers, body


class Calling(ABC):
    """Threads that each `call` until the block ends, or as long as they like."""

    def __init__(self, number: int) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self.call, args=(caller,)) for caller in range(number)]

    def __enter__(self) -> Self:
        """Start the callers."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let each finish its request."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    @abstractmethod
    def call(self, caller: int) -> None:
        """What one caller does."""


class Load(Calling):
    """Callers that ask again and again on kept connections, and reconnect when they are told to."""

    def __init__(self, running: Running, callers: int = 16) -> None:
        super().__init__(callers)
        self.answered = 0
        self.failures: list[str] = []
        self.workers: set[str] = set()
        self._running = running
        self._request = request("/decide", json.dumps(BODY).encode(), key=running.headers["x-api-key"])

    def call(self, _caller: int) -> None:
        """Ask until told to stop."""
        while not self._stop.is_set():
            try:
                connection = self._running.connect()
            except ConnectionError:
                return  # nobody listens any more: the service is gone
            with connection:
                try:
                    self._talk(connection)
                except OSError as error:
                    self.failures.append(repr(error))
                    return

    def _talk(self, connection: socket.socket) -> None:
        """Ask on one connection until the other side says that it closes it."""
        while not self._stop.is_set():
            connection.sendall(self._request)
            status, headers, text = answer(connection)
            if status != 200:
                raise OSError(f"{status} {text!r}")
            self.answered += 1
            self.workers.add(json.loads(text)["model_version"] or "")
            if headers.get("connection") == "close":
                return
