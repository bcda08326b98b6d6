"""Ways to a server: access lists, TLS and sentinels, all real."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from riskd.errors import StoreUnavailable
from riskd.store import Embedded, Store, parse
from riskd.store.embedded import find_server
from tests.store.servers import Server
from tests.store.story import NOW, attempt, history


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    """A server with an access list: one user who may do what riskd needs, and nobody else."""
    server = Server(tmp_path)
    server.say(
        "ACL", "SETUSER", "riskd", "on", ">geheim", "~riskd:*", "+@all", "-@dangerous", "-@admin", "+script|load"
    )
    server.say("ACL", "SETUSER", "default", "off")
    yield server
    server.kill()


async def test_an_acl_user(guarded: Server, tmp_path: Path) -> None:
    """A user with rights on riskd's keys only is enough for everything."""
    store = Store(parse(f"unix://riskd:geheim@{guarded.socket}?db=3"), tmp_path / "marker", budget_s=5.0)
    assert (await history(store)).attempts_5m == 1
    assert await store.ping()
    await store.accept_loss(NOW)
    await store.forget("ada")
    await store.close()


@pytest.mark.parametrize("login", ["riskd:wrong@", "riskd@", ""])
async def test_a_wrong_login(guarded: Server, tmp_path: Path, login: str) -> None:
    """A login that the server refuses makes the store unavailable and is not repeated in the error."""
    store = Store(parse(f"unix://{login}{guarded.socket}"), tmp_path / "marker", budget_s=5.0)
    with pytest.raises(StoreUnavailable) as refused:
        await store.observe(attempt())
    assert "wrong" not in str(refused.value).replace("WRONGPASS", "")
    await store.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for localhost with its key, in one file."""
    path = tmp_path / "tls.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *names]
    subprocess.run([*command, "-keyout", str(path), "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


async def test_tls(embedded: Embedded, certificate: Path, tmp_path: Path, prefix: str) -> None:
    """Over TLS the certificate is verified: one we trust serves, a stranger's is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(str(embedded.socket))

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, ssl.SSLError):
                while data := await source.read(65536):
                    sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))

    server = await asyncio.start_server(serve, "localhost", 0, ssl=context, family=socket.AF_INET)
    url = f"rediss://localhost:{server.sockets[0].getsockname()[1]}"
    store = Store(parse(f"{url}?ca={certificate}"), tmp_path / "marker", budget_s=5.0, prefix=prefix)
    assert (await history(store)).attempts_5m == 1
    stranger = Store(parse(url), tmp_path / "marker", budget_s=5.0, prefix=prefix)
    with pytest.raises(StoreUnavailable, match="certificate"):
        await stranger.observe(attempt())
    await stranger.close()
    await store.close()
    server.close()
    await asyncio.sleep(0.05)  # let both ends of the TLS connection close


def _ask(port: int, section: str) -> dict[str, Any]:
    with redis.Redis(port=port) as client:
        return client.info(section)


class Watched:
    """A master, its replica and a sentinel that watches them, on loopback."""

    def __init__(self, home: Path) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.master, self.replica, self.sentinel = (self._free_port() for _ in range(3))
        self._start(home / "m", self.master)
        self._start(
            home / "r", self.replica, "--replicaof", f"127.0.0.1 {self.master}", "--repl-diskless-sync-delay", "0"
        )
        # A sentinel asks for replicas when it starts, then every ten seconds: let there be one to find.
        self._until(lambda: _ask(self.replica, "replication")["master_link_status"] == "up")
        config = home / "sentinel.conf"
        config.write_text(
            f"port {self.sentinel}\nbind 127.0.0.1\ndir {home}\nsentinel monitor main 127.0.0.1 {self.master} 1\n"
            "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
        )
        self._run(str(config), "--sentinel")

    @staticmethod
    def _free_port() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    def _start(self, home: Path, port: int, *options: str) -> None:
        home.mkdir()
        self._run("--port", str(port), "--bind", "127.0.0.1", "--dir", str(home), "--save", "", *options)

    def _run(self, *arguments: str) -> None:
        command = [str(find_server()), *arguments]
        self.processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    @staticmethod
    def _until(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(redis.RedisError, KeyError):
                if condition():
                    return
            time.sleep(0.05)
        raise RuntimeError("the servers do not find each other")

    def wait(self) -> None:
        """Wait until the sentinel knows the replica."""
        self._until(lambda: _ask(self.sentinel, "sentinel")["master0"]["slaves"] == 1)

    def end(self) -> None:
        """End all servers."""
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A watched pair."""
    made = Watched(tmp_path)
    try:
        made.wait()
        yield made
    finally:
        made.end()


async def test_a_failover_is_followed(watched: Watched, tmp_path: Path) -> None:
    """When the master dies, the sentinel's new master takes over with the history, and so do we."""
    url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{watched.sentinel}/main"
    store = Store(parse(url), tmp_path / "marker", budget_s=2.0)
    first = await history(store)
    with redis.Redis(port=watched.master) as master:
        assert master.wait(1, 5000) == 1
    watched.processes[0].kill()
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(StoreUnavailable):
            seen = await history(store)
            break
        assert time.monotonic() < end, "nobody took over"
        await asyncio.sleep(0.1)
    assert seen.token == first.token
    assert seen.attempts_5m >= 2
    await store.close()


async def test_a_service_nobody_knows(watched: Watched, tmp_path: Path) -> None:
    """A service that the sentinel does not watch is unavailable, with a word on why."""
    url = f"redis+sentinel://127.0.0.1:{watched.sentinel}/other"
    store = Store(parse(url), tmp_path / "marker", budget_s=2.0)
    with pytest.raises(StoreUnavailable, match="other"):
        await store.observe(attempt())
    await store.close()
