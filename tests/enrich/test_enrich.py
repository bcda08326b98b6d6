"""Whole drafts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.contract import Action, Context, DecisionRequest, Endpoint, Network, Place, Resource, Subject
from riskd.enrich.enrich import Draft, Enricher
from riskd.enrich.geo import Geo
from riskd.enrich.identity import Keep, KeptField, Pseudonyms
from riskd.enrich.install import installed
from riskd.enrich.leaked import LeakedCredentials
from riskd.enrich.lists import NetworkLists
from riskd.enrich.sources import sources
from riskd.errors import ConfigError, DataError, RequestError
from riskd.facts import DeviceFacts, NetworkFacts, PlaceFacts

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
NAMES = Pseudonyms(b"k" * 32)
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36"
)
LOGIN = Action(name="login")


@pytest.fixture(scope="module")
def enricher(tmp_path_factory: pytest.TempPathFactory) -> Enricher:
    """Return an enricher on built-in tables."""
    return Enricher(NAMES, Geo(tmp_path_factory.mktemp("data")))


def draft(enricher: Enricher, *, subject: Subject | None = None, action: Action = LOGIN, **context: object) -> Draft:
    """Draft the facts of one attempt."""
    request = DecisionRequest(subject=subject or Subject(), action=action, context=Context.model_validate(context))
    return enricher.draft(request, NOW)


def test_full_request(enricher: Enricher) -> None:
    """Everything that is sent arrives in its group, identifiers as keyed hashes only."""
    request = DecisionRequest(
        subject=Subject(
            id="alice@example.org",
            session_id="session-1",
            email_domain="mailinator.com",
            acr="urn:mfa",
            amr=("pwd",),
            auth_time=NOW - timedelta(minutes=5),
            account_age_days=3.0,
        ),
        action=Action(name="transfer", amount=12.5, currency="EUR", recipient="DE89370400440532013000"),
        resource=Resource(type="account", id="acc-1", endpoint=Endpoint(path="/pay/%2e%2e/admin?x=1", method="POST")),
        context=Context(
            ip="81.2.69.142",
            user_agent=CHROME,
            device_id="device-1",
            device_digest="digest-1",
            attributes={"tier": "gold"},
            time=datetime(2026, 7, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        ),
    )
    made = enricher.draft(request, NOW + timedelta(hours=1))
    assert made.time == NOW
    assert made.time.tzinfo is UTC
    assert (made.subject.email_disposable, made.subject.auth_age_s, made.subject.acr) == (True, 300.0, "urn:mfa")
    assert (made.action.path, made.action.path_obfuscated, made.action.method) == ("/admin", True, "POST")
    assert (made.place.country, made.device.family, made.network.version) == ("GB", "Windows|Chrome", 4)
    assert (made.attributes, made.down) == ({"tier": "gold"}, ())
    assert made.subject_key == NAMES.subject("alice@example.org")
    assert made.session_key == made.subject.session == NAMES.session("session-1")
    assert made.device_key == made.device.id == NAMES.device("device-1")
    assert made.payload_key == made.device.digest == NAMES.payload("digest-1")
    assert made.recipient_key == made.action.recipient == NAMES.recipient("DE89370400440532013000")
    assert made.address_key == made.network.ip
    assert made.network_key == made.network.key
    told = repr(made)
    assert not any(raw in told for raw in ("alice", "session-1", "device-1", "DE89", "acc-1", "81.2.69", "digest-1"))


def test_bare_request(enricher: Enricher) -> None:
    """With nothing sent nothing is known, and nothing is down."""
    made = draft(enricher)
    assert made.time == NOW
    keys = (made.subject_key, made.session_key, made.address_key, made.network_key, made.device_key, made.payload_key)
    assert keys == (None,) * 6
    assert (made.network, made.place, made.device) == (NetworkFacts(), PlaceFacts(), DeviceFacts())
    assert made.down == ()


def test_future_authentication_proves_nothing(enricher: Enricher) -> None:
    """An `auth_time` after the attempt is zero seconds old as far as clocks may differ, and unknown beyond."""
    ages = [
        draft(enricher, subject=Subject(auth_time=NOW + timedelta(seconds=ahead))).subject.auth_age_s
        for ahead in (3, 300, 301)
    ]
    assert ages == [0.0, 0.0, None]


@pytest.mark.parametrize("ip", ["1.2.3.4:80", "fe80::1%0", "localhost", "999.1.1.1"])
def test_malformed_ip(enricher: Enricher, ip: str) -> None:
    """A malformed address is the caller's mistake."""
    with pytest.raises(RequestError) as caught:
        draft(enricher, ip=ip)
    assert caught.value.status == 422


def test_private_ip(enricher: Enricher) -> None:
    """A private address is known as such and has neither place nor network."""
    made = draft(enricher, ip="10.1.2.3")
    assert (made.network.private, made.network.key, made.network.tor, made.place.country) == (True, None, None, None)
    assert made.address_key is not None


