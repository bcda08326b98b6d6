"""The place contradicts the subject's habits, the clock, or the policy."""

from riskd.signals.signal import signal


@signal(weight=0.26)
def new_country(country_unseen_days: float, *, memory_days: float = 180.0) -> bool:
    """The country was never part of a confirmed success of this subject.

    False alarms: travel, a new home, VPN exits abroad.
    """
    return country_unseen_days > memory_days


@signal(weight=0.05)
def new_city(km_from_nearest_place: float, *, radius_km: float = 160.0) -> bool:
    """The place is outside the radius of every recent confirmed place.

    False alarms: travel, coarse city data (accuracy radii are taken off first).
    """
    return km_from_nearest_place > radius_km


@signal(weight=0.44)
def impossible_travel(travel_speed_kmh: float, *, max_speed_kmh: float = 900.0) -> bool:
    """The last confirmed place is further away than an airliner could have covered since.

    False alarms: VPN exits and carrier gateways that no list knows, coarse GeoIP.
    """
    return travel_speed_kmh > max_speed_kmh


@signal(weight=0.06)
def far_from_usual(km_from_nearest_place: float, *, distance_km: float = 1000.0) -> bool:
    """The place is far from each of the last confirmed places.

    False alarms: long-haul travel.
    """
    return km_from_nearest_place > distance_km


@signal(weight=0.95)
def denied_country(country: str, *, countries: tuple[str, ...] = ()) -> bool:
    """The policy denies this country.

    False alarms: travellers; a database that places the address in the country of registration.
    """
    return country in countries


@signal(weight=0.18)
def timezone_mismatch(utc_offset_gap_minutes: float, *, tolerance_minutes: float = 90.0) -> bool:
    """The client's clock is set to another time zone than its address is in.

    False alarms: travellers whose laptop keeps home time, VPN users.
    """
    return utc_offset_gap_minutes > tolerance_minutes
