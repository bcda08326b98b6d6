"""How new place and client are, and how gaps and versions are classed."""

from typing import Any

import pytest

from riskd.facts import DeviceFacts, NetworkFacts, PlaceFacts
from riskd.features.likelihood import states as s
from riskd.features.likelihood.tables import GAP_CLASSES, GAPS_S, LOG_TYPICAL, TYPICAL_S
from tests.attempts import history
from tests.features.likelihood.learnt import (
    DAY_S,
    NEW_CLIENT,
    NEW_COUNTRY,
    NEW_FAMILY,
    NEW_IP,
    NEW_NETWORK,
    NEW_OS,
    USUAL,
)

NETWORK, PLACE = NetworkFacts(ip="home", key="AS1"), PlaceFacts(country="NO")
DEVICE = DeviceFacts(family="Windows|Chrome", kind="desktop")
OLD = 9 * DAY_S


@pytest.mark.parametrize(
    ("known", "state"),
    [
        ({}, s.LAST_IP),
        ({"ip_age_s": OLD}, s.KNOWN_IP),
        (NEW_IP, s.LAST_NETWORK),
        ({**NEW_IP, "network_age_s": OLD}, s.KNOWN_NETWORK),
        (NEW_NETWORK, s.LAST_COUNTRY),
        ({**NEW_NETWORK, "country_age_s": OLD}, s.KNOWN_COUNTRY),
        (NEW_COUNTRY, s.NEW_COUNTRY),
        ({**NEW_NETWORK, "known_networks": 0}, s.UNTOLD),
        ({**NEW_COUNTRY, "known_countries": 0}, s.UNTOLD),
    ],
)
def test_place(known: dict[str, Any], state: int) -> None:
    """The first level that is known, and whether it is that of the last success."""
    assert s.place_state(history(**{**USUAL, **known}), NETWORK, PLACE) == state


def test_a_place_that_is_not_known_tells_nothing() -> None:
    """Without network or country there is no state below what is known; a new country is new without a network."""
    assert s.place_state(history(**{**USUAL, **NEW_NETWORK}), NetworkFacts(ip="x"), PLACE) == s.UNTOLD
    assert s.place_state(history(**{**USUAL, **NEW_NETWORK}), NETWORK, PlaceFacts()) == s.UNTOLD
    assert s.place_state(history(**{**USUAL, **NEW_COUNTRY}), NetworkFacts(ip="x"), PLACE) == s.NEW_COUNTRY


@pytest.mark.parametrize(
    ("known", "state"),
    [
        ({}, s.LAST_CLIENT),
        ({"client_age_s": OLD}, s.KNOWN_CLIENT),
        (NEW_CLIENT, s.KNOWN_FAMILY),
        (NEW_FAMILY, s.KNOWN_OS),
        (NEW_OS, s.KNOWN_KIND),
        ({**NEW_OS, "kind_count": 0}, s.NEW_KIND),
        ({**NEW_CLIENT, "known_clients": 0}, s.LAST_CLIENT),  # the family stands in for it
    ],
)
def test_client(known: dict[str, Any], state: int) -> None:
    """The first level that is known, and whether it is that of the last success."""
    assert s.client_state(history(**{**USUAL, **known}), DEVICE) == state


def test_a_client_that_says_too_little() -> None:
    """Without a family, or without a kind where clients are known, nothing is told."""
    assert s.client_state(history(**USUAL), DeviceFacts(kind="desktop")) is None
    assert s.client_state(history(**USUAL), DeviceFacts(family="Windows|Chrome")) is None


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"confirmed": 1}, 0),
        ({"confirmed": 5, "known_ips": 1}, 1),
        ({"confirmed": 5, "known_ips": 2, "known_networks": 1}, 2),
        ({"confirmed": 9, "known_ips": 4, "known_networks": 2}, 3),
        ({"confirmed": 9, "known_ips": 8, "known_networks": 2}, 4),
    ],
)
def test_habit(known: dict[str, Any], expected: int) -> None:
    """From one success to somebody who nearly always comes from a new address."""
    assert s.habit(history(**known)) == expected


@pytest.mark.parametrize(
    ("delta", "expected"), [(-3, 0), (0, 1), (1, 2), (3, 4), (4, 5), (5, 5), (6, 6), (9, 6), (10, 7)]
)
def test_step(delta: int, expected: int) -> None:
    """Versions back, the same, and forward in ever wider classes."""
    assert s.step(delta) == expected


def test_gaps_are_interpolated() -> None:
    """At a typical gap a class's own shares, between two a mixture, beyond the ends those of the ends."""
    rows = [[float(number), 1.0] for number in range(GAP_CLASSES)]
    assert s.interpolated(rows, 0.0) == [0.0, 1.0]
    assert s.interpolated(rows, 1e9) == [GAP_CLASSES - 1, 1.0]
    for number, seconds in enumerate(TYPICAL_S):
        assert s.interpolated(rows, seconds)[0] == pytest.approx(number)
    between = s.interpolated(rows, (TYPICAL_S[3] * TYPICAL_S[4]) ** 0.5)
    assert between[0] == pytest.approx(3.5)
    assert list(LOG_TYPICAL) == sorted(LOG_TYPICAL)
    assert [s.gap_class(edge) for edge in GAPS_S] == list(range(len(GAPS_S)))
    assert s.gap_class(1e9) == GAP_CLASSES - 1
