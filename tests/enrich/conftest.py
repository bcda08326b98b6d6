"""Real databases, written small, and an enricher around them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

WriteMmdb = Callable[..., Path]


@pytest.fixture
def write_mmdb(tmp_path: Path) -> WriteMmdb:
    """Write a database: `write_mmdb("city.mmdb", "GeoLite2-City", {"81.2.69.0/24": {...}})`."""

    def write(name: str, kind: str, records: dict[str, Any], ip_version: int = 6) -> Path:
        writer = MMDBWriter(
            ip_version=ip_version,
            ipv4_compatible=ip_version == 6,
            database_type=kind,
            languages=["en"],
            int_type="u32",
            float_type="f64",
        )
        for prefix, record in records.items():
            writer.insert_network(IPSet([prefix]), record)
        path = tmp_path / name
        writer.to_db_file(str(path))
        return path

    return write
