"""Distance, travel and novelty of the place."""

from typing import Any

import pytest

from riskd.features.place import (
    country,
    country_unseen_days,
    distance_km,
    km_from_nearest_place,
    net_distance_km,
    travel_speed_kmh,
    utc_offset_gap_minutes,
    vague,
)
from tests.attempts import attempt, history, known_place

LONDON = (51.5074, -0.1278)
PARIS = (48.8566, 2.3522)
SYDNEY = (-33.8688, 151.2093)
HERE = {"country": "FR", "latitude": PARIS[0], "longitude": PARIS[1], "accuracy_km": 0.0}
DAY_S = 86_400.0


@pytest.mark.parametrize(
    ("a", "b", "km"),
    [
        (LONDON, LONDON, 0.0),
        (LONDON, PARIS, 343.6),
        (PARIS, LONDON, 343.6),
        (LONDON, SYDNEY, 16_993.9),
        ((0.0, 179.9), (0.0, -179.9), 22.2),  # across the date line
        ((90.0, 0.0), (-90.0, 0.0), 20_015.1),  # pole to pole
        ((0.0, 0.0), (0.0, 180.0), 20_015.1),  # antipodes, where rounding would leave asin's domain
    ],
)
def test_distance(a: tuple[float, float], b: tuple[float, float], km: float) -> None:
    """Great-circle distances agree with published ones, across the date line and the poles too."""
    assert distance_km(*a, *b) == pytest.approx(km, abs=0.5)


@pytest.mark.parametrize(
    ("own_km", "other_km", "net_km"),
    [(0.0, 0.0, 343.6), (100.0, 20.0, 223.6), (None, None, 243.6), (None, 0.0, 293.6), (300.0, 300.0, 0.0)],
)
def test_radii_are_taken_off(own_km: float | None, other_km: float | None, net_km: float) -> None:
    """Both accuracy radii come off a distance, 50 km where none is given, and it never falls below 0."""
    here = attempt(place={**HERE, "accuracy_km": own_km}).place
    assert net_distance_km(here, *LONDON, other_km) == pytest.approx(net_km, abs=0.5)


@pytest.mark.parametrize(
    ("known", "days"),
    [
        ({"known_countries": 1}, 3650.0),
        ({"known_countries": 2, "country_age_s": 3 * DAY_S}, 3.0),
        ({"known_countries": 1, "country_age_s": 0.0}, 0.0),
        ({"known_countries": 0}, None),
    ],
)
def test_country_unseen(known: dict[str, Any], days: float | None) -> None:
    """Days since the country was confirmed, 3650 when never, unknown while no country is known."""
    assert country_unseen_days(attempt(place=HERE, history=history(**known))) == days


def test_country_unseen_needs_a_country() -> None:
    """An attempt whose country is unknown comes from no new country."""
    assert country_unseen_days(attempt(history=history(known_countries=1))) is None
    assert country(attempt(place=HERE)) == "FR"


@pytest.mark.parametrize(
    ("places", "km"),
    [
        ((known_place(*LONDON),), 343.6),
        ((known_place(*SYDNEY), known_place(*LONDON)), 343.6),
        ((known_place(*LONDON, accuracy_km=100.0),), 243.6),
        ((known_place(None, None), known_place(*LONDON)), 343.6),
        ((known_place(None, None),), None),
        ((), None),
    ],
)
def test_nearest_place(places: tuple[Any, ...], km: float | None) -> None:
    """The nearest confirmed place counts; places without coordinates say nothing."""
    found = km_from_nearest_place(attempt(place=HERE, history=history(places=places)))
    assert found is None if km is None else found == pytest.approx(km, abs=0.5)


def test_nearest_place_needs_coordinates() -> None:
    """Without coordinates of the attempt there is no distance."""
    assert (
        km_from_nearest_place(attempt(place={"country": "FR"}, history=history(places=(known_place(*LONDON),)))) is None
    )


