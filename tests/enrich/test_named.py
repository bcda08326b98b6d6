"""Named lists: entries of every kind, from the policy, a file and the store."""

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.contract import DecisionRequest
from riskd.enrich.address import parse_address
from riskd.enrich.enrich import Enricher
from riskd.enrich.entries import MAX_ENTRIES, Presented
from riskd.enrich.geo import Geo
from riskd.enrich.held import Held, Mirror
from riskd.enrich.identity import Pseudonyms
from riskd.enrich.listed import compiled
from riskd.enrich.named import NamedLists, hashed_by
from riskd.enrich.rows import Rows
from riskd.errors import DataError
from riskd.facts import NOT_LISTED, ListFacts
from riskd.policy.entry import canonical
from riskd.policy.named import MAX_GLOBS, NamedList, Of
from riskd.store import EXEMPTIONS, Entry, News

NAMES = Pseudonyms(b"n" * 32)
KEYED = hashed_by(NAMES)
NOW = datetime(2026, 12, 31, 12, tzinfo=UTC)
TODAY = NOW.date()
OFS: tuple[Of, ...] = ("network", "country", "subject", "device", "email_domain", "endpoint")

LINES: dict[Of, list[str]] = {
    "network": ["203.0.113.0/24", "AS64500 # until 2026-12-31", "2001:db8::/32"],
    "country": ["KP", "ir # until 2026-12-30"],
    "subject": ["# people", "mallory", "a#b;c # until 2026-12-31 hash and semicolon belong to the id"],
    "device": ["stolen-laptop"],
    "email_domain": ["evil.example", "@MÜLL.example."],
    "endpoint": ["/admin/**", "/api/*/export", "/x.y"],
}


def presented(**shown: Any) -> Presented:  # noqa: ANN401 - fields of an attempt
    """What an attempt shows; ids are hashed as the enricher does."""
    if "ip" in shown:
        shown["address"] = parse_address(shown.pop("ip"))
    if "subject" in shown:
        shown["subject"] = NAMES.listed(shown["subject"])
    if "device" in shown:
        shown["device"] = NAMES.device(shown["device"])
    return Presented(**shown)


CASES: list[tuple[Of, dict[str, Any], bool | None]] = [
    ("network", {"ip": "203.0.113.9", "asn": 1}, True),
    ("network", {"ip": "81.2.69.142", "asn": 64500}, True),
    ("network", {"ip": "2001:db8::9", "asn": 1}, True),
    ("network", {"ip": "81.2.69.142", "asn": 1}, False),
    ("network", {"ip": "81.2.69.142"}, None),
    ("network", {"ip": "10.0.0.1"}, False),
    ("network", {}, None),
    ("country", {"country": "KP"}, True),
    ("country", {"country": "IR"}, False),
    ("country", {}, None),
    ("subject", {"subject": "mallory"}, True),
    ("subject", {"subject": "a#b;c"}, True),
    ("subject", {"subject": "Mallory"}, False),
    ("subject", {}, False),
    ("device", {"device": "stolen-laptop"}, True),
    ("device", {"device": "laptop"}, False),
    ("device", {}, None),
    ("email_domain", {"email_domain": "evil.example"}, True),
    ("email_domain", {"email_domain": "Mail.EVIL.example."}, True),
    ("email_domain", {"email_domain": "notevil.example"}, False),
    ("email_domain", {"email_domain": "xn--mll-hoa.example"}, True),
    ("email_domain", {"email_domain": "example"}, False),
    ("email_domain", {}, None),
    ("endpoint", {"path": "/admin/users"}, True),
    ("endpoint", {"path": "/api/7/export"}, True),
    ("endpoint", {"path": "/api/7/8/export"}, False),
    ("endpoint", {"path": "/xzy"}, False),
    ("endpoint", {"path": "/admin"}, False),
    ("endpoint", {}, False),
]


@pytest.mark.parametrize(("of", "shown", "names"), CASES)
def test_entries_of_a_file(of: Of, shown: dict[str, Any], names: bool | None) -> None:
    """Each kind of list names what it is of until the entry's last day; what an attempt does not show is unknown."""
    assert compiled(of, LINES[of], "list", KEYED).names(presented(**shown), TODAY) is names


def held(of: Of, *lines: str, until: float | None = None) -> Held:
    """A list as the store holds it."""
    made = Held(of)
    entry = Entry(until=until, author="ops", reason="because", added=0)
    made.take(News(1, whole=True, changes=[(canonical(of, line, KEYED), entry) for line in lines]))
    return made


@pytest.mark.parametrize(("of", "shown", "names"), CASES)
def test_entries_of_the_store(of: Of, shown: dict[str, Any], names: bool | None) -> None:
    """The same entries in the store say the same."""
    lines = [line.partition(" # ")[0] for line in LINES[of] if "12-30" not in line and not line.startswith("#")]
    assert held(of, *lines).names(presented(**shown), NOW.timestamp()) is names


