"""The client's address behind proxies: forwarded headers, believed only from trusted proxies, read from the right."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address

from riskd.enrich.address import Address, parse_address
from riskd.errors import RequestError

TrustedProxies = tuple[IPv4Network | IPv6Network, ...]
MAX_HOPS = 32
"""Trusted hops that are walked through; no honest chain is longer."""


def client_ip(peer: str | None, headers: Iterable[tuple[bytes, bytes]], trusted: TrustedProxies) -> str | None:
    """Return the address of the client that a connection from `peer` speaks for; None when it cannot be known.

    `headers` are raw ASGI headers, names in lower case, repeated lines in order. Headers of an untrusted peer are
    ignored. A trusted proxy has to set or append X-Forwarded-For; only without it Forwarded (RFC 7239) is read, and
    only without both X-Real-IP. The answer is the right-most hop that is no trusted proxy: everything left of it was
    written by the client. A hop that is no address (`unknown`, `_hidden`, garbage) makes the client unknown.
    """
    nearest = _hop(peer) if peer else None
    if nearest is None or not _is_trusted(nearest, trusted):
        return nearest.text if nearest else None
    for count, entry in enumerate(_entries_from_the_right(headers)):
        hop = _hop(entry)
        if hop is None or count == MAX_HOPS:
            return None
        nearest = hop
        if not _is_trusted(hop, trusted):
            break
    return nearest.text


def _entries_from_the_right(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
    """Yield the hops of the one header that counts, last hop first."""
    lines: dict[bytes, list[bytes]] = {b"x-forwarded-for": [], b"forwarded": [], b"x-real-ip": []}
    for name, value in headers:
        if name in lines:
            lines[name].append(value)
    name = next((name for name, values in lines.items() if values), b"x-real-ip")
    for line in reversed(lines[name]):
        rest, more = line.decode("latin-1"), "more"
        while more:
            rest, more, entry = rest.rpartition(",")
            yield _forwarded_for(entry) if name == b"forwarded" else entry


def _forwarded_for(element: str) -> str:
    """Return the `for` parameter of one element of a Forwarded header; empty when it has none."""
    for pair in element.split(";"):
        key, _, value = pair.partition("=")
        if key.strip().lower() == "for":
            return value.strip().removeprefix('"').removesuffix('"')
    return ""


def _hop(entry: str) -> Address | None:
    """Read `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`."""
    text = entry.strip()
    if text.startswith("["):
        text, closed, port = text[1:].partition("]")
        if not closed or (port and not (port.startswith(":") and port[1:].isdecimal())):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not port.isdecimal():
            return None
    try:
        return parse_address(text.partition("%")[0])
    except RequestError:
        return None


def _is_trusted(hop: Address, trusted: TrustedProxies) -> bool:
    address = ip_address(hop.text)
    return any(address in network for network in trusted)
