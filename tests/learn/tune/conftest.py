"""A log of the real engine, played once for all tests of tuning."""

from pathlib import Path

import pytest

from riskd.learn.simulate.run import Simulated, simulate
from riskd.learn.simulate.stream import Size
from riskd.learn.tune.gather import Decisions, gather
from riskd.policy import Policy
from riskd.policy.load import SHIPPED
from riskd.record.reader import read


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory, policy: Policy) -> Simulated:
    """A small world, played."""
    return simulate(tmp_path_factory.mktemp("simulated") / "out", Size(subjects=1500, days=60, seed=3), policy)


@pytest.fixture(scope="session")
def decisions(simulated: Simulated, policy: Policy) -> Decisions:
    """Its log, judged."""
    return gather(read(simulated.log), policy, None)


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    """A copy of the shipped policy to tune."""
    path = tmp_path / "riskd.yaml"
    path.write_bytes((SHIPPED / "default.yaml").read_bytes())
    return path
