"""Novelty, kind and rarity of the address."""

from typing import Any

import pytest

from riskd.features import FEATURES
from riskd.features.network import (
    ip_unseen_days,
    lists_naming_ip,
    network_kind,
    network_unseen_days,
)
from tests.attempts import attempt, history

DAY_S = 86_400.0


@pytest.mark.parametrize(
    ("network", "known", "days"),
    [
        ({"ip": "i"}, {"known_ips": 3, "ip_age_s": 2 * DAY_S}, 2.0),
        ({"ip": "i"}, {"known_ips": 3}, 3650.0),
        ({"ip": "i"}, {"known_ips": 0}, None),
        ({}, {"known_ips": 3, "ip_age_s": 2 * DAY_S}, None),
    ],
)
def test_ip_unseen(network: dict[str, Any], known: dict[str, Any], days: float | None) -> None:
    """Days since the address was confirmed, 3650 when never, unknown without address or known addresses."""
    assert ip_unseen_days(attempt(network=network, history=history(**known))) == days


@pytest.mark.parametrize(
    ("network", "known", "days"),
    [
        ({"key": "AS1"}, {"known_networks": 1, "network_age_s": 12 * 3600.0}, 0.5),
        ({"key": "AS1"}, {"known_networks": 1}, 3650.0),
        ({"key": "AS1"}, {"known_networks": 0}, None),
        ({}, {"known_networks": 1}, None),
    ],
)
def test_network_unseen(network: dict[str, Any], known: dict[str, Any], days: float | None) -> None:
    """Days since the network was confirmed, 3650 when never, unknown without network or known networks."""
    assert network_unseen_days(attempt(network=network, history=history(**known))) == days


@pytest.mark.parametrize(
    ("feature", "fact"), [("tor", "tor"), ("proxy", "proxy"), ("hosting", "hosting"), ("address_denied", "denied")]
)
def test_flags(feature: str, fact: str) -> None:
    """A flag is 1 or 0 as the source says, and unknown when no source says anything."""
    compute = FEATURES[feature].compute
    assert compute(attempt(network={fact: True})) == 1.0
    assert compute(attempt(network={fact: False})) == 0.0
    assert compute(attempt(network={})) is None


def test_lists() -> None:
    """How many lists hold the address: none is 0, no list at all is unknown."""
    assert lists_naming_ip(attempt(network={"listed": ("feed", "own")})) == 2.0
    assert lists_naming_ip(attempt(network={"listed": ()})) == 0.0
    assert lists_naming_ip(attempt(network={"listed": None})) is None


def test_kind() -> None:
    """The kind is the source's word."""
    assert network_kind(attempt(network={"kind": "vpn"})) == "vpn"
