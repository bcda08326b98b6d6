"""City data as users get it: fetched with npm, looked up through drafts."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from riskd.contract import Action, Context, DecisionRequest
from riskd.enrich.enrich import Draft, Enricher
from riskd.enrich.geo import Geo
from riskd.enrich.identity import load_secrets
from riskd.enrich.install import install_cities, installed
from riskd.enrich.sources import sources
from riskd.errors import DataError

pytestmark = pytest.mark.real
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the real files once."""
    folder = tmp_path_factory.mktemp("data")
    install_cities(folder)
    return folder


def look(data_dir: Path, ip: str) -> Draft:
    """Draft an attempt from an address."""
    enricher = Enricher(load_secrets(data_dir), Geo(data_dir))
    return enricher.draft(DecisionRequest(action=Action(name="login"), context=Context(ip=ip)), NOW)


@pytest.mark.parametrize(
    ("ip", "country", "near", "asn"),
    [
        ("8.8.8.8", "US", (37.4, -122.1), 15169),
        ("193.0.6.139", "NL", (52.4, 4.9), 3333),
        ("130.59.31.80", "CH", (47.4, 8.5), 559),
        ("133.11.93.0", "JP", (35.7, 139.7), 2501),
        ("2001:67c:2e8:22::c100:68b", "NL", (52.4, 4.9), 3333),
        ("2001:200:dff:fff1:216:3eff:feb1:44d7", "JP", (35.7, 139.7), 2500),
    ],
)
def test_public_addresses(data_dir: Path, ip: str, country: str, near: tuple[float, float], asn: int) -> None:
    """Well-known addresses of both versions are found within 1.5 degrees, in their country, with their network."""
    made = look(data_dir, ip)
    assert made.down == ()
    assert made.place.country == country
    assert made.place.accuracy_km == 50.0
    assert made.place.city
    assert (made.place.latitude, made.place.longitude) == pytest.approx(near, abs=1.5)
    assert made.network_key == f"AS{asn}"
    assert made.network.organization


def test_notes_name_the_licence(data_dir: Path) -> None:
    """Each installed file is listed with date, licence and the attribution that the licence asks for."""
    notes = installed(data_dir)
    assert set(notes) == {"city-ipv4.mmdb", "city-ipv6.mmdb", "asn.table"}
    listed = [s for s in sources(Enricher(load_secrets(data_dir), Geo(data_dir)), data_dir, NOW) if s.path]
    assert len(listed) == 3
    for source in listed:
        assert source.built is not None
        assert "CC BY 4.0" in source.licence
        assert "IP Geolocation by DB-IP" in (source.attribution or "")
    assert json.loads((data_dir / "geo" / "sources.json").read_text())
    assert not [entry for entry in (data_dir / "geo").iterdir() if entry.is_dir()]


def test_a_bad_package_changes_nothing(data_dir: Path, tmp_path: Path) -> None:
    """What npm cannot bring, or brings without the files it should hold, leaves the installed files alone."""
    before = {path.name: path.stat().st_mtime_ns for path in (data_dir / "geo").iterdir()}
    (tmp_path / "package.json").write_text('{"name": "empty", "version": "1.0.0"}')
    for package in (str(tmp_path), str(tmp_path / "nowhere")):
        with pytest.raises(DataError):
            install_cities(data_dir, city_package=package, asn_package=package)
    assert {path.name: path.stat().st_mtime_ns for path in (data_dir / "geo").iterdir()} == before
