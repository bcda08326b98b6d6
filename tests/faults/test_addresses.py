"""Case 24: forwarded headers.

`/decide` takes the client's address from the body alone; where a request itself is judged, `client_ip` reads it.
"""

from ipaddress import ip_network

import httpx
import pytest

from riskd.enrich.forwarded import client_ip
from tests.faults.rig import Rig, decide, login

SPOOFED = {"x-forwarded-for": "6.6.6.6", "forwarded": "for=6.6.6.6", "x-real-ip": "6.6.6.6", "client-ip": "6.6.6.6"}
PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def test_case_24_headers_of_a_caller_change_nothing(shared_rig: Rig, client: httpx.Client) -> None:
    """Whatever a caller's headers say of addresses, the attempt comes from the one in the body."""
    plain = shared_rig.record(decide(client, login("honest"))["decision_id"])
    for name, value in SPOOFED.items():
        sent = client.post("/decide", json=login("honest"), headers={name: value})
        spoofed = shared_rig.record(sent.json()["decision_id"])
        assert (spoofed.facts.network, spoofed.facts.place) == (plain.facts.network, plain.facts.place)


@pytest.mark.parametrize(
    ("peer", "header", "value", "expected"),
    [
        ("203.0.113.9", "x-forwarded-for", "6.6.6.6", "203.0.113.9"),
        ("203.0.113.9", "forwarded", "for=6.6.6.6", "203.0.113.9"),
        ("203.0.113.9", "x-real-ip", "6.6.6.6", "203.0.113.9"),
        ("10.0.0.1", "x-forwarded-for", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "x-forwarded-for", "6.6.6.6, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "x-forwarded-for", "2001:DB8::1", "2001:db8::1"),
        ("10.0.0.1", "x-forwarded-for", "::ffff:198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "x-forwarded-for", "198.51.100.7:4711", "198.51.100.7"),
        ("fd00::1", "forwarded", 'for="[2001:db8::1]:4711"', "2001:db8::1"),
        ("10.0.0.1", "forwarded", "for=6.6.6.6, for=198.51.100.7;proto=https", "198.51.100.7"),
        ("10.0.0.1", "x-real-ip", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "x-forwarded-for", "6.6.6.6, unknown", None),
        ("10.0.0.1", "x-forwarded-for", "\x00\xff' OR 1=1 --", None),
        ("10.0.0.1", "x-forwarded-for", "1" * 10_000, None),
        ("::ffff:10.0.0.1", "x-forwarded-for", "198.51.100.7", "198.51.100.7"),
    ],
)
def test_case_24_client_ip(peer: str, header: str, value: str, expected: str | None) -> None:
    """Strangers' headers are ignored; of a trusted proxy's the right-most untrusted hop counts; garbage is unknown."""
    assert client_ip(peer, [(header.encode(), value.encode("latin-1"))], PROXIES) == expected
