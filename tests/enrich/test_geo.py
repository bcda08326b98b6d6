"""Places and networks out of databases and built-in tables."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskd.enrich.address import parse_address
from riskd.enrich.countries import countries, country_place
from riskd.enrich.geo import Geo
from riskd.enrich.records import KnownNetwork
from riskd.errors import DataError, RequestError
from riskd.facts import PlaceFacts

WriteMmdb = Callable[..., Path]

LONDON = {
    "country": {"iso_code": "GB"},
    "city": {"names": {"en": "London", "de": "London"}},
    "location": {"latitude": 51.5142, "longitude": -0.0931, "accuracy_radius": 10, "time_zone": "Europe/London"},
}
TOKYO = {
    "country": {"iso_code": "JP"},
    "city": {"names": {"en": "Tokyo"}},
    "location": {"latitude": 35.69, "longitude": 139.69, "accuracy_radius": 20, "time_zone": "Asia/Tokyo"},
}
IP = parse_address("81.2.69.142")
IP6 = parse_address("2a02:c7d::1")


def test_built_in_place(tmp_path: Path) -> None:
    """Without a database a place is the country of registration, with a radius that covers it and its clocks."""
    place = Geo(tmp_path).place(IP)
    assert (place.country, place.city) == ("GB", None)
    assert place.accuracy_km is not None
    assert 500 < place.accuracy_km < 1000
    assert (place.utc_offset_min_minutes, place.utc_offset_max_minutes) == (0, 60)
    assert Geo(tmp_path).place(parse_address("2001:200::1")).country == "JP"


@pytest.mark.parametrize(
    ("ip", "known"),
    [
        ("185.220.101.1", KnownNetwork(kind="tor", tor=True, proxy=False, hosting=False, relay=False)),
        ("52.95.110.1", KnownNetwork(kind="hosting", tor=False, proxy=False, hosting=True, relay=False)),
        ("66.249.66.1", KnownNetwork(kind="hosting", tor=False, proxy=False, hosting=True, relay=False)),
        ("172.224.226.1", KnownNetwork(kind="relay", tor=False, proxy=False, hosting=False, relay=True)),
        ("81.2.69.142", KnownNetwork(kind=None, tor=False, proxy=False, hosting=False, relay=False)),
        ("10.0.0.1", KnownNetwork()),
    ],
)
def test_built_in_networks(tmp_path: Path, ip: str, known: KnownNetwork) -> None:
    """Published ranges tell Tor, clouds, crawlers and relays from lines at home; private addresses are nothing."""
    assert Geo(tmp_path).network(parse_address(ip)) == known


def test_relays_and_private_addresses_have_no_place(tmp_path: Path) -> None:
    """A relay's block is registered with its operator, so its country says nothing; nor has a private address one."""
    geo = Geo(tmp_path)
    assert geo.place(parse_address("172.224.226.1")) == geo.place(parse_address("10.0.0.1")) == PlaceFacts()


def test_country_table() -> None:
    """All 249 ISO codes and Kosovo have a circle on the globe and clocks within bounds."""
    table = countries()
    assert len(table) == 250
    for country in table.values():
        assert len(country.code) == 2
        assert -90 <= country.latitude <= 90
        assert -180 <= country.longitude <= 180
        assert 10 <= country.radius_km <= 6_200
        assert -720 <= country.utc_offset_min <= country.utc_offset_max <= 840
    assert country_place("ZZ") == country_place(None) == PlaceFacts()


