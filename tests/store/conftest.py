"""A real embedded server for the tests of this folder, and stores on it that share nothing."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from riskd.store import Embedded, Store, parse
from tests.store.story import Raw

_numbers = itertools.count()


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """One embedded server for all tests."""
    server = Embedded(tmp_path_factory.mktemp("data"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def prefix() -> str:
    """A key prefix of this test only."""
    return f"t{next(_numbers)}"


@pytest.fixture
async def store(embedded: Embedded, prefix: str, tmp_path: Path) -> AsyncIterator[Store]:
    """A patient store: this machine may be busy, and these tests are about answers."""
    made = Store(parse(embedded.url), tmp_path / "store-epoch", budget_s=5.0, prefix=prefix)
    yield made
    await made.close()


@pytest.fixture
async def raw(embedded: Embedded, prefix: str) -> AsyncIterator[Raw]:
    """Plain commands to the same server."""
    made = Raw(str(embedded.socket), prefix)
    yield made
    await made.close()
