"""Forwarded headers and who may write them."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.enrich.address import parse_address
from riskd.enrich.forwarded import client_ip

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("2001:db8:aaaa::/48"), ip_network("127.0.0.1/32"))


def ask(peer: str | None, *headers: tuple[str, str]) -> str | None:
    """Ask with text headers."""
    return client_ip(peer, [(name.encode(), value.encode("latin-1")) for name, value in headers], TRUSTED)


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        # an untrusted peer speaks for itself alone
        ("81.2.69.142", [("x-forwarded-for", "6.6.6.6")], "81.2.69.142"),
        ("81.2.69.142", [("forwarded", "for=6.6.6.6"), ("x-real-ip", "6.6.6.6")], "81.2.69.142"),
        ("::ffff:81.2.69.142", [("x-forwarded-for", "6.6.6.6")], "81.2.69.142"),
        # a trusted one is believed from the right
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [("x-forwarded-for", "81.2.69.142")], "81.2.69.142"),
        ("::ffff:10.0.0.1", [("x-forwarded-for", "81.2.69.142")], "81.2.69.142"),
        ("10.0.0.1", [("x-forwarded-for", "6.6.6.6, 81.2.69.142")], "81.2.69.142"),
        ("10.0.0.1", [("x-forwarded-for", "6.6.6.6, 81.2.69.142, 10.0.0.7, 127.0.0.1")], "81.2.69.142"),
        ("10.0.0.1", [("x-forwarded-for", "10.0.0.9, 10.0.0.7")], "10.0.0.9"),
        ("10.0.0.1", [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "81.2.69.142,10.0.0.2")], "81.2.69.142"),
        # ports, brackets, IPv6, mapped
        ("10.0.0.1", [("x-forwarded-for", "81.2.69.142:5123")], "81.2.69.142"),
        ("10.0.0.1", [("x-forwarded-for", "2a02:c7d::1")], "2a02:c7d::1"),
        ("10.0.0.1", [("x-forwarded-for", "[2a02:c7d::1]:443, [2001:db8:aaaa::5]")], "2a02:c7d::1"),
        ("10.0.0.1", [("x-forwarded-for", "::ffff:81.2.69.142")], "81.2.69.142"),
        ("2001:db8:aaaa::1", [("forwarded", 'for="[2a02:c7d::1]:4711";proto=https;by=10.0.0.1')], "2a02:c7d::1"),
        ("10.0.0.1", [("forwarded", "for=6.6.6.6, FOR=81.2.69.142;host=x, proto=http;for=10.0.0.2")], "81.2.69.142"),
        # one header counts, whatever others say
        ("10.0.0.1", [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "81.2.69.142")], "81.2.69.142"),
        ("10.0.0.1", [("x-real-ip", "6.6.6.6"), ("x-forwarded-for", "81.2.69.142")], "81.2.69.142"),
        ("10.0.0.1", [("x-real-ip", "81.2.69.142")], "81.2.69.142"),
        # where the trusted hop wrote no address, the client is unknown; what the client wrote left of it stays unread
        ("10.0.0.1", [("x-forwarded-for", "unknown")], None),
        ("10.0.0.1", [("x-forwarded-for", "6.6.6.6, garbage")], None),
        ("10.0.0.1", [("x-forwarded-for", "6.6.6.6,")], None),
        ("10.0.0.1", [("forwarded", "for=_hidden")], None),
        ("10.0.0.1", [("forwarded", "proto=https")], None),
        ("10.0.0.1", [("x-forwarded-for", "6.6.6.6:80:80")], None),
        ("10.0.0.1", [("x-forwarded-for", "[2a02:c7d::1")], None),
        ("10.0.0.1", [("x-forwarded-for", "garbage, 81.2.69.142")], "81.2.69.142"),
        # no peer (a unix socket) and peers that are no address
        (None, [("x-forwarded-for", "6.6.6.6")], None),
        ("testclient", [("x-forwarded-for", "6.6.6.6")], None),
    ],
)
def test_spoofing(peer: str | None, headers: list[tuple[str, str]], client: str | None) -> None:
    """The client is the right-most hop that is no trusted proxy, and a client cannot choose it."""
    assert ask(peer, *headers) == client


def test_ten_thousand_entries() -> None:
    """A chain of any length is walked no further than 32 trusted hops."""
    assert ask("10.0.0.1", ("x-forwarded-for", ", ".join(["6.6.6.6"] * 10_000))) == "6.6.6.6"
    assert ask("10.0.0.1", ("x-forwarded-for", ",".join(["10.0.0.3"] * 10_000))) is None
    assert ask("10.0.0.1", *[("x-forwarded-for", "10.0.0.3")] * 10_000) is None


@given(
    st.lists(
        st.tuples(st.sampled_from([b"x-forwarded-for", b"forwarded", b"x-real-ip", b"host"]), st.binary(max_size=60)),
        max_size=5,
    ),
)
def test_never_raises(headers: list[tuple[bytes, bytes]]) -> None:
    """Garbage in headers gives an address or None."""
    client = client_ip("10.0.0.1", headers, TRUSTED)
    assert client is None or parse_address(client)
