"""Where: distance, travel and novelty of the place."""

from math import asin, cos, radians, sin, sqrt

from riskd.facts import Facts, KnownPlace, PlaceFacts
from riskd.features.feature import days_since, feature, signal_feature
from riskd.features.population import Population

EARTH_RADIUS_KM = 6371.0
DEFAULT_ACCURACY_KM = 50.0
"""Radius assumed when a source gives coordinates without one: city databases differ by that much on one address."""
MIN_TRAVEL_KM = 50.0
"""Shorter net distances say nothing about travel."""
MIN_TRAVEL_S = 60.0
SAME_SUCCESS_S = 1.0
"""Ages that differ by less are of one and the same confirmed success."""


def distance_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Great-circle distance in km between two points in degrees, by the haversine formula on a sphere."""
    if latitude_a == latitude_b and longitude_a == longitude_b:
        return 0.0  # the usual case, at home, and the formula's own result
    phi_a, phi_b = radians(latitude_a), radians(latitude_b)
    half_phi = (phi_b - phi_a) / 2
    half_lambda = radians(longitude_b - longitude_a) / 2
    h = sin(half_phi) ** 2 + cos(phi_a) * cos(phi_b) * sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(h)))


def net_distance_km(here: PlaceFacts, latitude: float, longitude: float, accuracy_km: float | None) -> float:
    """Distance from `here` that remains when both accuracy radii are taken off; 0 when the circles touch."""
    between = distance_km(here.latitude or 0.0, here.longitude or 0.0, latitude, longitude)
    own = DEFAULT_ACCURACY_KM if here.accuracy_km is None else here.accuracy_km
    other = DEFAULT_ACCURACY_KM if accuracy_km is None else accuracy_km
    return max(0.0, between - own - other)


def vague(facts: Facts) -> bool:
    """Return True when the address says little about the place: VPN, proxy, Tor, relay or mobile gateway.

    So does any address while the source that knows these is down.
    """
    network = facts.network
    return bool(network.tor or network.proxy or network.relay or network.mobile or "network" in facts.down)


def _net_distance_to(facts: Facts, known: KnownPlace) -> float | None:
    if known.latitude is None or known.longitude is None:
        return None
    return net_distance_km(facts.place, known.latitude, known.longitude, known.accuracy_km)


@signal_feature
def country(facts: Facts) -> str | None:
    """Country of the attempt, ISO 3166-1 alpha-2."""
    return facts.place.country


@feature
def country_unseen_days(facts: Facts) -> float | None:
    """Days since the country was last part of a confirmed success of the subject; 3650 = never.

    Unknown while no country is known of the subject.
    """
    history = facts.history
    if history is None or facts.place.country is None or not history.known_countries:
        return None
    return days_since(history.country_age_s)


@feature
def km_from_nearest_place(facts: Facts) -> float | None:
    """Distance to the nearest of the last 5 confirmed places, both accuracy radii taken off, km."""
    history = facts.history
    if history is None or not history.places or facts.place.latitude is None:
        return None
    net = [d for known in history.places if (d := _net_distance_to(facts, known)) is not None]
    return min(net) if net else None


@feature
def travel_speed_kmh(facts: Facts) -> float | None:
    """Speed needed to get here from the last confirmed place, both accuracy radii taken off, km/h.

    0 under 50 km and from the same address. Unknown when either end is a VPN, proxy, relay, Tor exit or mobile
    gateway, since its place is not where the person is.
    """
    history = facts.history
    if history is None or not history.places or facts.place.latitude is None:
        return None
    last = history.places[0]
    if history.ip_age_s is not None and abs(history.ip_age_s - last.age_s) < SAME_SUCCESS_S:
        return 0.0  # the last success came from this very address
    if last.vague or vague(facts):
        return None
    net_km = _net_distance_to(facts, last)
    if net_km is None:
        return None
    if net_km < MIN_TRAVEL_KM:
        return 0.0
    return net_km / (max(last.age_s, MIN_TRAVEL_S) / 3600)


@feature
def country_rarity_nats(facts: Facts, population: Population) -> float | None:
    """Rarity of the country among everybody's honest attempts, nats (0 = everybody, 7 = one in a thousand)."""
    if population.empty or not population.native or facts.place.country is None:
        return None
    return population.country.nats(facts.place.country)


@feature
def utc_offset_gap_minutes(facts: Facts) -> float | None:
    """How far the client's UTC offset lies outside the offsets in use at the address's place, minutes."""
    claimed, place = facts.device.utc_offset_minutes, facts.place
    if claimed is None or place.utc_offset_min_minutes is None or place.utc_offset_max_minutes is None:
        return None
    if vague(facts):
        return None
    return float(max(0, place.utc_offset_min_minutes - claimed, claimed - place.utc_offset_max_minutes))
