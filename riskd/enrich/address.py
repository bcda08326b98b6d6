"""IP addresses: text in, one canonical form out."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from msgspec import Struct

from riskd.errors import RequestError

CACHED_ADDRESSES = 16_384
PREFIX_BITS = {4: 24, 6: 48}
"""What stands for the network where no ASN is known, and what a truncated address keeps."""
IPV6_HOST_BITS = 64
"""What counts as one IPv6 address: a /64 is one link (RFC 4291 §2.5.1), and its holder can use any address in it."""
_LONGEST_TEXT = 45


class Address(Struct, frozen=True):
    """One address, without zone, port or IPv4-mapped disguise."""

    text: str
    """Canonical text (RFC 5952)."""
    version: int
    """4 or 6."""
    value: int
    """The address as an unsigned number of 32 or 128 bits."""
    private: bool
    """Not globally routed (private, loopback, link-local, carrier-grade NAT, multicast, reserved)."""
    prefix: str
    """Its /24 or /48, e.g. `81.2.69.0/24`."""
    host: str
    """What one host or household holds: an IPv4 address whole, of IPv6 the /64, e.g. `2001:db8:0:1::/64`."""


@lru_cache(maxsize=CACHED_ADDRESSES)
def parse_address(text: str) -> Address:
    """Read an IPv4 or IPv6 address; an IPv4-mapped one is the IPv4 address in it.

    Raises RequestError (422) for anything else: names, ports, brackets, zone ids, leading zeros. The message does not
    repeat the text, which may be personal data.
    """
    if len(text) > _LONGEST_TEXT or "%" in text:
        raise RequestError(_MALFORMED)
    try:
        parsed = ip_address(text)
    except ValueError:
        raise RequestError(_MALFORMED) from None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    prefix = _first_bits(parsed, PREFIX_BITS[parsed.version])
    host = str(parsed) if parsed.version == 4 else _first_bits(parsed, IPV6_HOST_BITS)
    return Address(str(parsed), parsed.version, int(parsed), _is_private(parsed), prefix, host)


_MALFORMED = "context.ip: not an IPv4 or IPv6 address; send the bare address, without port, brackets, zone or prefix"


def _first_bits(parsed: IPv4Address | IPv6Address, bits: int) -> str:
    hidden = parsed.max_prefixlen - bits
    return f"{type(parsed)(int(parsed) >> hidden << hidden)}/{bits}"


def _is_private(parsed: IPv4Address | IPv6Address) -> bool:
    return not parsed.is_global or parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified
