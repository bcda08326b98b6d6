"""Addresses."""

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from riskd.enrich.address import parse_address
from riskd.errors import RequestError


@pytest.mark.parametrize(
    ("text", "canonical", "version", "prefix"),
    [
        ("81.2.69.142", "81.2.69.142", 4, "81.2.69.0/24"),
        ("::ffff:81.2.69.142", "81.2.69.142", 4, "81.2.69.0/24"),
        ("::FFFF:5102:458e", "81.2.69.142", 4, "81.2.69.0/24"),
        ("2A02:0C7D:0::1", "2a02:c7d::1", 6, "2a02:c7d::/48"),
        ("2001:4860:4860:1234::8888", "2001:4860:4860:1234::8888", 6, "2001:4860:4860::/48"),
    ],
)
def test_reads_addresses(text: str, canonical: str, version: int, prefix: str) -> None:
    """Every spelling of an address gives one form, and the prefix that stands for its network."""
    address = parse_address(text)
    assert (address.text, address.version, address.prefix) == (canonical, version, prefix)
    assert not address.private


@pytest.mark.parametrize(
    "text",
    [
        "10.1.2.3",
        "127.0.0.1",
        "169.254.1.1",
        "100.64.0.1",
        "192.168.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "240.0.0.1",
        "0.255.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "198.19.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "2001:0:4136::1",
        "1fff::1",
        "3fff:fff::1",
        "4000::",
        "fec0::1",
        "::ffff:10.0.0.1",
    ],
)
def test_private_addresses(text: str) -> None:
    """What is not globally routed is private."""
    assert parse_address(text).private


@pytest.mark.parametrize(
    "text",
    [
        *("1.0.0.0", "9.255.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0"),
        *("223.255.255.255", "2001:200::1", "2000::", "3ffe:ffff::1", "2a02:c7d::1", "::ffff:81.2.69.142"),
    ],
)
def test_public_addresses(text: str) -> None:
    """What is globally routed is public, up to the very edges of what is not."""
    assert not parse_address(text).private


@pytest.mark.parametrize(
    "text",
    [
        *(
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "01.2.3.4",
            "1.2.3.4:80",
            "[2001:db8::1]",
            "fe80::1%eth0",
            "1.2.3.4/24",
            "localhost",
            "::g",
        ),
        *(
            "",
            " 1.2.3.4",
            "1.2.3.4\n",
            "1e3",
            "0x7f.1",
            "\u0661.\u0662.\u0663.\u0664",
            "1" * 10_000,
            ":" * 40,
            "2130706433",
            "\ud800",
        ),
    ],
)
def test_refuses_anything_else(text: str) -> None:
    """Malformed addresses are refused with status 422 and a message that does not repeat them."""
    with pytest.raises(RequestError, match="not an IPv4 or IPv6 address") as caught:
        parse_address(text)
    assert caught.value.status == 422
    assert len(text) < 4 or text not in str(caught.value)


@given(st.text(max_size=80) | st.ip_addresses().map(str) | st.from_regex(r"[0-9a-f:.%\[\]/]{1,46}", fullmatch=True))
@example("::ffff:1.2.3.4")
@example("::ffff:01.2.3.4")
@example("1:2:3:4:5:6:7::")
@example("1:2:3:4:5:6:1.2.3.4")
@example("00001::")
@example("1:0:0:2:0:0:0:3")
@example("1:0:2:3:4:5:6:7")
def test_agrees_with_the_standard_library(text: str) -> None:
    """Whatever text comes, it is the address that Python's own parser sees in it, or a RequestError."""
    try:
        parsed = ip_address(text)
    except ValueError:
        parsed = None
    if parsed is None or "%" in text:
        with pytest.raises(RequestError):
            parse_address(text)
        return
    address = parse_address(text)
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    assert (address.version, address.value) == (parsed.version, int(parsed))
    assert parse_address(address.text) == address
    prefix = ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False)
    host = str(parsed) if parsed.version == 4 else str(ip_network((parsed, 64), strict=False))
    assert (address.prefix, address.host) == (str(prefix), host)
    if address.value >> 32:  # the last 32 bits alone may also be written as an IPv4 address
        assert address.text == str(parsed)
