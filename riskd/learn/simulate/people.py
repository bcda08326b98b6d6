"""Who lives there: a person's home, phone, office, VPN, travels, devices and payees.

How many own a second device, work in an office, use a VPN or travel is invented; each number stands in `Habits`.
"""

import math
from dataclasses import dataclass, field
from random import Random

from riskd.learn.simulate.devices import KIND_SHARES, Device, Kind, new_device
from riskd.learn.simulate.places import City
from riskd.learn.simulate.rhythm import SPAN_S, Hours, new_hours
from riskd.learn.simulate.world import Country, Network, Origin, World, origin

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Habits:
    """The invented shares and rates of a population."""

    office_share: float = 0.35
    """Of people who also log in from an office whose exit they share with colleagues."""
    vpn_share: float = 0.05
    """Of people who use a VPN now and then."""
    traveller_share: float = 0.5
    trips_a_year: float = 2.0
    """Of a traveller, to another country."""
    second_device_share: float = 0.5
    session_device_share: float = 0.02
    """Of people whose browser forgets its cookies after every session: each login is a new device id."""
    forget_cookie_days: float = 400.0
    """Mean life of a device id before the browser forgets it."""
    replace_device_days: float = 900.0
    """Mean life of a device before another is bought in its place."""
    typo_share: float = 0.09
    """Of logins that come after one wrong password or more."""
    payer_share: float = 0.6
    """Of people who pay through the service."""
    new_payee_share: float = 0.07
    """Of payments to someone never paid before."""
    factor_shares: tuple[tuple[tuple[str, ...], float], ...] = (
        (("totp",), 0.45),
        (("webauthn", "totp"), 0.25),
        (("sms",), 0.3),
    )


@dataclass(slots=True)
class Owned:
    """A device of a person and the id that it is known by."""

    device: Device
    id: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Trip:
    """A stay abroad, seconds from the start of the span."""

    start: float
    end: float
    city: City
    network: Network


@dataclass(slots=True)
class Person:
    """One account's owner."""

    id: str
    country: Country
    city: City
    age_at_first_s: float
    """Seconds before the first login in the span that the account was opened."""
    factors: tuple[str, ...]
    hours: Hours
    home: Network
    carrier: Network
    office: Origin | None
    vpn: tuple[Network, City] | None
    trips: tuple[Trip, ...]
    devices: list[Owned]
    forgets_cookies: bool
    payer: bool
    usual_amount: float
    """Median payment in the currency of the country."""
    payees: list[str] = field(default_factory=list)


class Offices:
    """The offices of the world: each is one address that its staff shares."""

    def __init__(self, world: World, staff: int, people: int, rng: Random) -> None:
        """Lay out offices for a population of `people`, about `staff` of them behind each exit."""
        self._by_country: dict[str, list[Origin]] = {}
        for country in world.countries.values():
            count = max(1, round(people * country.share / staff))
            self._by_country[country.code] = [
                origin(rng.choice(country.offices), rng.choice(country.cities), rng) for _ in range(count)
            ]

    def workplace(self, country: str, rng: Random) -> Origin:
        """Return the office of someone in this country."""
        return rng.choice(self._by_country[country])


def new_person(number: int, world: World, offices: Offices, habits: Habits, rng: Random) -> Person:
    """Draw a person."""
    country = world.home_country(rng)
    city = rng.choices(country.cities, weights=[1 / (rank + 1) for rank in range(len(country.cities))])[0]
    # The largest carrier has three customers in five, as the largest fixed line has.
    carrier = rng.choices(country.carriers, weights=(0.6, 0.2, 0.2))[0]
    # Two in five accounts are opened on the day of their first login; the others lived before the span began.
    age_at_first_s = 0.0 if rng.random() < 0.4 else rng.expovariate(1 / (500 * DAY_S))
    factors = rng.choices([f for f, _ in habits.factor_shares], weights=[share for _, share in habits.factor_shares])[0]
    return Person(
        id=f"subject-{number}",
        country=country,
        city=city,
        age_at_first_s=age_at_first_s,
        factors=factors,
        hours=new_hours(rng),
        home=country.fixed_line(rng),
        carrier=carrier,
        office=offices.workplace(country.code, rng) if rng.random() < habits.office_share else None,
        vpn=_vpn(country, world, rng) if rng.random() < habits.vpn_share else None,
        trips=_trips(country, world, habits, rng),
        devices=_devices(number, habits, rng),
        forgets_cookies=rng.random() < habits.session_device_share,
        payer=rng.random() < habits.payer_share,
        usual_amount=country.money * math.exp(rng.gauss(math.log(45.0), 0.7)),
        payees=[f"payee-{number}-{index}" for index in range(rng.randint(2, 8))],
    )


def _vpn(country: Country, world: World, rng: Random) -> tuple[Network, City]:
    """Two in three choose an exit in their own country, the others one abroad."""
    exit_country = country if rng.random() < 0.67 else world.abroad(country.code, rng)
    return rng.choice(world.vpns), rng.choice(exit_country.cities)


def _trips(country: Country, world: World, habits: Habits, rng: Random) -> tuple[Trip, ...]:
    if rng.random() >= habits.traveller_share:
        return ()
    trips: list[Trip] = []
    at = 0.0
    while True:
        at += rng.expovariate(habits.trips_a_year / (365 * DAY_S))
        if at >= SPAN_S:
            return tuple(trips)
        destination = world.abroad(country.code, rng)
        end = at + rng.uniform(2, 14) * DAY_S
        # In a hotel, or on the mobile network of the country.
        network = rng.choice(destination.offices) if rng.random() < 0.6 else rng.choice(destination.carriers)
        trips.append(Trip(at, end, rng.choice(destination.cities), network))
        at = end


def _devices(number: int, habits: Habits, rng: Random) -> list[Owned]:
    kinds: list[Kind] = [rng.choices(list(KIND_SHARES), weights=list(KIND_SHARES.values()))[0]]
    if rng.random() < habits.second_device_share:
        kinds.append("mobile" if kinds[0] == "desktop" else "desktop")
    return [Owned(new_device(kind, rng), f"device-{number}-{index}", kind) for index, kind in enumerate(kinds)]
