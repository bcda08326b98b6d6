"""Generates logs of honest logins, in the columns of `data/rba_like_seed1.csv.gz`.

After the published statistics of the RBA data set (Wiefling et al., ACM TOPS 2022, doi 10.1145/3546069): logins per
subject, gaps between them, the chance of a new address given the gap, countries, clients and how they age.
`LIKE_SEED_1` has what that log measures, `PUBLISHED` the published numbers where they differ, `RESTLESS` is another
population.
"""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

DAY_S: Final = 86_400.0
START_S: Final = 1_580_688_000.0
SPAN_S: Final = 391 * DAY_S
"""From 2020-02-03 to 2021-02-28."""
EDGES_S: Final = (
    (5, 60), (60, 600), (600, 3600), (3600, DAY_S), (DAY_S, 7 * DAY_S), (7 * DAY_S, 30 * DAY_S),
    (30 * DAY_S, 150 * DAY_S),
)  # fmt: skip
"""Classes of gaps; within one, ln of the gap is uniform."""
MOST_ADDRESSES: Final = 20_000
MOST_MODELS: Final = 400
COLUMNS: Final = (
    "ts", "userid", "requestXRealIP", "ipASN", "ipCountry", "trackingdatauserAgent", "browser_name_version",
    "os_name_version", "device_type", "rtt", "attack",
)  # fmt: skip
FAMILIES: Final = {
    "mobile": (
        ("Mobile Safari", "iOS", 0.50), ("Chrome Mobile", "Android", 0.247), ("Chrome Mobile iOS", "iOS", 0.092),
        ("Samsung Internet", "Android", 0.073), ("Chrome Mobile WebView", "Android", 0.06), ("Facebook", "iOS", 0.028),
    ),
    "desktop": (
        ("Chrome", "Windows", 0.384), ("Safari", "Mac OS X", 0.197), ("Edge", "Windows", 0.13),
        ("Chrome", "Mac OS X", 0.11), ("Firefox", "Windows", 0.079), ("Opera", "Windows", 0.03),
        ("Firefox", "Linux", 0.027), ("Chrome", "Linux", 0.023), ("Firefox", "Mac OS X", 0.02),
    ),
    "tablet": (
        ("Mobile Safari", "iOS", 0.68), ("Chrome Mobile", "Android", 0.13), ("Chrome Mobile iOS", "iOS", 0.11),
        ("Samsung Internet", "Android", 0.08),
    ),
}  # fmt: skip
"""Browser, system and share within each kind of device."""
Weights = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """The parameters of a population."""

    subjects: int = 30_000
    log_series: float = 0.90
    """Of the number of logins per subject."""
    gap_shares: tuple[float, ...] = (0.010, 0.058, 0.071, 0.118, 0.269, 0.279, 0.195)
    new_address: tuple[float, ...] = (0.024, 0.054, 0.105, 0.30, 0.47, 0.63, 0.72)
    """By class of gap."""
    new_network: float = 0.45
    """Of the new addresses, country changes among them."""
    new_country: float = 0.045
    countries: tuple[tuple[str, float], ...] = (
        ("NO", 0.868), ("US", 0.028), ("PL", 0.015), ("BR", 0.0145), ("DE", 0.009), ("IN", 0.007), ("RU", 0.0048),
        ("AU", 0.0074), ("GB", 0.0104), ("UA", 0.0047), ("SE", 0.010), ("DK", 0.008), ("RO", 0.003), ("CA", 0.0046),
        ("IT", 0.004), ("ID", 0.003),
    )  # fmt: skip
    network_zipf: float = 1.27
    home_networks: int = 60
    foreign_networks: int = 25
    address_zipf: float = 1.35
    kinds: tuple[float, ...] = (0.66, 0.30, 0.04)
    """Mobile, desktop, tablet."""
    other_device: float = 0.33
    """Chance that a login comes from another of several devices."""
    new_device: float = 0.05
    upgrade_days: float = 26.0
    rtt_present: float = 1.0
    hour_concentration: float = 2.4


LIKE_SEED_1: Final = World()
PUBLISHED: Final = World(
    gap_shares=(0.040, 0.107, 0.051, 0.112, 0.172, 0.214, 0.304),
    new_address=(0.024, 0.054, 0.12, 0.223, 0.351, 0.539, 0.759),
    countries=(
        ("NO", 0.706), ("US", 0.091), ("PL", 0.050), ("BR", 0.039), ("DE", 0.021), ("IN", 0.010), ("UA", 0.009),
        ("ID", 0.009), ("SE", 0.012), ("GB", 0.012), ("DK", 0.010), ("RU", 0.008), ("AU", 0.007), ("CA", 0.007),
        ("IT", 0.006), ("RO", 0.003),
    ),
    kinds=(0.497, 0.479, 0.024), rtt_present=0.041, upgrade_days=20.0,
)  # fmt: skip
RESTLESS: Final = replace(
    LIKE_SEED_1, log_series=0.93, gap_shares=(0.03, 0.08, 0.06, 0.15, 0.25, 0.25, 0.18),
    new_address=(0.03, 0.07, 0.14, 0.34, 0.52, 0.68, 0.80), new_country=0.08, network_zipf=1.1, address_zipf=1.5,
    kinds=(0.5, 0.46, 0.04), new_device=0.08, upgrade_days=18.0, rtt_present=0.5,
    countries=tuple((c, 0.6 if c == "NO" else s * 3) for c, s in LIKE_SEED_1.countries),
)  # fmt: skip


@dataclass(slots=True)
class _Device:
    browser: str
    os: str
    kind: str
    model: int
    version: float
    used_s: float
    os_version: int


