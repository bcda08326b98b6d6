"""What the operators of clouds, VPNs, crawlers and Tor publish of their own ranges (the iporigin package)."""

from datetime import UTC, datetime
from functools import lru_cache

import iporigin

from riskd.enrich.address import Address
from riskd.enrich.records import KnownNetwork

_PRIVATE_RELAY = "Apple Private Relay"


@lru_cache(maxsize=1024)
def origin_of(address: Address) -> KnownNetwork:
    """Return what the ranges say of a public address; one that no range holds is none of all these."""
    found = iporigin.classify(address.text)  # type: ignore[no-untyped-call]
    if found.provider == _PRIVATE_RELAY:
        return KnownNetwork(kind="relay", tor=False, proxy=False, hosting=False, relay=True)
    return KnownNetwork(
        kind="vpn" if found.kind == iporigin.VPN else None,
        tor=found.kind == iporigin.TOR,
        proxy=found.kind == iporigin.VPN,
        hosting=found.kind in {iporigin.HOSTING, iporigin.CDN, iporigin.BOT},
        relay=False,
    )


def load_origins() -> tuple[datetime, int]:
    """Read the ranges into memory, if not done yet; return when they were built and how many there are."""
    info = iporigin.dataset_info()  # type: ignore[no-untyped-call]
    return datetime.fromtimestamp(info["built_at"], UTC), info["ranges"]
