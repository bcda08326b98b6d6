"""What tests of learning and tuning share."""

import pytest

from riskd.policy import Policy


@pytest.fixture(scope="session")
def policy(default_policy: Policy) -> Policy:
    """The policy that worlds are played and logs tuned under: the shipped one."""
    return default_policy