class _Population:
    """Draws networks, addresses, devices and the logins of one subject after the other."""

    def __init__(self, seed: int, world: World) -> None:
        self.world = world
        self.rng = np.random.default_rng(seed)
        self.names = [name for name, _ in world.countries]
        shares = np.array([share for _, share in world.countries])
        self.countries = np.cumsum(shares / shares.sum())
        self.first: dict[str, int] = {}
        self.networks: dict[str, Weights] = {}
        number = 1000
        for name in self.names:
            count = world.home_networks if name == "NO" else world.foreign_networks
            self.first[name] = number
            self.networks[name] = _cumulated(np.arange(1, count + 1) ** -world.network_zipf)
            number += count
        self.kinds = _cumulated(np.array(world.kinds))
        self.families = {kind: _cumulated(np.array([share for *_, share in of])) for kind, of in FAMILIES.items()}
        self.gaps = _cumulated(np.array(world.gap_shares))

    def pick(self, cumulated: Weights) -> int:
        """Draw an index."""
        return min(int(np.searchsorted(cumulated, self.rng.random())), len(cumulated) - 1)

    def zipf(self, exponent: float, most: int) -> int:
        """Draw a number from 1 to `most`."""
        while (number := int(self.rng.zipf(exponent))) > most:
            pass
        return number

    def network(self, country: str) -> int:
        """Draw a network of a country."""
        return self.first[country] + self.pick(self.networks[country])

    def device(self, time_s: float) -> _Device:
        """Draw a device as it is bought at this time."""
        kind = tuple(FAMILIES)[self.pick(self.kinds)]
        browser, os, _ = FAMILIES[kind][self.pick(self.families[kind])]
        version = 70 + (time_s - START_S) / DAY_S / 56 + self.rng.exponential(1.0)
        model = self.zipf(1.5, MOST_MODELS)
        return _Device(browser, os, kind, model, version, time_s, int(self.rng.integers(10, 13)))

    def upgraded(self, device: _Device, time_s: float) -> _Device:
        """Let the upgrades happen that came since it was last used."""
        while True:
            wait_s = self.rng.exponential(self.world.upgrade_days) * DAY_S
            if device.used_s + wait_s > time_s:
                device.used_s = time_s
                return device
            device.used_s += wait_s
            device.version += 1

    def next_time(self, time_s: float, gap: int, mean_hour: float) -> float:
        """Draw the time of the next login; after gaps of hours and more it is at an hour of the subject's."""
        low, high = EDGES_S[gap]
        after = time_s + float(np.exp(self.rng.uniform(np.log(low), np.log(high))))
        if gap > 3:
            after = self.at_an_hour(after, mean_hour)
            if after <= time_s + 3600:
                after += DAY_S
        return after

    def at_an_hour(self, time_s: float, mean_hour: float) -> float:
        """Move a time to an hour of the subject's on the same day."""
        hour = (12 + self.rng.vonmises(mean_hour, self.world.hour_concentration) * 12 / np.pi) % 24
        return time_s // DAY_S * DAY_S + float(hour) * 3600

    def logins(self, subject: int, count: int) -> Iterator[tuple[object, ...]]:
        """Draw the logins of one subject until the end of the span."""
        world, rng = self.world, self.rng
        bought_s = START_S + rng.random() * SPAN_S
        mean_hour = rng.vonmises((14.1 - 12) * np.pi / 12, 1.2)
        home = country = self.names[self.pick(self.countries)]
        network, address = self.network(country), self.zipf(world.address_zipf, MOST_ADDRESSES)
        devices = [self.device(bought_s)]
        time_s = self.at_an_hour(bought_s, mean_hour)
        for number in range(count):
            device = devices[0]
            if number:
                gap = self.pick(self.gaps)
                time_s = self.next_time(time_s, gap, mean_hour)
                if rng.random() < world.new_address[gap]:
                    moved = rng.random()
                    if moved < world.new_network:
                        country = self.away(home) if moved < world.new_country else home
                        network = self.network(country)
                    address = self.zipf(world.address_zipf, MOST_ADDRESSES)
                if rng.random() < world.new_device:
                    devices.append(self.device(time_s))
                    device = devices[-1]
                elif len(devices) > 1 and rng.random() < world.other_device:
                    device = devices[int(rng.integers(len(devices)))]
            if time_s > START_S + SPAN_S:
                return
            yield self.row(subject, time_s, country, f"{network}.{address}", self.upgraded(device, time_s))

    def away(self, home: str) -> str:
        """Draw another country."""
        while (country := self.names[self.pick(self.countries)]) == home:
            pass
        return country

    def row(self, subject: int, time_s: float, country: str, ip: str, device: _Device) -> tuple[object, ...]:
        """Write down one login."""
        usual_ms = 530.0 if country == "NO" else 1100.0
        rtt = f"{usual_ms * np.exp(0.56 * self.rng.normal()):.1f}" if self.rng.random() < self.world.rtt_present else ""
        version, os = int(device.version), f"{device.os} {device.os_version}"
        agent = f"{device.browser}/{version} ({os}; m{device.model})"
        browser = f"{device.browser} {version}"
        return time_s, subject, ip, ip.split(".", maxsplit=1)[0], country, agent, browser, os, device.kind, rtt, 0


def _cumulated(weights: Weights) -> Weights:
    summed: Weights = np.cumsum(weights)
    return summed / summed[-1]


def generate(path: Path, seed: int, world: World = LIKE_SEED_1) -> int:
    """Write a log, gzip, and return its number of logins; the same seed gives the same log."""
    population = _Population(seed, world)
    counts = population.rng.logseries(world.log_series, world.subjects)
    rows = [row for subject, count in enumerate(counts) for row in population.logins(subject, int(count))]
    rows.sort(key=lambda row: str(row[0]))
    with gzip.open(path, "wt", compresslevel=3, encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return len(rows)