@pytest.mark.parametrize("of", OFS)
def test_an_empty_list_names_nobody(of: Of) -> None:
    """Without entries nothing is on a list; a list of the store that was never read says nothing."""
    assert held(of).names(presented(ip="1.2.3.4"), 0) is False
    assert Held(of).names(presented(ip="1.2.3.4"), 0) is None
    if of != "network":
        assert compiled(of, [], "list", KEYED).names(presented(), TODAY) is False


@pytest.mark.parametrize(("of", "shown"), [(of, shown) for of, shown, names in CASES if names])
def test_entries_of_the_store_lapse_and_go(of: Of, shown: dict[str, Any]) -> None:
    """An entry counts until its instant, and not when it was taken off; the list is then as if it had never been."""
    lines = [line.partition(" # ")[0] for line in LINES[of] if not line.startswith("#")]
    now = NOW.timestamp()
    made = held(of, *lines, until=now)
    assert made.names(presented(**shown), now - 0.001) is True
    assert made.names(presented(**shown), now) is not True
    made.take(News(2, whole=False, changes=[(canonical(of, line, KEYED), None) for line in [*lines, *lines]]))
    assert made.names(presented(**shown), now - 1) is False
    assert (len(made), made._prefixes, made._globs) == (0, {}, {})


@pytest.mark.parametrize(
    ("of", "text", "kept"),
    [
        ("network", " as064500 ", "AS64500"),
        ("network", "203.0.113.7/32", "203.0.113.7"),
        ("network", "2001:DB8:0::/32", "2001:db8::/32"),
        ("country", "de", "DE"),
        ("email_domain", "@Mail.Example.", "mail.example"),
        ("email_domain", "müll.example", "xn--mll-hoa.example"),
        ("endpoint", "**/admin", "**/admin"),
    ],
)
def test_an_entry_has_one_spelling(of: Of, text: str, kept: str) -> None:
    """However it is written, an entry is kept in one spelling."""
    assert canonical(of, text, KEYED) == kept


@pytest.mark.parametrize(
    ("of", "text"),
    [
        ("network", "203.0.113.7/24"),
        ("network", "host.example"),
        ("country", "DEU"),
        ("country", "Ǆ"),
        ("email_domain", "a b.example"),
        ("email_domain", "-x.example"),
        ("email_domain", "x" * 250 + ".de"),
        ("endpoint", "admin"),
        *((of, wrong) for of in OFS for wrong in ("", "  ", "x\n/y", "/" + "x" * 300)),
    ],
)
def test_what_is_no_entry_is_refused(of: Of, text: str) -> None:
    """What is no entry of a kind is a ValueError in words."""
    with pytest.raises(ValueError, match=r"is no|has |must be|bits"):
        canonical(of, text, KEYED)


@given(st.sampled_from(OFS), st.lists(st.text(max_size=60), max_size=8))
def test_hostile_entries(of: Of, lines: list[str]) -> None:
    """Whatever a list holds, it is read or refused with DataError; what is read can be asked, and held as well."""
    try:
        entries = compiled(of, lines, "hostile", KEYED)
    except DataError:
        return
    shown = presented(ip="1.2.3.4", country="DE", subject="a", device="b", email_domain="ü..x", path="/")
    assert entries.names(shown, TODAY) in {True, False, None}


def test_mistakes_of_lines_are_named() -> None:
    """A list with mistakes is refused as a whole, each with its line."""
    with pytest.raises(DataError, match=r"list: line 2: 'DEU' is no country.*; line 3: 'tomorrow' is no date"):
        compiled("country", ["DE", "DEU", "FR # until tomorrow"], "list", KEYED)
    with pytest.raises(DataError, match="more than 200 entries"):
        compiled("endpoint", [f"/{n}" for n in range(MAX_GLOBS + 1)], "list", KEYED)


def test_a_million_subjects() -> None:
    """A million subjects are taken and found, one more is refused."""
    entries = compiled("subject", (f"user-{n}" for n in range(MAX_ENTRIES)), "big", KEYED)
    assert entries.entries == MAX_ENTRIES
    assert all(entries.names(presented(subject=f"user-{n}"), TODAY) for n in (0, 77_777, MAX_ENTRIES - 1))
    assert not entries.names(presented(subject=f"user-{MAX_ENTRIES}"), TODAY)


@given(st.lists(st.binary(min_size=3, max_size=3), max_size=60), st.binary(min_size=3, max_size=3))
def test_rows_are_sorted_and_ranked(rows: list[bytes], row: bytes) -> None:
    """Rows of one width are sorted as numbers, zero bytes included, and a row's rank counts those not above it."""
    made = Rows(3, len(rows))
    for one in rows:
        made.append(one)
    made.sort()
    assert list(made) == sorted(rows)
    assert made[:2] == sorted(rows)[:2]
    assert made.rank(row) == sum(one <= row for one in rows)


