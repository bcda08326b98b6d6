"""Addresses."""

from ipaddress import IPv6Address, ip_address

import pytest
from hypothesis import given
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
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:10.0.0.1",
    ],
)
def test_private_addresses(text: str) -> None:
    """What is not globally routed is private."""
    assert parse_address(text).private


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
def test_never_raises_anything_else(text: str) -> None:
    """Whatever text comes, it is an address or a RequestError."""
    try:
        address = parse_address(text)
    except RequestError:
        return
    parsed = ip_address(text)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    assert address.value == int(mapped or parsed)
    assert parse_address(address.text) == address
