"""What tests of learning and tuning share."""

import pytest

from riskd.learn.simulate.run import Simulated, simulate
from riskd.learn.simulate.stream import Size
from riskd.policy import Policy


@pytest.fixture(scope="session")
def policy(default_policy: Policy) -> Policy:
    """The policy that worlds are played and logs tuned under: the shipped one."""
    return default_policy


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory, policy: Policy) -> Simulated:
    """A small world, played; nobody may change its log."""
    return simulate(tmp_path_factory.mktemp("simulated") / "out", Size(subjects=1700, days=90, seed=3), policy)
