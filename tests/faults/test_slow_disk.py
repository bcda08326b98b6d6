"""Case 27, the slow disk: the log on a file system of its own that is frozen and thawed under a running service."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from riskd.record.reader import ReadReport
from tests.faults.rig import Rig, login, metric
from tests.http.servers import eventually

pytestmark = pytest.mark.real
FREEZES_S = 2.0


class Disk:
    """A file system in a file. Frozen, it lets whoever writes to it wait, unkillable, until it is thawed."""

    def __init__(self, folder: Path, image: Path) -> None:
        """Mount an empty file system at `folder`; needs root."""
        with image.open("wb") as file:
            file.truncate(64 * 2**20)
        folder.mkdir(parents=True)
        self._folder = str(folder)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, folder], check=True)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze it for a while."""
        subprocess.run(["fsfreeze", "--freeze", self._folder], check=True)
        try:
            yield
        finally:
            subprocess.run(["fsfreeze", "--unfreeze", self._folder], check=True)

    def unmount(self) -> None:
        """Take it away."""
        subprocess.run(["umount", self._folder], check=True)


@pytest.mark.parametrize("on_failure", ["refuse", "count"])
def test_case_27_a_disk_that_hangs(tmp_path: Path, on_failure: str) -> None:
    """After the first slow write a hung disk holds nobody up: all is answered, and every record is counted exactly."""
    with Rig(tmp_path / "rig", record={"on_failure": on_failure}) as rig:
        disk = Disk(rig.log, tmp_path / "image")
        try:
            hang(rig, disk, on_failure)
        finally:
            rig.close()
            disk.unmount()


def hang(rig: Rig, disk: Disk, on_failure: str) -> None:
    """Freeze the disk twice: once so that it is known to be slow, once for long."""
    asked: list[int] = []
    with rig.start().client() as client:

        def ask(caller: httpx.Client = client) -> int:
            asked.append(caller.post("/decide", json=login(f"s{len(asked)}")).status_code)
            return asked[-1]

        def counted() -> float:
            return metric(client, "riskd_record_written_total") + metric(client, "riskd_record_dropped_total")

        assert [ask() for _ in range(3)] == [200] * 3

        def one_slow_write() -> bool:
            """Whether a write fell into the freeze; a request that came too late for it wrote fast: send another."""
            with disk.frozen():
                caller = threading.Thread(target=ask)
                caller.start()
                time.sleep(0.5)
            caller.join()
            return metric(client, "riskd_record_slow_total") == 1

        assert eventually(one_slow_write)
        with disk.frozen():
            since = time.monotonic()
            during = [ask() for _ in range(40)]
            assert set(during) == {503 if on_failure == "refuse" else 200}
            assert client.get("/healthz").status_code == 200
            assert client.get("/readyz").status_code == (503 if on_failure == "refuse" else 200)
            assert counted() == len(asked) - 1  # one is being written all the while
            assert time.monotonic() - since < 10 * FREEZES_S
            time.sleep(FREEZES_S)
        assert eventually(lambda: counted() == len(asked))
        assert [ask() for _ in range(60)] == [200] * 60
        assert client.get("/readyz").status_code == 200
        assert counted() == len(asked)
        dropped = metric(client, "riskd_record_dropped_total")
        assert dropped == 39
        report = ReadReport()
        assert (len(rig.records(report)), report.refused) == (len(asked) - dropped, {})
