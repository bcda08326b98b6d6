"""The embedded server: shared, supervised, persistent, private, and gone with its owner."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from riskd.errors import ConfigError
from riskd.store import Embedded, Store, parse
from riskd.store.embedded import SOCKET_PATH_MAX, answers, find_server, socket_path
from tests.store.story import NOW, confirmed, history


def wait_for(condition: object, seconds: float = 10.0) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def test_history_survives_a_restart(tmp_path: Path) -> None:
    """What was confirmed before a stop is known after the next start, and the epoch is the same."""
    for ago in (100.0, 0.0):
        server = Embedded(tmp_path)
        server.start()
        store = Store(parse(server.url), tmp_path / "store-epoch", budget_s=5.0)
        if ago:
            await confirmed(store, NOW - ago)
        else:
            assert (await history(store)).device_age_s == 100.0
            assert await store.ping()
        await store.close()
        server.stop()
    assert not answers(server.socket)


async def test_a_second_process_shares_the_server(tmp_path: Path) -> None:
    """Another riskd on the same directory uses the running server and does not stop it."""
    owner, guest = Embedded(tmp_path), Embedded(tmp_path)
    owner.start()
    guest.start()
    assert (owner.owned, guest.owned, guest.url) == (True, False, owner.url)
    guest.stop()
    assert answers(owner.socket)
    owner.stop()
    guest.start()
    assert guest.owned
    guest.stop()


def test_a_server_that_dies_is_started_again(tmp_path: Path) -> None:
    """Killing the server costs a moment: its keeper starts it again with its data."""
    server = Embedded(tmp_path)
    server.start()
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        client.set("kept", 1)
        time.sleep(1.1)  # it appends to disk every second
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid))
    wait_for(lambda: answers(server.socket))
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        assert client.get("kept") == b"1"
        assert client.info("server")["process_id"] != pid
    server.stop()


def test_it_is_private_and_never_evicts(tmp_path: Path) -> None:
    """No TCP port, a socket for this user only, data kept on disk, and nothing is evicted."""
    server = Embedded(tmp_path)
    server.start()
    with redis.Redis(unix_socket_path=str(server.socket), decode_responses=True) as client:
        settings = client.config_get("*")
    assert (settings["port"], settings["maxmemory-policy"], settings["appendonly"]) == ("0", "noeviction", "yes")
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700
    server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_no_orphan_when_the_owner_is_killed(tmp_path: Path) -> None:
    """Kill -9 of the owner ends the server as well, and the next owner starts it anew."""
    code = (
        "import sys, time; from pathlib import Path; from riskd.store import Embedded; "
        "e = Embedded(Path(sys.argv[1])); e.start(); print(e._server.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    assert alive(pid)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    wait_for(lambda: not alive(pid))
    server = Embedded(tmp_path)
    server.start()
    assert server.owned
    server.stop()


def test_a_server_left_alive_is_used(tmp_path: Path) -> None:
    """A server that an earlier owner left behind is taken over, and stopped at the end."""
    path = socket_path(tmp_path)
    (tmp_path / "store").mkdir()
    path.parent.mkdir()
    left = subprocess.Popen(
        [str(find_server()), "--port", "0", "--unixsocket", str(path), "--dir", str(tmp_path / "store")],
        stdout=subprocess.DEVNULL,
    )
    wait_for(lambda: answers(path))
    server = Embedded(tmp_path)
    server.start()
    assert server.owned
    server.stop()
    assert left.wait(10) == 0


def test_a_long_path_gets_a_short_private_socket(tmp_path: Path) -> None:
    """A data directory too long for a socket works through a private directory elsewhere, the same for everyone."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    server, guest = Embedded(deep), Embedded(deep)
    server.start()
    guest.start()
    assert len(str(server.socket)) <= SOCKET_PATH_MAX
    assert guest.socket == server.socket
    assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    server.stop()
    server.socket.parent.rmdir()


def test_a_planted_socket_directory_is_refused(tmp_path: Path) -> None:
    """A symbolic link where the private directory belongs is not followed."""
    deep = tmp_path / ("d" * 60) / ("f" * 60)
    path = socket_path(deep)
    path.parent.symlink_to(tmp_path)
    try:
        with pytest.raises(ConfigError, match="no directory of this user"):
            Embedded(deep).start()
    finally:
        path.parent.unlink()


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A file where the data directory should be gives one clear line."""
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigError, match="needs to write in"):
        Embedded(tmp_path / "data").start()


def test_a_damaged_file_stops_the_start(tmp_path: Path) -> None:
    """A store file that cannot be read stops the start and names the log."""
    server = Embedded(tmp_path)
    server.start()
    server.stop()
    for file in (tmp_path / "store" / "appendonlydir").glob("*.base.rdb"):
        file.write_bytes(b"REDIS9999 damaged")
    with pytest.raises(ConfigError, match=r"did not start.*server\.log"):
        Embedded(tmp_path).start()
