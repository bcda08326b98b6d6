"""What GeoIP databases say, in one vocabulary: MaxMind's nested records, flat ones of ip-location-db and IPinfo."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from riskd.enrich.countries import countries, country_place
from riskd.facts import PlaceFacts

Record = Mapping[str, Any]
ASSUMED_ACCURACY_KM = 50.0
"""Radius of a city whose database states none; city databases differ by 50 to 100 km for one address."""
_KINDS = {
    "residential": "residential",
    "cellular": "mobile",
    "mobile": "mobile",
    "business": "business",
    "government": "business",
    "military": "business",
    "college": "education",
    "school": "education",
    "library": "education",
    "education": "education",
    "hosting": "hosting",
    "content_delivery_network": "hosting",
    "isp": None,
}
_SAMPLED_YEAR = 2026
"""Rules of daylight saving are read off this year; the time zone database extends them to later ones."""


class KnownNetwork(Struct, frozen=True):
    """What sources know of an address's network; None = no source says."""

    asn: int | None = None
    organization: str | None = None
    kind: str | None = None
    tor: bool | None = None
    proxy: bool | None = None
    hosting: bool | None = None
    relay: bool | None = None


def roles_of(record: Record) -> frozenset[str]:
    """Return what a database with such records can tell: `city`, `asn`, `anonymous`."""
    traits = _part(record, "traits")
    keys = record.keys() | traits.keys()
    roles = {
        "city": {"country", "registered_country", "location", "country_code", "latitude", "lat"},
        "asn": {"autonomous_system_number", "asn", "as_number"},
        "anonymous": {"is_anonymous", "is_tor_exit_node", "is_hosting_provider", "vpn", "tor", "proxy", "hosting"},
    }
    return frozenset(role for role, words in roles.items() if keys & words)


def place_of(record: Record) -> PlaceFacts:
    """Read the place out of a record; what is missing or malformed is unknown, or as coarse as the country."""
    location = _part(record, "location")
    code = _iso(record, "country") or _iso(record, "registered_country") or _text(record.get("country_code"))
    country = country_place(code)
    city = _city(record)
    latitude = _number(_either(location, record, ("latitude", "lat")), 90)
    longitude = _number(_either(location, record, ("longitude", "lng", "lon")), 180)
    if latitude is None or longitude is None:
        return replace(country, city=city) if city else country
    radius = _number(_either(location, record, ("accuracy_radius", "radius")), 20_100)
    if radius is None:
        radius = ASSUMED_ACCURACY_KM if city or country.accuracy_km is None else country.accuracy_km
    offsets = _offsets(_text(_either(location, record, ("time_zone", "timezone"))))
    least, most = offsets or (country.utc_offset_min_minutes, country.utc_offset_max_minutes)
    return PlaceFacts(
        country=code if code in countries() else None,
        city=city,
        latitude=latitude,
        longitude=longitude,
        accuracy_km=radius,
        utc_offset_min_minutes=least,
        utc_offset_max_minutes=most,
    )


def asn_of(record: Record) -> KnownNetwork:
    """Read number and owner of the network out of a record."""
    traits = _part(record, "traits")
    number = _either(traits, record, ("autonomous_system_number", "asn", "as_number"))
    name = _either(traits, record, ("autonomous_system_organization", "as_name", "name", "organization"))
    kind = _either(traits, record, ("user_type", "connection_type", "type"))
    return KnownNetwork(
        asn=_asn(number),
        organization=_text(name),
        kind=_KINDS.get((_text(kind) or "").lower()),
    )


def anonymity_of(record: Record) -> KnownNetwork:
    """Read what hides behind an address out of a record; a flag that is left out is False, as MaxMind has it."""
    flags = {**record, **_part(record, "traits")}

    def says(*names: str) -> bool:
        return any(flags.get(name) not in (None, "", False, "false") for name in names)

    return KnownNetwork(
        tor=says("is_tor_exit_node", "tor"),
        proxy=says("is_anonymous_vpn", "is_public_proxy", "is_residential_proxy", "vpn", "proxy"),
        hosting=says("is_hosting_provider", "hosting"),
        relay=says("relay"),
        kind="vpn" if says("is_anonymous_vpn", "vpn") else None,
    )


def _part(record: Record, key: str) -> Record:
    part = record.get(key)
    return part if isinstance(part, Mapping) else {}


def _either(first: Record, second: Record, names: tuple[str, ...]) -> object:
    for name in names:
        for record in (first, second):
            if name in record:
                return record[name]
    return None


def _iso(record: Record, key: str) -> str | None:
    value = record.get(key)
    return _text(value.get("iso_code") if isinstance(value, Mapping) else value)


def _city(record: Record) -> str | None:
    value = record.get("city")
    if isinstance(value, Mapping):
        names = _part(value, "names")
        value = names.get("en") or next(iter(names.values()), None)
    return _text(value)


def _text(value: object) -> str | None:
    return value[:256] if isinstance(value, str) and value else None


def _number(value: object, limit: float) -> float | None:
    """Read a number within ±limit; databases write some as text."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except ValueError:
        return None
    return number if number is not None and abs(number) <= limit else None


def _asn(value: object) -> int | None:
    text = re.sub("^AS", "", value, flags=re.IGNORECASE) if isinstance(value, str) else str(value)
    number = int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0
    return number if 0 < number < 2**32 else None


@lru_cache(maxsize=1024)
def _offsets(zone: str | None) -> tuple[int, int] | None:
    """Return least and greatest offset from UTC of a time zone, minutes; None for an unknown zone."""
    if zone is None:
        return None
    try:
        clock = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):  # not found, no relative path, a directory
        return None
    days = (datetime(_SAMPLED_YEAR, month, day, 12, tzinfo=UTC) for month in range(1, 13) for day in (1, 15))
    offsets = [int((day.astimezone(clock).utcoffset() or timedelta()).total_seconds() // 60) for day in days]
    return min(offsets), max(offsets)