def test_told_place(enricher: Enricher) -> None:
    """A place the caller tells stands in for the lookup; without radius it is 50 km, without coordinates a country."""
    exact = draft(enricher, ip="81.2.69.142", place=Place(country="JP", city="Tokyo", latitude=35.7, longitude=139.7))
    assert exact.place == PlaceFacts(
        country="JP",
        city="Tokyo",
        latitude=35.7,
        longitude=139.7,
        accuracy_km=50.0,
        utc_offset_min_minutes=540,
        utc_offset_max_minutes=540,
    )
    coarse = draft(enricher, place=Place(country="JP")).place
    assert (coarse.country, coarse.accuracy_km) == ("JP", 1720.0)
    assert draft(enricher, place=Place(country="ZZ")).place == PlaceFacts(country="ZZ")
    assert draft(enricher, ip="81.2.69.142", place=Place()).place.country == "GB"


def test_told_network(enricher: Enricher) -> None:
    """What the caller tells of the network stands in for lookups, piece by piece."""
    made = draft(enricher, ip="81.2.69.142", network=Network(asn=64500, organization="Example", kind="vpn"))
    assert made.network_key == made.network.key == "AS64500"
    assert (made.network.proxy, made.network.tor, made.network.hosting, made.network.mobile) == (
        True,
        False,
        False,
        False,
    )
    made = draft(enricher, ip="185.220.101.1", network=Network(asn=64500))
    assert (made.network.key, made.network.tor, made.network.kind) == ("AS64500", True, "tor")
    made = draft(enricher, network=Network(kind="mobile"))
    assert (made.network.mobile, made.network.key, made.network.ip) == (True, None, None)


@pytest.mark.parametrize(
    ("keep", "ip"),
    [("hash", None), ("truncate", "81.2.69.0/24"), ("plain", "81.2.69.142")],
)
def test_kept_fields(tmp_path: Path, keep: Keep, ip: str | None) -> None:
    """The policy says per field what facts hold; the keys for the store are hashes in any case."""
    fields: dict[KeptField, Keep] = {
        "ip": keep,
        "device": "plain",
        "resource": "plain",
        "recipient": "plain",
        "session": "plain",
    }
    enricher = Enricher(NAMES, Geo(tmp_path), keep=fields)
    request = DecisionRequest(
        subject=Subject(session_id="s"),
        action=Action(name="pay", recipient="r"),
        resource=Resource(id="x"),
        context=Context(ip="81.2.69.142", device_id="d"),
    )
    made = enricher.draft(request, NOW)
    assert made.address_key is not None
    assert made.network.ip == (ip or made.address_key)
    assert made.address_key != made.network.ip or keep == "hash"
    assert (made.device.id, made.action.resource_id, made.action.recipient, made.subject.session) == (
        "d",
        "x",
        "r",
        "s",
    )
    assert (made.device_key, made.recipient_key, made.session_key) == (
        NAMES.device("d"),
        NAMES.recipient("r"),
        NAMES.session("s"),
    )


def test_only_addresses_are_truncated(tmp_path: Path) -> None:
    """A policy that would truncate a device id is refused."""
    with pytest.raises(ConfigError, match="only ip can be truncated"):
        Enricher(NAMES, Geo(tmp_path), keep={"device": "truncate"})


def test_lists(tmp_path: Path) -> None:
    """Lists and the policy's own denials meet addresses and told ASNs."""
    path = tmp_path / "feed.txt"
    path.write_text("81.2.69.0/24\nAS64500\n")
    enricher = Enricher(NAMES, Geo(tmp_path), NetworkLists({"feed": path}, ["81.2.69.142"]))
    hit = draft(enricher, ip="81.2.69.142").network
    assert (hit.listed, hit.denied) == (("feed",), True)
    miss = draft(enricher, ip="81.2.70.1", network=Network(asn=1)).network
    assert (miss.listed, miss.denied) == ((), False)
    assert draft(enricher, ip="81.2.70.1", network=Network(asn=64500)).network.listed == ("feed",)
    assert draft(enricher).network.listed is None
    path.write_text("junk")
    assert "junk" in enricher.refresh()[0]


@pytest.mark.parametrize(
    ("said", "prefix", "leaked"),
    [
        (None, None, None),
        (None, "F3BBBD66A6", True),  # of hunter2
        (None, "f3bbbd66a63d", True),
        (None, "F3BBBD66A7", False),
        (False, "F3BBBD66A6", False),
        (True, "F3BBBD66A7", True),
    ],
)
def test_leaked_credentials(tmp_path: Path, said: bool | None, prefix: str | None, leaked: bool | None) -> None:
    """The caller's word stands; without it the hash set tells of a prefix; without both nothing is known."""
    path = tmp_path / "pwned.txt"
    path.write_text("F3BBBD66A63D4BF1747940578EC3D0103530E21D:17043\n")
    subject = Subject(leaked_credential=said, credential_hash_prefix=prefix)
    made = draft(Enricher(NAMES, Geo(tmp_path), leaked=LeakedCredentials(path)), subject=subject)
    assert (made.subject.leaked_credential, made.down) == (leaked, ())
    assert prefix is None or prefix not in repr(made)
    assert draft(Enricher(NAMES, Geo(tmp_path)), subject=subject).subject.leaked_credential is said


