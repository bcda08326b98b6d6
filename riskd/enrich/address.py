"""IP addresses: text in, one canonical form out."""

from collections.abc import Iterable
from ipaddress import ip_network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

from msgspec import Struct

from riskd.enrich.ranges import RangeTable
from riskd.errors import RequestError

PREFIX_BITS: Final = {4: 24, 6: 48}
"""What stands for the network where no ASN is known, and what a truncated address keeps."""
IPV6_HOST_BITS: Final = 64
"""What counts as one IPv6 address: a /64 is one link (RFC 4291 §2.5.1), and its holder can use any address in it."""
_FAMILIES: Final = {4: AF_INET, 6: AF_INET6}
_BYTES: Final = {4: 4, 6: 16}
_LONGEST_TEXT: Final = 45
_MAPPED: Final = 0xFFFF
"""The upper 96 bits of an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2)."""


class Address(Struct, frozen=True, gc=False):
    """One address, without zone, port or IPv4-mapped disguise. Thousands are kept, so it holds no more than it must."""

    text: str
    """Canonical text (RFC 5952)."""
    version: int
    """4 or 6."""
    value: int
    """The address as an unsigned number of 32 or 128 bits."""
    private: bool
    """Not globally routed (private, loopback, link-local, carrier-grade NAT, multicast, reserved)."""

    @property
    def prefix(self) -> str:
        """Its /24 or /48, e.g. `81.2.69.0/24`."""
        if self.version == 4:  # ends where its last number begins: no need to compute it
            return f"{self.text[: self.text.rindex('.')]}.0/{PREFIX_BITS[4]}"
        return self._first_bits(PREFIX_BITS[6])

    @property
    def host(self) -> str:
        """What one host or household holds: an IPv4 address whole, of IPv6 the /64, e.g. `2001:db8:0:1::/64`."""
        return self.text if self.version == 4 else self._first_bits(IPV6_HOST_BITS)

    def _first_bits(self, bits: int) -> str:
        hidden = _BYTES[self.version] * 8 - bits
        return f"{_text(self.version, self.value >> hidden << hidden)}/{bits}"


def parse_address(text: str) -> Address:
    """Read an IPv4 or IPv6 address; an IPv4-mapped one is the IPv4 address in it.

    Raises RequestError (422) for anything else: names, ports, brackets, zone ids, leading zeros. The message does not
    repeat the text, which may be personal data.
    """
    if len(text) > _LONGEST_TEXT or "%" in text:
        raise RequestError(_MALFORMED)
    version = 6 if ":" in text else 4
    try:
        value = int.from_bytes(inet_pton(_FAMILIES[version], text), "big")
    except (OSError, ValueError):
        raise RequestError(_MALFORMED) from None
    if version == 6:
        if value >> 32 == _MAPPED:
            version, value = 4, value & 0xFFFFFFFF
        text = _text(version, value)
    return Address(text, version, value, _NOT_ROUTED[version].find(value) is not None)


_MALFORMED = "context.ip: not an IPv4 or IPv6 address; send the bare address, without port, brackets, zone or prefix"


def _text(version: int, value: int) -> str:
    return inet_ntop(_FAMILIES[version], value.to_bytes(_BYTES[version], "big"))


def _table(networks: Iterable[str]) -> RangeTable:
    """Make a table of disjoint networks, ascending."""
    read = [ip_network(network) for network in networks]
    firsts = [int(network.network_address) for network in read]
    return RangeTable(firsts, [int(network.broadcast_address) for network in read], [1] * len(read))


# IANA's special-purpose registries (RFC 6890 and updates), with multicast and what is reserved; of IPv6 only 2000::/3
# is given out at all.
_NOT_ROUTED = {
    4: _table(
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            "224.0.0.0/3",
        )
    ),
    6: _table(("::/3", "2001::/23", "2001:db8::/32", "3fff::/20", "4000::/2", "8000::/1")),
}
