"""Deny lists and the ranges under them."""

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.enrich.address import Address, parse_address
from riskd.enrich.listed import compiled
from riskd.enrich.lists import MAX_ENTRIES, AddressList, NetworkLists
from riskd.enrich.watched import Watched, followed
from riskd.errors import DataError
from riskd.policy.named import Of

TODAY = date(2026, 12, 31)
ENTRIES: list[tuple[Of, str]] = [
    ("network", "203.0.113.0/24"), ("country", "KP"), ("subject", "abc"), ("email_domain", "example.com")
]  # fmt: skip
LIST = """
# a feed
203.0.113.0/24   # until 2026-12-31 scanners
203.0.113.7      ; for good
198.51.100.0/25  # until 2026-12-30
2001:db8::/32
AS64500 # until 2027-01-01
as64501 # until 2026-12-30
"""


def address(text: str) -> Address:
    """Read an address."""
    return parse_address(text)


@pytest.mark.parametrize(
    ("ip", "asn", "today", "holds"),
    [
        ("203.0.113.0", 1, TODAY, True),
        ("203.0.113.255", 1, TODAY, True),
        ("203.0.114.0", 1, TODAY, False),
        ("203.0.113.9", 1, date(2027, 1, 1), False),
        ("203.0.113.7", 1, date(2027, 1, 1), True),
        ("198.51.100.1", 1, TODAY, False),
        ("2001:db8:ffff::1", 1, TODAY, True),
        ("2001:db9::1", 1, TODAY, False),
        ("::ffff:203.0.113.1", 1, TODAY, True),
        ("81.2.69.142", 64500, TODAY, True),
        ("81.2.69.142", 64501, TODAY, False),
        ("81.2.69.142", None, TODAY, None),
        ("10.0.0.1", None, TODAY, False),
        (None, 64500, TODAY, True),
        (None, 1, TODAY, None),
    ],
)
def test_lookups(ip: str | None, asn: int | None, today: date, holds: bool | None) -> None:
    """Addresses, prefixes and ASNs are held until their last day; what is not known is not said."""
    deny = AddressList(LIST.splitlines(), "list")
    assert deny.entries == 6
    assert deny.holds(address(ip) if ip else None, asn, today) is holds


def test_an_ipv4_prefix_written_as_ipv6_holds() -> None:
    """Addresses come unmapped, and so an entry that maps IPv4 into IPv6 stands for the IPv4 prefix it means."""
    deny = AddressList(["::ffff:203.0.113.7", "::ffff:198.51.100.0/120", "::/8"], "list")
    for ip, holds in (("203.0.113.7", True), ("::ffff:198.51.100.9", True), ("198.51.101.9", False), ("::1:2", True)):
        assert deny.holds(address(ip), 1, TODAY) is holds, ip


def test_a_short_list_takes_little_room() -> None:
    """A hundred lists of an entry each, of every kind, keep less than a megabyte of the address space each."""

    def mapped_mb() -> float:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    before = mapped_mb()
    kept = [compiled(of, [entry], "list", lambda _of, text: f"{text:0>24}") for of, entry in ENTRIES * 25]
    assert len(kept) == 100
    assert mapped_mb() - before < 100


def test_names_every_mistake_by_line() -> None:
    """A list with mistakes is refused as a whole, with line, word and reason of the first ten."""
    lines = ["1.2.3.4", "1.2.3.4/33", "1.2.3.4/24", "junk", "AS", "::1/x", "1.2.3.4 # until tomorrow", "x" * 5000]
    with pytest.raises(DataError) as caught:
        AddressList([*lines, *["?"] * 100], "feed.txt")
    message = str(caught.value)
    assert message.startswith("feed.txt: line 2: ")
    for line, word in ((3, "after its prefix"), (4, "'junk'"), (5, "'AS'"), (6, "prefix length"), (7, "'tomorrow'")):
        assert f"line {line}: " in message
        assert word in message
    assert message.count("line ") == 10
    assert len(message) < 2000


def test_files_are_reloaded(tmp_path: Path) -> None:
    """A changed list takes over; a broken, deleted or binary one leaves the last good one and says why."""
    path = tmp_path / "feed.txt"
    path.write_text("203.0.113.0/24\n")
    lists = NetworkLists({"feed": path}, ["AS64500", "198.51.100.0/24"])
    assert lists.listed(address("203.0.113.1"), None, TODAY) == ("feed",)
    assert lists.listed(address("203.0.114.1"), None, TODAY) == ()
    assert lists.listed(None, 1, TODAY) is None
    assert NetworkLists().listed(address("203.0.113.1"), None, TODAY) is None
    assert lists.denied(address("81.2.69.1"), 64500, TODAY)
    assert lists.denied(address("198.51.100.9"), 1, TODAY)
    assert lists.denied(address("81.2.69.1"), None, TODAY) is None
    assert NetworkLists().denied(address("81.2.69.1"), None, TODAY) is False
    path.write_text("203.0.114.0/24\n")
    os.utime(path, ns=(1, 1))
    assert lists.refresh() == ()
    assert lists.listed(address("203.0.114.1"), None, TODAY) == ("feed",)
    for bad in (b"junk\n", b"\xff\xfe\x00"):
        path.write_bytes(bad)
        (problem,) = lists.refresh()
        assert "last good one stays" in problem
    path.unlink()
    assert "No such file" in lists.refresh()[0]
    assert lists.listed(address("203.0.114.1"), None, TODAY) == ("feed",)
    with pytest.raises(DataError, match="No such file"):
        NetworkLists({"feed": path})


def test_a_file_replaced_while_it_is_read(tmp_path: Path) -> None:
    """Whatever takes a file's place between the look at it and the reading of it, or behind both, is read."""
    path, beside = tmp_path / "feed.txt", tmp_path / "next"
    path.write_text("1")
    fates = ["before", "after", "never", "never"]

    def replace(text: str) -> None:
        beside.write_text(text)
        beside.replace(path)

    def read(path: Path) -> str:
        fate = fates.pop(0)
        if fate == "before":
            replace("2")
        text = path.read_text()
        if fate == "after":
            replace("3")
        return text

    watched = Watched(path, read, required=True)
    assert watched.value == "2"
    seen = [(watched.refresh(), watched.value) for _ in range(3)]
    assert seen == [(True, "2"), (True, "3"), (False, "3")]
    assert followed(path, None, [None, watched]) is watched
    replace("4")
    assert followed(path, None, [watched]) is watched
    assert watched.value == "4"
    assert followed(path, "0" * 64, [watched]) is None
    assert followed(beside, None, [watched]) is None


def test_a_million_entries() -> None:
    """A million addresses are taken, one more is refused."""
    lines = [f"{(n * 4099) >> 16 & 255}.{n >> 16 & 15}.{n >> 8 & 255}.{n & 255}\n" for n in range(MAX_ENTRIES)]
    deny = AddressList(lines, "big")
    assert deny.entries == MAX_ENTRIES
    assert all(deny.holds(address(lines[n].strip()), 1, TODAY) for n in (0, 77_777, MAX_ENTRIES - 1))
    assert not deny.holds(address("81.200.69.142"), 1, TODAY)
    with pytest.raises(DataError, match="more than 1,000,000"):
        AddressList([*lines, "1.2.3.4"], "big")


@given(st.lists(st.text(max_size=60), max_size=20))
def test_hostile_lines(lines: list[str]) -> None:
    """Whatever a list holds, it is read or refused with DataError."""
    try:
        entries = AddressList(lines, "hostile").entries
    except DataError:
        return
    assert entries <= len(lines)
