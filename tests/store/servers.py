"""Servers with options of their own, for faults that the shared server must not suffer."""

import socket
import subprocess
import time
from pathlib import Path

import redis

from riskd.store.embedded import answers, find_server


class Server:
    """A real server on a unix socket that can be stopped, silenced, emptied and started again."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.socket = home / "s"
        self.url = f"unix://{self.socket}"
        self._options = options
        self.process = self.start()

    def start(self, *options: str, ready: bool = True) -> subprocess.Popen[bytes]:
        """Start (again), optionally without waiting until it is ready."""
        self.socket.unlink(missing_ok=True)
        base = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.home), "--save", ""]
        self.process = subprocess.Popen(
            [str(find_server()), *base, *self._options, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 10
        while not (answers(self.socket) if ready else self._listens()):
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.01)
        return self.process

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def say(self, *command: str | int) -> object:
        """Send one plain command."""
        with redis.Redis(unix_socket_path=str(self.socket), decode_responses=True) as client:
            return client.execute_command(*command)

    def info(self, section: str) -> dict[str, object]:
        """Return what the server says of itself."""
        with redis.Redis(unix_socket_path=str(self.socket), decode_responses=True) as client:
            return client.info(section)
