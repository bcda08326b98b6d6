"""Real servers for the tests of this folder: a parent, its workers and sockets, around the echo engine."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

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
    headers: dict[str, str] = field(default_factory=lambda: {"x-api-key": "rk_all"})

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

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal; return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(10)

    def worker_pids(self) -> list[int]:
        """Return the ids of the worker processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]


Start = Callable[..., Running]


def launch(*, workers: int = 1, drain: float = 0.3, port: int = 0, **environment: str) -> subprocess.Popen[str]:
    """Start a parent process, not waiting for anything."""
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, str(port), str(workers), str(drain)],
        env={**os.environ, "PYTHONPATH": root, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def started(**options: object) -> Running:
    """Start a parent and wait for its ready line."""
    process = launch(**options)  # type: ignore[arg-type]
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, process.stderr.read() if process.stderr else ""
    return Running(process, int(line.split()[2].rpartition(":")[2]), line)


def finish(running: Running) -> None:
    """End a parent, however it stands, and close its pipes."""
    if running.process.poll() is None:
        running.end()
    for pipe in (running.process.stdout, running.process.stderr):
        if pipe is not None:
            pipe.close()


def request(path: str, body: bytes, *headers: str, method: str = "POST") -> bytes:
    """Return a request as bytes, with the key that may do all."""
    lines = [f"{method} {path} HTTP/1.1", "host: x", "x-api-key: rk_all", "content-type: application/json", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer; status 0 when the other side closed without one."""
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
        body += connection.recv(65536)
    return int(lines[0].split()[1]), headers, body