@pytest.mark.parametrize(
    ("kind", "record", "expected"),
    [
        ("GeoLite2-City", LONDON, ("GB", "London", 51.51, 10.0, 0, 60)),
        ("GeoIP2-Enterprise", LONDON | {"traits": {"user_type": "residential"}}, ("GB", "London", 51.51, 10.0, 0, 60)),
        ("GeoLite2-Country", {"country": {"iso_code": "GB"}}, ("GB", None, 55.4, 650.0, 0, 60)),
        ("GeoLite2-Country", {"registered_country": {"iso_code": "JP"}}, ("JP", None, 30.6, 1720.0, 540, 540)),
        (
            "city ipv4",
            {"city": "London", "country_code": "GB", "latitude": 51.5142, "longitude": -0.0931, "timezone": ""},
            ("GB", "London", 51.51, 50.0, 0, 60),
        ),
        (
            "city ipv4",
            {"city": "", "country_code": "GB", "latitude": 51.5142, "longitude": -0.0931},
            ("GB", None, 51.51, 650.0, 0, 60),
        ),
        ("country", {"country_code": "GB"}, ("GB", None, 55.4, 650.0, 0, 60)),
        (
            "ipinfo standard_location.mmdb",
            {"city": "Tokyo", "country": "JP", "lat": "35.69", "lng": "139.69", "timezone": "Asia/Tokyo"},
            ("JP", "Tokyo", 35.69, 50.0, 540, 540),
        ),
        (
            "odd",
            {"country_code": "ZZ", "latitude": "north", "longitude": 999.0, "city": "Nowhere"},
            (None, "Nowhere", None, None, None, None),
        ),
        ("odd", {"country_code": "GB", "latitude": 51.5142, "longitude": 0.0, "timezone": "../x"}, None),
    ],
)
def test_city_shapes(
    tmp_path: Path, write_mmdb: WriteMmdb, kind: str, record: dict[str, Any], expected: tuple[object, ...] | None
) -> None:
    """Nested and flat records give the same facts; what they leave out is as coarse as the country."""
    geo = Geo(tmp_path, city=write_mmdb("city.mmdb", kind, {"81.2.69.0/24": record, "2a02:c7d::/32": record}))
    expected = expected or ("GB", None, 51.51, 650.0, 0, 60)
    for address in (IP, IP6):
        place = geo.place(address)
        latitude = None if place.latitude is None else round(place.latitude, 2)
        clocks = (place.utc_offset_min_minutes, place.utc_offset_max_minutes)
        assert (place.country, place.city, latitude, place.accuracy_km, *clocks) == expected


def test_addresses_outside_the_database(tmp_path: Path, write_mmdb: WriteMmdb) -> None:
    """Where the database is silent, also about all IPv6, the built-in country answers."""
    geo = Geo(tmp_path, city=write_mmdb("city.mmdb", "GeoLite2-City", {"1.0.0.0/24": LONDON}, ip_version=4))
    assert geo.place(IP).accuracy_km == 650.0
    assert geo.place(IP6).country == "GB"


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("GeoLite2-ASN", {"autonomous_system_number": 20712, "autonomous_system_organization": "Andrews & Arnold"}),
        ("asn ipv4", {"autonomous_system_number": 20712, "autonomous_system_organization": "Andrews & Arnold"}),
        ("ipinfo standard_asn.mmdb", {"asn": "AS20712", "name": "Andrews & Arnold", "type": "isp"}),
    ],
)
def test_asn_shapes(tmp_path: Path, write_mmdb: WriteMmdb, kind: str, record: dict[str, Any]) -> None:
    """Number and owner of a network are read from MaxMind's and flat ASN databases."""
    known = Geo(tmp_path, asn=write_mmdb("asn.mmdb", kind, {"81.2.69.0/24": record})).network(IP)
    assert (known.asn, known.organization, known.kind) == (20712, "Andrews & Arnold", None)


