"""Where countries lie: the honest answer of a source that knows no more than the country."""

from functools import cache
from importlib.resources import files

from msgspec import Struct

from riskd.facts import PlaceFacts


class Country(Struct, frozen=True):
    """A circle around a country and the clocks in it."""

    code: str
    """ISO 3166-1 alpha-2, and XK for Kosovo."""
    name: str
    latitude: float
    longitude: float
    radius_km: float
    """Every part of the country that has no code of its own lies within this radius: 4,850 km for the United States."""
    utc_offset_min: int
    """Minutes east of UTC; least offset in use in any part of the country, winter and summer."""
    utc_offset_max: int


@cache
def countries() -> dict[str, Country]:
    """Read the table that comes with riskd: code to country.

    Circles enclose Natural Earth's 1:10m admin-0 shapes, clocks are those of the IANA time zone database; both are in
    the public domain.
    """
    lines = files(__package__).joinpath("countries.tsv").read_text("utf-8").splitlines()[1:]
    return {row[0]: _country(row) for row in (line.split("\t") for line in lines)}


def _country(row: list[str]) -> Country:
    code, name, latitude, longitude, radius, least, most = row
    return Country(code, name, float(latitude), float(longitude), float(radius), int(least), int(most))


@cache
def country_place(code: str | None) -> PlaceFacts:
    """Return the place of an attempt of which only the country is known; an unknown code gives an unknown place."""
    country = countries().get(code or "")
    if country is None:
        return PlaceFacts()
    return PlaceFacts(
        country=country.code,
        latitude=country.latitude,
        longitude=country.longitude,
        accuracy_km=country.radius_km,
        utc_offset_min_minutes=country.utc_offset_min,
        utc_offset_max_minutes=country.utc_offset_max,
    )
