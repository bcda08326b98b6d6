"""The packed ASN table."""

from pathlib import Path

import pytest

from riskd.enrich.address import parse_address
from riskd.enrich.asn import AsnTable, pack_asns
from riskd.enrich.geo import Geo
from riskd.errors import DataError

V4 = '1.0.0.0,1.0.0.255,13335,"Cloudflare, Inc."\n81.2.64.0,81.2.127.255,20712,Andrews & Arnold\n'
V6 = (
    "2a02:c7d::,2a02:c7d:ffff:ffff:ffff:ffff:ffff:ffff,5607,Sky\n"
    "2a10::5,2a10::6,7,narrow\n2a11::,2a11:0:0:1:ffff:ffff:ffff:ffff,8,\n"
)


def pack(folder: Path, *texts: str) -> Path:
    """Pack CSV texts."""
    sources = []
    for number, text in enumerate(texts):
        sources.append(folder / f"{number}.csv")
        sources[-1].write_text(text, encoding="utf-8")
    pack_asns(sources, folder / "asn.table")
    return folder / "asn.table"


def test_finds_owners(tmp_path: Path) -> None:
    """Addresses of both versions find their ASN and its name; gaps and IPv6 ranges below a /64 find none."""
    table = AsnTable(pack(tmp_path, V4, V6))
    assert len(table) == 4

    def find(ip: str) -> tuple[int, str | None] | None:
        return table.find(parse_address(ip))

    assert find("1.0.0.77") == (13335, "Cloudflare, Inc.")
    assert find("81.2.69.142") == (20712, "Andrews & Arnold")
    assert find("2a02:c7d:1::1") == (5607, "Sky")
    assert find("2a11:0:0:1::1") == (8, None)
    assert [find(ip) for ip in ("0.0.0.1", "1.0.1.0", "223.1.1.1", "2a10::5", "2a11:0:0:2::")] == [None] * 5


def test_overlaps(tmp_path: Path) -> None:
    """Where ranges overlap, as real ones do, the later one holds."""
    table = AsnTable(pack(tmp_path, "1.0.0.0,1.0.1.255,1,a\n1.0.1.0,1.0.2.255,2,b\n"))
    owners = [table.find(parse_address(f"1.0.{n}.9")) for n in range(4)]
    assert owners == [(1, "a"), (2, "b"), (2, "b"), None]


def test_serves_geo(tmp_path: Path) -> None:
    """Once installed, the table names networks."""
    (tmp_path / "geo").mkdir()
    pack(tmp_path, V4, V6).replace(tmp_path / "geo" / "asn.table")
    known = Geo(tmp_path).network(parse_address("81.2.69.142"))
    assert (known.asn, known.organization) == (20712, "Andrews & Arnold")


@pytest.mark.parametrize(
    "text",
    [
        "1.0.0.0,1.0.0.255\n",
        "x,y,1,z\n",
        "1.0.0.9,1.0.0.0,1,z\n",
        V4[::-1],
        V4 + V4,
        "1.0.0.0,::1,1,z\n",
        "1.0.0.0,1.0.0.1,-1,z\n",
    ],
)
def test_refuses_malformed_lines(tmp_path: Path, text: str) -> None:
    """A line that is no range, or out of order, is refused with its number."""
    with pytest.raises(DataError, match=r"0\.csv: line \d"):
        pack(tmp_path, text)


def test_refuses_damaged_files(tmp_path: Path) -> None:
    """Cut short or with one byte changed, the file is refused."""
    path = pack(tmp_path, V4, V6)
    good = path.read_bytes()
    for bad in (b"", b"x", good[:-1], good[:-9] + b"x" + good[-8:], b"x" * len(good)):
        path.write_bytes(bad)
        with pytest.raises(DataError, match=r"asn\.table"):
            AsnTable(path)
