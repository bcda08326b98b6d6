"""A city database for the day's own service: MaxMind's schema over the whole IPv4 space, one city per /12."""

import random
from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet

COUNTRIES = ("DE", "US", "FR", "BR", "ES", "NL", "PL", "JP", "IN", "ZA")


def write(path: Path, seed: int = 7) -> None:
    """Write the database to `path`."""
    chance = random.Random(seed)
    writer = MMDBWriter(
        ip_version=6, ipv4_compatible=True, database_type="GeoIP2-City", int_type="u32", float_type="f64"
    )
    for block in range(4096):
        writer.insert_network(IPSet([f"{block >> 4}.{(block & 15) << 4}.0.0/12"]), _city(chance, block))
    writer.to_db_file(str(path))


def _city(chance: random.Random, block: int) -> dict[str, object]:
    country = chance.choice(COUNTRIES)
    return {
        "city": {"geoname_id": 1_000_000 + block, "names": {"en": f"City {block}"}},
        "country": {"iso_code": country, "geoname_id": 2_000_000 + COUNTRIES.index(country), "names": {"en": country}},
        "location": {
            "latitude": round(chance.uniform(-55, 65), 4),
            "longitude": round(chance.uniform(-180, 180), 4),
            "accuracy_radius": 20,
            "time_zone": "Etc/UTC",
        },
    }