def speed(*, network: dict[str, Any] | None = None, place: dict[str, Any] | None = None, **last: Any) -> float | None:  # noqa: ANN401
    """Speed from a last confirmed place in London, an hour ago unless `last` says otherwise, to Paris."""
    places = (known_place(**{"latitude": LONDON[0], "longitude": LONDON[1], **last}),)
    return travel_speed_kmh(attempt(place=place or HERE, network=network or {}, history=history(places=places)))


@pytest.mark.parametrize(
    ("last", "kmh"),
    [
        ({}, 343.6),
        ({"age_s": 1800.0}, 687.1),
        ({"age_s": 0.0}, 343.6 * 60),  # never less than a minute, so a clock's jitter makes no infinite speed
        ({"accuracy_km": 143.6}, 200.0),
        ({"accuracy_km": 300.0}, 0.0),  # 44 km remain: under 50 km nothing is travel
        ({"latitude": PARIS[0], "longitude": PARIS[1]}, 0.0),
    ],
)
def test_travel_speed(last: dict[str, Any], kmh: float) -> None:
    """Speed is the distance beyond both radii over the time since, 0 under 50 km."""
    assert speed(**last) == pytest.approx(kmh, rel=0.002)


@pytest.mark.parametrize("kind", ["tor", "proxy", "relay", "mobile"])
def test_travel_speed_is_unknown_where_the_place_is_vague(kind: str) -> None:
    """A VPN, proxy, relay, Tor exit or mobile gateway at either end makes the speed unknown."""
    assert speed(network={kind: True}) is None
    assert vague(attempt(network={kind: True}))
    assert speed(vague=True) is None
    assert speed(network={kind: False}) is not None


def test_a_place_is_vague_while_the_network_is_unknown() -> None:
    """While the source that knows VPNs is down, no place is taken for where the person is."""
    places = (known_place(*LONDON),)
    facts = attempt(place=HERE, history=history(places=places), down=("network",))
    assert travel_speed_kmh(facts) is None
    assert km_from_nearest_place(facts) is not None


def test_travel_speed_from_the_same_address() -> None:
    """The same address did not travel, whatever the databases say of its place."""
    last = known_place(*LONDON, age_s=3600.0)
    for ip_age_s, kmh in ((3600.0, 0.0), (90_000.0, 343.6), (None, 343.6)):
        facts = attempt(place=HERE, history=history(places=(last,), ip_age_s=ip_age_s))
        assert travel_speed_kmh(facts) == pytest.approx(kmh, abs=1)


def test_travel_speed_needs_both_ends() -> None:
    """Without coordinates at one end, or without a confirmed place, there is no speed."""
    assert speed(latitude=None, longitude=None) is None
    assert speed(place={"country": "FR"}) is None
    assert travel_speed_kmh(attempt(place=HERE, history=history())) is None


@pytest.mark.parametrize(
    ("claimed", "gap"), [(60, 0.0), (120, 0.0), (90, 0.0), (0, 60.0), (540, 420.0), (-300, 360.0), (None, None)]
)
def test_utc_offset_gap(claimed: int | None, gap: float | None) -> None:
    """Offsets in use at the place, summer or winter, have no gap; others their distance to the nearest of them."""
    place = {"utc_offset_min_minutes": 60, "utc_offset_max_minutes": 120}
    assert utc_offset_gap_minutes(attempt(device={"utc_offset_minutes": claimed}, place=place)) == gap


def test_utc_offset_gap_is_unknown_without_a_place_or_behind_a_vpn() -> None:
    """A VPN's place says nothing of the clock, nor does an unknown one."""
    place = {"utc_offset_min_minutes": 60, "utc_offset_max_minutes": 120}
    device = {"utc_offset_minutes": 540}
    assert utc_offset_gap_minutes(attempt(device=device, place=place, network={"proxy": True})) is None
    assert utc_offset_gap_minutes(attempt(device=device, place={"utc_offset_min_minutes": 60})) is None
    assert utc_offset_gap_minutes(attempt(device=device)) is None