def named(tmp_path: Path, mirror: Mirror | None = None, **lists: dict[str, Any]) -> NamedLists:
    """Named lists as a policy declares them."""
    return NamedLists({name: NamedList.model_validate(one) for name, one in lists.items()}, tmp_path, KEYED, mirror)


def test_a_list_from_three_places(tmp_path: Path) -> None:
    """A list names what any of its places names: the policy, the file, the store."""
    mirror = Mirror()
    (tmp_path / "c.txt").write_text("IR\n")
    bad = {"kind": "deny", "of": "country", "entries": ["KP"], "file": "c.txt", "store": True}
    lists = named(tmp_path, mirror, bad=bad)
    assert lists.facts(presented(country="DE"), NOW) == (ListFacts(denied=None), False)
    assert lists.facts(presented(country="KP"), NOW) == (ListFacts(denied=("bad",)), False)
    mirror.list("bad", "country").take(News(3, whole=True, changes=[("SY", Entry(None, "ops", "war", 0))]))
    assert [lists.facts(presented(country=c), NOW)[0].denied for c in ("KP", "IR", "SY", "DE")] == [("bad",)] * 3 + [()]
    assert lists.facts(presented(country="DE"), NOW) == (NOT_LISTED, True)
    (source,) = lists.sources()
    assert source.counts() == {"policy": 1, "file": 1, "store": 1}


def test_kinds_and_unknowns(tmp_path: Path) -> None:
    """Names stand under deny or allow; only a deny list that cannot tell makes the answer unknown."""
    deny = {"kind": "deny", "of": "device", "entries": ["x"]}
    allow = {"kind": "allow", "of": "country", "entries": ["DE"]}
    lists = named(tmp_path, a=deny, b=allow, c={**allow, "entries": ["DE", "FR"]})
    assert lists.facts(presented(country="DE", device="y"), NOW)[0] == ListFacts(allowed=("b", "c"))
    assert lists.facts(presented(device="x"), NOW)[0] == ListFacts(denied=("a",))
    assert lists.facts(presented(country="FR"), NOW)[0] == ListFacts(denied=None, allowed=("c",))


def test_files_are_reloaded(tmp_path: Path) -> None:
    """A changed file takes over, a broken one leaves the last good one and says why, a missing one is refused."""
    path = tmp_path / "c.txt"
    with pytest.raises(DataError, match="No such file"):
        named(tmp_path, a={"kind": "deny", "of": "country", "file": "c.txt"})
    path.write_text("KP\n")
    lists = named(tmp_path, a={"kind": "deny", "of": "country", "file": "c.txt"})
    path.write_text("IR\n")
    os.utime(path, ns=(1, 1))
    assert lists.refresh() == ()
    assert lists.facts(presented(country="IR"), NOW)[0].denied == ("a",)
    for bad in (b"Iran\n", b"\xff\xfe\x00"):
        path.write_bytes(bad)
        (problem,) = lists.refresh()
        assert "last good one stays" in problem
    assert lists.facts(presented(country="IR"), NOW)[0].denied == ("a",)
    with pytest.raises(DataError, match=r"lists\.named\.b\.entries: line 1"):
        named(tmp_path, b={"kind": "deny", "of": "country", "entries": ["Iran"]})


def draft(enricher: Enricher, **changes: dict[str, Any]) -> Any:  # noqa: ANN401 - a draft
    """Draft an attempt of mallory from London."""
    body: dict[str, Any] = {"subject": {"id": "mallory"}, "action": {"name": "login"}, "context": {"ip": "81.2.69.142"}}
    return enricher.draft(DecisionRequest.model_validate({**body, **changes}), NOW)


def test_drafts_say_what_lists_say(tmp_path: Path) -> None:
    """A draft holds what the lists say of its address, place, subject, device, domain and endpoint."""
    lists = named(
        tmp_path,
        net={"kind": "allow", "of": "network", "entries": ["81.2.69.0/24"]},
        place={"kind": "allow", "of": "country", "entries": ["GB"]},
        people={"kind": "deny", "of": "subject", "entries": ["mallory"]},
        things={"kind": "deny", "of": "device", "entries": ["stolen"]},
        mail={"kind": "deny", "of": "email_domain", "entries": ["evil.example"]},
        paths={"kind": "deny", "of": "endpoint", "entries": ["/admin/**"]},
    )
    enricher = Enricher(NAMES, Geo(tmp_path), named=lists)
    made = draft(
        enricher,
        subject={"id": "mallory", "email_domain": "evil.example"},
        context={"ip": "81.2.69.142", "device_id": "stolen"},
        resource={"endpoint": {"path": "//admin/../admin/x"}},
    )
    assert made.lists == ListFacts(denied=("people", "things", "mail", "paths"), allowed=("net", "place"))
    assert draft(enricher, subject={"id": "ada", "type": "service"}).lists.denied is None
    assert "lists" not in made.down
    assert draft(Enricher(NAMES, Geo(tmp_path))).lists is NOT_LISTED


