"""A whole riskd on a data folder of its own: parent, workers, embedded store, log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from riskd.policy.load import SHIPPED
from tests.app.riskd import Riskd, amend
from tests.http.servers import finish


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Return the shipped policy as a file to be changed, without need of a model."""
    path = tmp_path / "riskd.yaml"
    path.write_bytes((SHIPPED / "default.yaml").read_bytes())
    amend(path, anomaly={"missing": "rules_only"})
    return path


@pytest.fixture
def riskd(tmp_path: Path, policy: Path) -> Iterator[Riskd]:
    """Return a service that is not started yet."""
    service = Riskd(tmp_path / "data", policy)
    yield service
    for running in service.started:
        finish(running)
