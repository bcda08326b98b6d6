"""City databases in MaxMind's format, written small."""

from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet

NETWORK = "81.2.69.0/24"


def write_city(path: Path, country: str) -> None:
    """Write a database in which `NETWORK`, and nothing else, is in a country; it takes the place of `path` at once."""
    writer = MMDBWriter(
        ip_version=6,
        ipv4_compatible=True,
        database_type="GeoLite2-City",
        languages=["en"],
        int_type="u32",
        float_type="f64",
    )
    place = {"latitude": 10.0, "longitude": 20.0, "accuracy_radius": 10, "time_zone": "Etc/UTC"}
    writer.insert_network(IPSet([NETWORK]), {"country": {"iso_code": country}, "location": place})
    beside = path.with_suffix(".new")
    writer.to_db_file(str(beside))
    beside.replace(path)
