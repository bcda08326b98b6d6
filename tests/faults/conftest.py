"""Services of one's own, and one that tests share which it must survive."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.rig import Behind, Rig, healthy
from tests.http.servers import Running, eventually

MakeRig = Callable[..., Rig]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A riskd that is not started yet, with the embedded store."""
    with Rig(tmp_path / "rig") as made:
        yield made


@pytest.fixture(scope="session")
def shared_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The rig of the service that all tests of bad input share."""
    with Rig(tmp_path_factory.mktemp("shared")) as made:
        made.start()
        yield made


@pytest.fixture
def shared(shared_rig: Rig) -> Running:
    """A running service with the embedded store, unharmed by all tests before."""
    (running,) = shared_rig.running
    assert running.process.poll() is None
    return running


@pytest.fixture
def client(shared: Running) -> Iterator[httpx.Client]:
    """A caller of the shared service; afterwards the service still decides."""
    with shared.client() as made:
        yield made
        assert eventually(lambda: healthy(made))


@pytest.fixture(scope="session")
def behind_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """The rig of the service whose store suffers."""
    with Behind(tmp_path_factory.mktemp("behind")) as made:
        made.start()
        yield made


@pytest.fixture
def behind(behind_rig: Behind) -> Iterator[Behind]:
    """A riskd behind the fault proxy, in full service before and after every test, and never restarted."""
    (running,) = behind_rig.running
    workers = running.worker_pids()
    with running.client() as client:
        assert eventually(lambda: healthy(client))
        yield behind_rig
        behind_rig.proxy.fail("pass")
        assert eventually(lambda: healthy(client))
    assert running.worker_pids() == workers