@pytest.mark.parametrize(
    ("record", "kind", "flags"),
    [
        ({"is_anonymous": True, "is_anonymous_vpn": True}, "vpn", (False, True, False, False)),
        ({"is_anonymous": True, "is_public_proxy": True}, "proxy", (False, True, False, False)),
        ({"is_anonymous": True, "is_residential_proxy": True}, "proxy", (False, True, False, False)),
        ({"is_anonymous": True, "is_tor_exit_node": True, "is_anonymous_vpn": True}, "tor", (True, True, False, False)),
        ({"is_anonymous": True, "is_hosting_provider": True}, "hosting", (False, False, True, False)),
    ],
)
def test_anonymous_ip(
    tmp_path: Path, write_mmdb: WriteMmdb, record: dict[str, Any], kind: str, flags: tuple[bool, ...]
) -> None:
    """Flags of an Anonymous-IP database add to what the published ranges say."""
    geo = Geo(tmp_path, anonymous=write_mmdb("anon.mmdb", "GeoIP2-Anonymous-IP", {"81.2.69.0/24": record}))
    known = geo.network(IP)
    assert known.kind == kind
    assert (known.tor, known.proxy, known.hosting, known.relay) == flags
    assert geo.network(parse_address("185.220.101.1")).tor


def test_enterprise_serves_networks_too(tmp_path: Path, write_mmdb: WriteMmdb) -> None:
    """A city database whose records name the network spares an ASN database; a carrier is a mobile network."""
    traits = {"autonomous_system_number": 12576, "autonomous_system_organization": "EE", "user_type": "cellular"}
    geo = Geo(tmp_path, city=write_mmdb("e.mmdb", "GeoIP2-Enterprise", {"81.2.69.0/24": LONDON | {"traits": traits}}))
    assert geo.network(IP) == KnownNetwork(12576, "EE", "mobile", tor=False, proxy=False, hosting=False, relay=False)


