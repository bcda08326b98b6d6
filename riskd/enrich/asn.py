"""ASNs of address ranges, packed into one file that all workers share by memory map.

Made by `pack_asns` from lines of `first,last,asn,organization`; read by `AsnTable`. Layout, little-endian:
header, then columns: IPv4 firsts, lasts, ASNs (4 bytes each) · IPv6 firsts, lasts (upper 64 bits, 8 bytes each) · their
ASNs (4) · known ASNs, ascending (4), where their names end (4) · names, UTF-8.
"""

import csv
import mmap
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from riskd.enrich.address import Address
from riskd.enrich.ranges import RangeTable
from riskd.errors import DataError

MAGIC: Final = b"riskdASN1\0\0\0\0\0\0\0"
_HEADER = struct.Struct("<16s16s6I")  # magic, digest of the rest, counts: IPv4, IPv6, names; bytes of names; 2 spare
_DIGEST_BYTES = 16
_MAX_NAME = 200


def pack_asns(sources: Iterable[Path], target: Path) -> int:
    """Pack CSV files into `target`; return the number of ranges.

    Raises DataError when a line is malformed or ranges are out of order. Where two overlap, the later one holds. IPv6
    ranges narrower than a /64 are left out: they are not routed on the internet.
    """
    v4 = (array("I"), array("I"), array("I"))
    v6 = (array("Q"), array("Q"), array("I"))
    names: dict[int, str] = {}
    for source in sources:
        with source.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                try:
                    first, last, asn = ip_address(row[0]), ip_address(row[1]), int(row[2])
                    columns, shift = (v4, 0) if first.version == 4 else (v6, 64)
                    low, high = int(first) >> shift, int(last) >> shift
                    if last.version != first.version or high < low or (columns[0] and low <= columns[0][-1]):
                        raise ValueError(row)  # noqa: TRY301 - one message for everything a line can have wrong
                    if shift and (int(first) % 2**64 or ~int(last) % 2**64):
                        continue
                    if columns[1] and columns[1][-1] >= low:
                        columns[1][-1] = low - 1
                    for column, value in zip(columns, (low, high, asn), strict=True):
                        column.append(value)
                    names.setdefault(asn, (row[3] if len(row) > 3 else "")[:_MAX_NAME])
                except (ValueError, IndexError, OverflowError):
                    raise DataError(f"{source}: line {number} is no range of addresses with an ASN, in order") from None
    target.write_bytes(_packed(v4, v6, names))
    return len(v4[0]) + len(v6[0])


def _packed(v4: Sequence["array[int]"], v6: Sequence["array[int]"], names: dict[int, str]) -> bytes:
    asns = array("I", sorted(names))
    blob, ends = bytearray(), array("I")
    for asn in asns:
        blob += names[asn].encode()
        ends.append(len(blob))
    # 8-byte columns stand first, so that every column is aligned
    body = b"".join(column.tobytes() for column in (*v6[:2], *v4, v6[2], asns, ends)) + blob
    digest = blake2b(body, digest_size=_DIGEST_BYTES).digest()
    return _HEADER.pack(MAGIC, digest, len(v4[0]), len(v6[0]), len(asns), len(blob), 0, 0) + body


class AsnTable:
    """A packed file, open."""

    def __init__(self, path: Path) -> None:
        """Map the file; raises DataError when it is damaged or no such file."""
        try:
            with path.open("rb") as file:
                whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            magic, digest, n4, n6, names, name_bytes, *_ = _HEADER.unpack_from(whole)
        except (OSError, ValueError, struct.error) as error:
            raise DataError(f"{path}: cannot be read as a packed ASN table ({error})") from None
        self.path = path
        body = whole[_HEADER.size :]
        if magic != MAGIC or blake2b(body, digest_size=_DIGEST_BYTES).digest() != digest:
            raise DataError(f"{path}: damaged; run `riskd data install --cities` again")
        wide, narrow = body[: 16 * n6].cast("Q"), body[16 * n6 : len(body) - name_bytes].cast("I")
        columns: list[Sequence[int]] = [wide[:n6], wide[n6:]]
        at = 0
        for count in (n4, n4, n4, n6, names, names):
            columns.append(narrow[at : at + count])
            at += count
        self._v4 = RangeTable(columns[2], columns[3], columns[4])
        self._v6 = RangeTable(columns[0], columns[1], columns[5])
        self._asns, self._ends = columns[6], columns[7]
        self._names = body[len(body) - name_bytes :]

    def __len__(self) -> int:
        """Return the number of ranges."""
        return len(self._v4) + len(self._v6)

    def find(self, address: Address) -> tuple[int, str | None] | None:
        """Return ASN and organisation of an address; None when no range holds it."""
        asn = self._v4.find(address.value) if address.version == 4 else self._v6.find(address.value >> 64)
        if not asn:
            return None
        index = bisect_left(self._asns, asn)
        start = self._ends[index - 1] if index else 0
        return asn, str(self._names[start : self._ends[index]], "utf-8", "replace") or None
