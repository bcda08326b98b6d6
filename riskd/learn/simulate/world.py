"""Networks and the addresses that they hand out.

The shares of the largest networks are those of the first successful logins of the RBA data set. AS numbers come from
the range for private use, addresses from ranges that are never routed on the internet: nothing names a real operator.
"""

from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from itertools import accumulate
from random import Random

from riskd.contract import NetworkKind
from riskd.learn.simulate.places import COUNTRIES, City, Row

FIRST_ASN = 4_200_000_001
"""First of the AS numbers for private use (RFC 6996)."""
_UNROUTED_OCTETS = (11, 21, 22, 26, 28, 29, 30, 33, 55)
"""First octets held by one owner and never announced; globally scoped, so they are treated as public addresses."""


@dataclass(frozen=True)
class Network:
    """An autonomous system and the /16 blocks it hands out."""

    asn: int
    organization: str
    kind: NetworkKind
    share: float
    """Of its country's people, as their fixed line."""
    blocks: tuple[int, ...]
    exits: int
    """How many addresses stand for all customers: carriers and VPNs share few; 0 means one of its own for each."""

    def address(self, rng: Random) -> str:
        """Return an address that the network may hand out now."""
        if self.exits:
            return self._address(rng.randrange(self.exits) * 7 + 16)
        return self._address(rng.randrange(16, len(self.blocks) * 65_536 - 16))

    def _address(self, offset: int) -> str:
        return str(IPv4Address((self.blocks[offset >> 16] << 16) | (offset & 0xFFFF)))


@dataclass(frozen=True, slots=True)
class Origin:
    """One address as the databases describe it."""

    ip: str
    network: Network
    kind: NetworkKind
    city: City
    latitude: float
    longitude: float
    accuracy_km: float


@dataclass(frozen=True)
class Country:
    """A country, its people's share of all logins and what they have in common."""

    code: str
    share: float
    language: str
    currency: str
    money: float
    """How many units of the currency buy what one euro buys."""
    rtt_ms: float
    """Median round-trip time to the service."""
    cities: tuple[City, ...]
    networks: tuple[Network, ...]
    """Fixed lines, largest first."""
    carriers: tuple[Network, ...]
    """Mobile carriers, largest first."""
    offices: tuple[Network, ...]

    @cached_property
    def _line_weights(self) -> list[float]:
        return list(accumulate(network.share for network in self.networks))

    def fixed_line(self, rng: Random) -> Network:
        """Return the provider of a household, by market share."""
        return rng.choices(self.networks, cum_weights=self._line_weights)[0]


_HOME_MARKET = (0.56, 0.077, 0.077, 0.137, 0.08, 0.02, 0.015, 0.012, 0.01, 0.006, 0.004, 0.002)
"""Shares of fixed lines in the largest country: with mobile customers they give the published shares of networks."""
_OTHER_MARKET = (0.4, 0.25, 0.15, 0.1, 0.05, 0.03, 0.02)
_EVERYWHERE_VAGUE_KM = 200.0


class World:
    """All countries and networks. The same for every seed: a seed draws people, not geography."""

    def __init__(self) -> None:
        self._next_block = 0
        self._next_asn = FIRST_ASN
        self.countries = {row[0]: self._country(row) for row in COUNTRIES}
        self.vpns = tuple(self._network(f"Private Tunnel {letter}", "vpn", 1.0, 1, exits=240) for letter in "ABC")
        self._home_weights = list(accumulate(country.share for country in self.countries.values()))
        self._codes = list(self.countries)

    def home_country(self, rng: Random) -> Country:
        """Return the country of a new person."""
        return self.countries[rng.choices(self._codes, cum_weights=self._home_weights)[0]]

    def abroad(self, home: str, rng: Random) -> Country:
        """Return a country that a person of `home` travels to: any other, all alike."""
        return self.countries[rng.choice([code for code in self._codes if code != home])]

    def _country(self, row: Row) -> Country:
        code, share, language, currency, money, rtt_ms, cities = row
        market = _HOME_MARKET if code == "NO" else _OTHER_MARKET
        lines = [
            self._network(f"{code} Telecom {chr(64 + rank)}", "residential", share_of, 3 if rank == 1 else 1)
            for rank, share_of in enumerate(market, 1)
        ]
        offices = [self._network(f"{code} Business {letter}", "business", 1.0, 1) for letter in "ABCD"]
        # A carrier is the mobile side of a large provider and shares its AS number, as the incumbents do.
        carriers = [
            Network(
                asn=line.asn,
                organization=line.organization,
                kind="mobile",
                share=line.share,
                blocks=self._blocks(1),
                exits=160,
            )
            for line in lines[:3]
        ]
        places = tuple(City(name, code, latitude, longitude, zone) for name, latitude, longitude, zone in cities)
        return Country(
            code, share, language, currency, money, rtt_ms, places, tuple(lines), tuple(carriers), tuple(offices)
        )

    def _network(self, name: str, kind: NetworkKind, share: float, blocks: int, *, exits: int = 0) -> Network:
        self._next_asn += 1
        return Network(self._next_asn - 1, name, kind, share, self._blocks(blocks), exits)

    def _blocks(self, count: int) -> tuple[int, ...]:
        start = self._next_block
        self._next_block += count
        return tuple((_UNROUTED_OCTETS[n // 256] << 8) | (n % 256) for n in range(start, start + count))


def origin(network: Network, city: City, rng: Random, *, ip: str | None = None) -> Origin:
    """Return an address of `network` used in `city`, located as databases do: near, or for a carrier, vaguely."""
    if network.kind in {"mobile", "vpn"}:
        latitude, longitude, accuracy = city.latitude, city.longitude, _EVERYWHERE_VAGUE_KM
    else:
        latitude, longitude = city.latitude + rng.gauss(0, 0.08), city.longitude + rng.gauss(0, 0.12)
        accuracy = rng.choice((10.0, 20.0, 50.0))
    return Origin(
        ip or network.address(rng), network, network.kind, city, round(latitude, 4), round(longitude, 4), accuracy
    )