def test_refuses_what_is_no_city_database(tmp_path: Path, write_mmdb: WriteMmdb) -> None:
    """Missing, empty, truncated, foreign and mislabelled files stop the start with one line that names the file."""
    asn = write_mmdb("asn.mmdb", "GeoLite2-ASN", {"81.2.69.0/24": {"autonomous_system_number": 1}})
    lie = write_mmdb("lie.mmdb", "GeoLite2-City", {"81.2.69.0/24": {"location": {"latitude": 1.0}, "country": "GB"}})
    text = tmp_path / "text.mmdb"
    text.write_text("no database " * 1000)
    empty = tmp_path / "empty.mmdb"
    empty.touch()
    good = write_mmdb("good.mmdb", "GeoLite2-City", {"81.2.69.0/24": LONDON}).read_bytes()
    cut = tmp_path / "cut.mmdb"
    cut.write_bytes(good[: len(good) // 2])
    words = write_mmdb("words.mmdb", "Words", {"81.2.69.0/24": "London"})
    for path in (asn, lie, text, empty, cut, words, tmp_path / "missing.mmdb", tmp_path):
        with pytest.raises(DataError, match=str(path)) as caught:
            Geo(tmp_path, city=path)
        assert "\n" not in str(caught.value)


def _city(geo: Geo) -> str | None:
    place = geo.find(IP.text).place
    return place.city if place else None


def test_swaps_a_changed_file(tmp_path: Path, write_mmdb: WriteMmdb) -> None:
    """A changed database takes over at the next refresh, also one that was overwritten in place."""
    path = write_mmdb("city.mmdb", "GeoLite2-City", {"81.2.69.0/24": LONDON})
    geo = Geo(tmp_path, city=path)
    assert _city(geo) == "London"
    new = write_mmdb("new.mmdb", "GeoLite2-City", {"81.2.69.0/24": TOKYO, "1.0.0.0/24": TOKYO})
    path.write_bytes(new.read_bytes())
    assert _city(geo) == "London"
    assert geo.refresh() == ()
    assert _city(geo) == "Tokyo"
    assert len(list((tmp_path / "geo" / "live").iterdir())) == 1


def test_remembers_addresses(tmp_path: Path, write_mmdb: WriteMmdb) -> None:
    """An address is looked up once, and addresses of one place and network share what is known of these."""
    geo = Geo(tmp_path, city=write_mmdb("city.mmdb", "GeoLite2-City", {"81.2.0.0/16": LONDON}))
    found = geo.find(IP.text)
    assert geo.find(IP.text) is found
    assert (found.address, found.place, found.network) == (IP, geo.place(IP), geo.network(IP))
    other = geo.find("81.2.7.7")
    assert other.address.text == "81.2.7.7"
    assert other.place is found.place
    assert other.network is found.network
    assert geo.find("::ffff:81.2.69.142") == found
    with pytest.raises(RequestError):
        geo.find("nowhere")


def test_does_not_remember_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be read is looked up again the next time, and what could be read is told meanwhile."""
    geo = Geo(tmp_path)

    def fail(_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(geo, "network", fail)
        found = geo.find(IP.text)
        assert found.network is None
        assert found.place == geo.place(IP)
    assert geo.find(IP.text).network == geo.network(IP)


def test_bad_files_leave_the_last_good_one(tmp_path: Path, write_mmdb: WriteMmdb) -> None:
    """Cut short, deleted, of another kind: the last good database stays and each refresh says why."""
    path = write_mmdb("city.mmdb", "GeoLite2-City", {"81.2.69.0/24": LONDON})
    good = path.read_bytes()
    geo = Geo(tmp_path, city=path)
    asn = write_mmdb("asn.mmdb", "GeoLite2-ASN", {"81.2.69.0/24": {"autonomous_system_number": 1}}).read_bytes()
    for bad in (good[:100], b"", asn, None):
        path.unlink() if bad is None else path.write_bytes(bad)
        for _ in range(2):
            (problem,) = geo.refresh()
            assert str(path) in problem
            assert "last good one stays" in problem
        assert geo.place(IP).city == "London"
        assert geo.place(parse_address("81.2.69.7")).city == "London"
    path.write_bytes(good)
    assert geo.refresh() == ()


def test_swap_during_lookups(tmp_path: Path, write_mmdb: WriteMmdb) -> None:
    """Lookups that run while databases change give the old place or the new one, never an error."""
    path = write_mmdb("city.mmdb", "GeoLite2-City", {"81.2.0.0/16": LONDON})
    tokyo = write_mmdb("tokyo.mmdb", "GeoLite2-City", {"81.2.0.0/16": TOKYO}).read_bytes()
    files = [path.read_bytes(), tokyo]
    geo = Geo(tmp_path, city=path)
    seen: set[str | None] = set()
    failures: list[BaseException] = []
    stop = threading.Event()

    def look() -> None:
        number = 0
        try:
            while not stop.is_set():
                number = (number + 1) % 65_536
                place = geo.find(f"81.2.{number >> 8}.{number & 255}").place
                seen.add(place.city if place else None)
        except BaseException as error:  # noqa: BLE001 - collected for the assertion
            failures.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    for turn in range(30):
        path.write_bytes(files[turn % 2])
        geo.refresh()
    stop.set()
    thread.join()
    assert not failures
    assert seen == {"London", "Tokyo"}


def test_installed_files(tmp_path: Path, write_mmdb: WriteMmdb) -> None:
    """Installed files serve without configuration, appear at a refresh, and a damaged one stops the start."""
    geo = Geo(tmp_path)
    assert not geo.has_cities
    installed = tmp_path / "geo"
    installed.mkdir(exist_ok=True)
    for version, prefix in ((4, "81.2.69.0/24"), (6, "2a02:c7d::/32")):
        flat = {"city": "London", "country_code": "GB", "latitude": 51.5142, "longitude": -0.0931}
        made = write_mmdb("made.mmdb", f"city ipv{version}", {prefix: flat}, ip_version=version)
        shutil.move(made, installed / f"city-ipv{version}.mmdb")
    assert geo.refresh() == ()
    assert geo.has_cities
    assert geo.place(IP).city == geo.place(IP6).city == "London"
    (installed / "asn.table").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"asn\.table"):
        Geo(tmp_path)