def test_leaked_credentials_written_over(tmp_path: Path) -> None:
    """A set that can no longer be asked costs its fact and is named, for those whose password would be looked up."""
    path = tmp_path / "pwned.txt"
    path.write_text("F3BBBD66A63D4BF1747940578EC3D0103530E21D:17043\n")
    enricher = Enricher(NAMES, Geo(tmp_path), leaked=LeakedCredentials(path))
    path.write_text("junk")
    asked = draft(enricher, subject=Subject(credential_hash_prefix="F3BBBD66A6"))
    assert (asked.subject.leaked_credential, asked.down) == (None, ("leaked_credentials",))
    assert draft(enricher, subject=Subject()).down == ()
    assert "pwned.txt" in enricher.refresh()[0]


WriteMmdb = Callable[..., Path]


def test_failing_database_is_named(tmp_path: Path, write_mmdb: WriteMmdb) -> None:
    """Records that cannot be read leave the place unknown and name the source; other addresses are fine."""
    record = {"country": {"iso_code": "GB"}, "location": {"latitude": 51.0, "longitude": 0.0, "accuracy_radius": 10}}
    prefixes = {f"81.{n}.0.0/16": record | {"postal": {"code": str(n) * 40}} for n in range(60)}
    city = write_mmdb("city.mmdb", "GeoLite2-City", prefixes)
    blob = city.read_bytes()
    at = blob.rindex(b"59" * 40)
    city.write_bytes(blob[: at - 3] + b"\xff" * 60 + blob[at + 57 :])
    enricher = Enricher(NAMES, Geo(tmp_path, city=city))
    made = draft(enricher, ip="81.59.0.1", user_agent=CHROME)
    assert made.down == ("geo",)
    assert made.place == PlaceFacts()
    assert made.device.family == "Windows|Chrome"
    assert draft(enricher, ip="81.3.0.1").place.country == "GB"


def test_other_failing_sources_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that fails in any way costs its facts and is named; the rest is drafted."""
    enricher = Enricher(NAMES, Geo(tmp_path))

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("riskd.enrich.geo.origin_of", fail)
    monkeypatch.setattr("riskd.enrich.device.read_user_agent", fail)
    monkeypatch.setattr(enricher.lists, "listed", fail)
    made = draft(enricher, ip="81.2.69.142", user_agent=f"{CHROME} not read before", device_id="d", rtt_ms=5.0)
    assert made.down == ("network", "lists", "geo", "user_agent")
    assert (made.network.tor, made.network.listed, made.place.country, made.device.family) == (None, None, None, None)
    assert (made.device.rtt_ms, made.device.id, made.network.version) == (5.0, NAMES.device("d"), 4)
    assert made.network_key is not None


def test_missing_database_stops_the_start(tmp_path: Path) -> None:
    """A configured database that is not there is one clear line."""
    with pytest.raises(DataError, match=r"missing\.mmdb: No such file"):
        Geo(tmp_path, city=tmp_path / "missing.mmdb")


def test_sources(tmp_path: Path, write_mmdb: WriteMmdb) -> None:
    """Every source in use is listed with version, age and licence."""
    city = write_mmdb("city.mmdb", "GeoLite2-City", {"81.2.69.0/24": {"country": {"iso_code": "GB"}}})
    (tmp_path / "feed.txt").write_text("81.2.69.0/24\n")
    lists = NetworkLists({"feed": tmp_path / "feed.txt"})
    (tmp_path / "pwned.txt").write_text(f"{'0' * 40}\n")
    enricher = Enricher(NAMES, Geo(tmp_path, city=city), lists, leaked=LeakedCredentials(tmp_path / "pwned.txt"))
    listed = {source.name: source for source in sources(enricher, tmp_path, datetime.now(UTC))}
    assert listed["GeoLite2-City"].path == str(city)
    assert listed["GeoLite2-City"].age_days == 0
    assert listed["feed"].entries == 1
    assert listed["leaked credentials"].path == str(tmp_path / "pwned.txt")
    assert {"iporigin", "iptocc", "countries", "disposable-email-domains", "ua-parser", "crawlerdetect"} < set(listed)
    assert all(source.licence for source in listed.values())
    assert installed(tmp_path) == {}


@given(
    st.builds(
        Context.model_construct,
        ip=st.none() | st.ip_addresses().map(str) | st.text(max_size=40),
        user_agent=st.none() | st.text(max_size=200),
        device_id=st.none() | st.text(max_size=20),
        accept_language=st.none() | st.text(max_size=20),
        platform=st.none() | st.text(max_size=20),
    ),
    st.text(min_size=1, max_size=80),
    st.text(min_size=1, max_size=60),
)
def test_odd_data_never_raises(enricher: Enricher, context: Context, path: str, domain: str) -> None:
    """Whatever a request holds, it gives a draft or, for its IP, a RequestError."""
    request = DecisionRequest.model_construct(
        subject=Subject.model_construct(id=path, email_domain=domain),
        action=LOGIN,
        resource=Resource.model_construct(endpoint=Endpoint.model_construct(path=path)),
        context=context,
    )
    try:
        down = enricher.draft(request, NOW).down
    except RequestError:
        return
    assert down == ()
