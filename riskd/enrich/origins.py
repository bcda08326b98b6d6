"""What the operators of clouds, VPNs, crawlers and Tor publish of their own ranges (the iporigin package)."""

from datetime import UTC, datetime
from functools import cache

import iporigin
from iporigin.core import dataset  # type: ignore[attr-defined]

from riskd.enrich.address import Address
from riskd.enrich.records import KnownNetwork

_PRIVATE_RELAY = "Apple Private Relay"


def origin_of(address: Address) -> KnownNetwork:
    """Return what the ranges say of a public address; one that no range holds is none of all these."""
    # Not `classify`: it parses the text again, and looks again whether the address is public, at ten times the price.
    found = dataset().find(address.value, address.version)  # type: ignore[no-untyped-call]
    return _network(*found) if found else _NONE_OF_THESE


@cache
def _network(provider: str, kind: str) -> KnownNetwork:
    """Say what a label of the ranges means; there are a few dozen."""
    if provider == _PRIVATE_RELAY:
        return KnownNetwork(kind="relay", tor=False, proxy=False, hosting=False, relay=True)
    return KnownNetwork(
        kind="vpn" if kind == iporigin.VPN else None,
        tor=kind == iporigin.TOR,
        proxy=kind == iporigin.VPN,
        hosting=kind in {iporigin.HOSTING, iporigin.CDN, iporigin.BOT},
        relay=False,
    )


_NONE_OF_THESE = KnownNetwork(tor=False, proxy=False, hosting=False, relay=False)


def load_origins() -> tuple[datetime, int]:
    """Read the ranges into memory, if not done yet; return when they were built and how many there are."""
    info = iporigin.dataset_info()  # type: ignore[no-untyped-call]
    return datetime.fromtimestamp(info["built_at"], UTC), info["ranges"]