def test_a_list_that_was_never_read_is_a_source_that_is_down(tmp_path: Path) -> None:
    """While nothing is known of what the store holds, decisions are told that lists are down."""
    mirror = Mirror()
    lists = named(tmp_path, mirror, a={"kind": "deny", "of": "subject", "store": True})
    enricher = Enricher(NAMES, Geo(tmp_path), named=lists)
    assert (draft(enricher).down, draft(enricher).lists.denied) == (("lists",), None)
    mirror.list("a", "subject").take(News(0, whole=True, changes=[]))
    assert (draft(enricher).down, draft(enricher).lists) == ((), NOT_LISTED)


def test_exemptions_are_of_subject_and_type(tmp_path: Path) -> None:
    """An exemption is for one subject of one type, until its instant, and goes when it is withdrawn."""
    mirror = Mirror()
    enricher = Enricher(NAMES, Geo(tmp_path), named=named(tmp_path, mirror))
    until = (NOW + timedelta(seconds=1)).timestamp()
    entry = Entry(until, "ops", "moved", 0, subject=NAMES.listed("mallory", "user"), code="new_country")
    mirror.exemptions.take(News(1, whole=True, changes=[("e1", entry)]))
    assert mirror.followed().keys() == {EXEMPTIONS}
    assert draft(enricher).exempt == {"new_country": "e1"}
    for other in ({"id": "mallory", "type": "service"}, {"id": "ada"}, {}):
        assert draft(enricher, subject=other).exempt == {}
    assert draft(enricher, context={"ip": "81.2.69.142", "time": NOW + timedelta(seconds=1)}).exempt == {}
    mirror.exemptions.take(News(2, whole=False, changes=[("e2", entry), ("e1", None), ("e9", None)]))
    assert len(mirror.exemptions) == 1
    mirror.exemptions.take(News(3, whole=False, changes=[("e2", None)]))
    assert (draft(enricher).exempt, len(mirror.exemptions)) == ({}, 0)


def test_what_has_lapsed_lets_no_attempt_of_before_off(tmp_path: Path) -> None:
    """Exemptions and allow lists must hold when an attempt happened and when it is presented; deny lists, then."""
    mirror, lapses = Mirror(), NOW.timestamp()
    (tmp_path / "c.txt").write_text("GB # until 2026-12-30\n")
    lists = named(
        tmp_path,
        mirror,
        office={"kind": "allow", "of": "country", "file": "c.txt"},
        held={"kind": "allow", "of": "network", "store": True},
        people={"kind": "deny", "of": "subject", "store": True},
    )
    entry = Entry(lapses, "ops", "moved", 0, subject=NAMES.listed("mallory", "user"), code="new_country")
    mirror.exemptions.take(News(1, whole=True, changes=[("e1", entry)]))
    mirror.list("held", "network").take(News(1, whole=True, changes=[("81.2.69.0/24", entry)]))
    mirror.list("people", "subject").take(News(1, whole=True, changes=[(NAMES.listed("mallory"), entry)]))
    enricher, context = Enricher(NAMES, Geo(tmp_path), named=lists), {"ip": "81.2.69.142", "place": {"country": "GB"}}
    day = timedelta(days=1)

    def lists_and_exempt(time: datetime, now: datetime) -> tuple[tuple[str, ...], tuple[str, ...] | None, bool]:
        body = {"subject": {"id": "mallory"}, "action": {"name": "login"}, "context": {**context, "time": time}}
        request = DecisionRequest.model_validate(body)
        made = enricher.draft(request, time, now)
        assert made.time == time
        return made.lists.allowed, made.lists.denied, bool(made.exempt)

    before, long_before = NOW - timedelta(minutes=1), NOW - day
    assert lists_and_exempt(long_before, long_before) == (("office", "held"), ("people",), True)
    assert lists_and_exempt(long_before, before) == (("held",), ("people",), True)
    assert lists_and_exempt(long_before, NOW) == ((), ("people",), False)
    assert lists_and_exempt(NOW, before) == ((), (), False)


def test_a_day_is_the_last_day() -> None:
    """An entry of a file counts through its last day, in UTC."""
    entries = compiled("country", ["KP # until 2026-12-31"], "list", KEYED)
    assert entries.names(presented(country="KP"), TODAY)
    assert not entries.names(presented(country="KP"), date(2027, 1, 1))
