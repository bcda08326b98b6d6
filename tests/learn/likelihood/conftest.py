"""A small log of honest logins, with the histories that a store would have answered."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from bench.logins import with_histories
from riskd.facts import ActionFacts, DeviceFacts, Facts, NetworkFacts, PlaceFacts, SubjectFacts

START = datetime(2025, 1, 1, tzinfo=UTC)
FAMILIES = (("Windows", "Chrome", "desktop"), ("iOS", "Mobile Safari", "mobile"), ("Linux", "Firefox", "desktop"))
COUNTRIES = ("NO",) * 16 + ("SE", "DE", "RO", "US")


def login(subject: str, time: datetime, country: str, ip: str, family: tuple[str, str, str], major: int) -> Facts:
    """One login; the network is what stands before the dot of the address."""
    os, browser, kind = family
    return Facts(
        time=time,
        subject=SubjectFacts(token=subject),
        action=ActionFacts(name="login"),
        network=NetworkFacts(ip=ip, key="AS" + ip.split(".", maxsplit=1)[0]),
        place=PlaceFacts(country=country),
        device=DeviceFacts(
            family=f"{os}|{browser}", os_family=os, browser_family=browser, browser_major=major, kind=kind, rtt_ms=30.0
        ),
    )


def network_of(country: str, random: Random) -> int:
    """Draw a network of a country, small numbers far more often."""
    return COUNTRIES.index(country) * 100 + min(int(random.paretovariate(1.0)), 40)


def subject_logins(subject: str, random: Random) -> list[Facts]:
    """Draw the logins of one subject: at home mostly, after long gaps more often from elsewhere."""
    home = country = random.choice(COUNTRIES)
    network, family = network_of(home, random), random.choice(FAMILIES)
    address, time = random.randrange(30), START + timedelta(days=random.uniform(0, 60))
    out = []
    for _ in range(random.randint(1, 20)):
        out.append(login(subject, time, country, f"{network}.{address}", family, 100 + (time - START).days // 28))
        gap = timedelta(seconds=60 * 10 ** random.uniform(0, 4.3))
        time += gap
        if random.random() < min(0.6, gap.total_seconds() / 86_400 / 10):
            country = random.choice(COUNTRIES) if random.random() < 0.1 else home
            network = network_of(country, random) if random.random() < 0.5 or country != home else network
            address = random.randrange(30)
        if random.random() < 0.04:
            family = random.choice(FAMILIES)
    return out


@pytest.fixture(scope="session")
def log() -> list[Facts]:
    """Some nine thousand logins of nine hundred subjects, in the order of time, each confirmed."""
    random = Random(7)  # noqa: S311 - a log that repeats
    facts = [one for number in range(900) for one in subject_logins(f"s{number}", random)]
    facts.sort(key=lambda one: one.time)
    return with_histories(facts)
