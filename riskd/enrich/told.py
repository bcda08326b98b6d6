"""What the caller itself knows of place and network, in the words of facts; it stands in for lookups."""

from msgspec.structs import replace

from riskd.contract import Network, Place
from riskd.enrich.countries import country_place
from riskd.enrich.records import ASSUMED_ACCURACY_KM, KnownNetwork
from riskd.facts import PlaceFacts


def told_place(told: Place) -> PlaceFacts:
    """Return the place the caller knows; without coordinates it is as coarse as the country."""
    country = country_place(told.country)
    if told.latitude is None:
        return replace(country, country=told.country, city=told.city)
    return PlaceFacts(
        country=told.country,
        city=told.city,
        latitude=told.latitude,
        longitude=told.longitude,
        accuracy_km=ASSUMED_ACCURACY_KM if told.accuracy_km is None else told.accuracy_km,
        utc_offset_min_minutes=country.utc_offset_min_minutes,
        utc_offset_max_minutes=country.utc_offset_max_minutes,
    )


def told_network(told: Network, known: KnownNetwork) -> KnownNetwork:
    """Put what the caller knows in the place of what databases say: number with owner, kind with flags."""
    if told.asn is not None or told.organization is not None:
        known = replace(known, asn=told.asn, organization=told.organization)
    if told.kind is None:
        return known
    return replace(
        known,
        kind=told.kind,
        tor=told.kind == "tor",
        proxy=told.kind in {"vpn", "proxy"},
        hosting=told.kind == "hosting",
        relay=told.kind == "relay",
    )
