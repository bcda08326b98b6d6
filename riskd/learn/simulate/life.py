"""One person's honest year: every login with its typos, its address, its device and what is done in the session.

The chance that a login comes from an address the person never used rises with the time since the last one, as published
[RBA]; which address it then is, is invented.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from riskd.learn.simulate.attempt import (
    ADD_PAYEE,
    CHANGE_EMAIL,
    CHANGE_PASSWORD,
    CHANGE_PHONE,
    EXPORT,
    TRANSFER,
    VIEW,
    Attempt,
)
from riskd.learn.simulate.devices import new_device
from riskd.learn.simulate.people import Habits, Owned, Person, Trip
from riskd.learn.simulate.rhythm import login_times
from riskd.learn.simulate.world import Origin, origin

DAY_S = 86_400.0
_GAP_EDGES_S = (60.0, 600.0, 3600.0, DAY_S, 7 * DAY_S, 30 * DAY_S)
NEW_ADDRESS = (0.024, 0.054, 0.120, 0.223, 0.351, 0.539, 0.759)
"""P(address never used before | gap since the last success), in the classes of `rhythm.GAP_SHARES` [RBA]."""
RTT_SHARE = 0.041
"""Of logins whose round-trip time was measured [RBA]."""
RTT_SPREAD = 0.6
"""Standard deviation of ln(rtt): the published tail reaches 13 s."""
_FLIGHT_S = 8 * 3600.0
"""Nobody is seen on the two ends of a trip within less."""
_ACTIONS = ((VIEW, 0.50), (TRANSFER, 0.36), (ADD_PAYEE, 0.05), (EXPORT, 0.03), (CHANGE_PASSWORD, 0.02),
            (CHANGE_EMAIL, 0.02), (CHANGE_PHONE, 0.02))  # fmt: skip
"""What is done in a session (invented)."""
_IDLE_SHARE, _NEXT_SHARE, _MOST_ACTIONS = 0.45, 0.62, 8


@dataclass(slots=True)
class _Whereabouts:
    """What a person used so far."""

    seen: list[Origin] = field(default_factory=list)
    """Addresses used at home, at work and around; those of trips are not kept."""
    last: Origin | None = None
    last_time: float = -math.inf
    trip: Trip | None = None
    """The trip during which the last login was made."""


def live(person: Person, login_count: int, start: float, habits: Habits, rng: Random) -> Iterator[Attempt]:
    """Yield the person's attempts, nearly in order of time; `start` is the start of the span, epoch seconds."""
    offset_s = _solar_offset_s(person.city.longitude)
    times = login_times(login_count, person.hours, offset_s, rng)
    registered = start + times[0] - person.age_at_first_s
    where = _Whereabouts()
    for index, at in enumerate(times):
        following = times[index + 1] if index + 1 < len(times) else math.inf
        gap = at - where.last_time
        owned = _device(person, gap, habits, rng)
        came_from = _origin(person, owned, where, at, rng)
        rtt = person.country.rtt_ms * math.exp(rng.gauss(0, RTT_SPREAD)) if rng.random() < RTT_SHARE else None
        session = f"session-{person.id}-{index}"
        login = Attempt(
            time=start + at,
            subject=person.id,
            home=person.country,
            registered=registered,
            factors=person.factors,
            language=person.country.language,
            zone=where.trip.city.zone if where.trip else person.city.zone,
            origin=came_from,
            device=owned.device,
            device_id=f"{owned.id}-{index}" if person.forgets_cookies else owned.id,
            session=session,
            rtt_ms=None if rtt is None else min(round(rtt, 1), 13_000.0),
        )
        yield from _typos(login, gap, habits, rng)
        yield login
        yield from _session(person, login, start + following, habits, rng)
        where.last, where.last_time = came_from, at


def _solar_offset_s(longitude: float) -> float:
    """Local time of day as the sun has it; clocks differ by an hour at most, which the hours' spread hides."""
    return round(longitude / 15) * 3600.0


def _device(person: Person, gap: float, habits: Habits, rng: Random) -> Owned:
    """Return the device of this login: mostly the first; now and then its id is forgotten or it was replaced."""
    index = 0 if len(person.devices) == 1 or rng.random() < 0.75 else 1
    owned = person.devices[index]
    if math.isinf(gap):
        return owned
    days = gap / DAY_S
    if rng.random() < 1 - math.exp(-days / habits.replace_device_days):
        owned = Owned(new_device(owned.kind, rng), f"{owned.id}r", owned.kind)
    elif rng.random() < 1 - math.exp(-days / habits.forget_cookie_days):
        owned = replace(owned, id=f"{owned.id}f")
    person.devices[index] = owned
    return owned


def _origin(person: Person, owned: Owned, where: _Whereabouts, at: float, rng: Random) -> Origin:
    """Return where this login comes from, and note it."""
    gap = at - where.last_time
    trip = next((trip for trip in person.trips if trip.start <= at < trip.end), None)
    if where.trip is not None and gap < _FLIGHT_S:
        trip = where.trip  # still there
    if where.trip is not None and trip is where.trip and where.last is not None:
        return where.last  # the same room for the whole trip
    fresh = where.last is None or rng.random() < NEW_ADDRESS[bisect_right(_GAP_EDGES_S, gap)]
    if fresh and trip is not None and gap >= _FLIGHT_S:
        where.trip = trip
        return origin(trip.network, trip.city, rng)
    where.trip = None
    if not fresh and where.seen:
        # Short after the last login one is still where one was; later any of the usual places will do.
        still_there = where.seen[-1] if gap < 3600 or rng.random() < 0.6 else rng.choice(where.seen)
        where.seen.remove(still_there)
        where.seen.append(still_there)
        return still_there
    found = _new_origin(person, owned, where, rng)
    where.seen.append(found)
    return found


def _new_origin(person: Person, owned: Owned, where: _Whereabouts, rng: Random) -> Origin:
    """Return an address that the person did not use before."""
    if person.vpn is not None and rng.random() < 0.4:
        return origin(*person.vpn, rng)
    home, mobile, office, around = (0.33, 0.47, 0.08, 0.12) if owned.kind == "mobile" else (0.62, 0.06, 0.22, 0.10)
    way = rng.choices(("home", "mobile", "office", "around"), weights=(home, mobile, office, around))[0]
    if way == "office" and person.office is not None and person.office not in where.seen:
        return person.office
    if way == "mobile":
        return origin(person.carrier, person.city, rng)
    if way == "around":
        # A friend's line, a café, a cabin: another provider, often in another town.
        return origin(person.country.fixed_line(rng), rng.choice(person.country.cities), rng)
    return origin(person.home, person.city, rng)


def _typos(login: Attempt, gap: float, habits: Habits, rng: Random) -> Iterator[Attempt]:
    """Yield the wrong passwords before a login, as many as fit since the last one."""
    if rng.random() >= habits.typo_share:
        return
    before = 0.0
    while True:
        before += rng.uniform(4, 25)
        if before >= gap:
            return
        yield replace(login, time=login.time - before, session=None, password_right=False)
        if rng.random() < 0.75:
            return


def _session(person: Person, login: Attempt, until: float, habits: Habits, rng: Random) -> Iterator[Attempt]:
    """Yield what is done after a login, before the next one."""
    at = login.time
    if rng.random() < _IDLE_SHARE:
        return
    base = replace(login, auth_time=login.time, rtt_ms=None)
    for _ in range(_MOST_ACTIONS):
        at += rng.uniform(8, 150)
        if at >= until:
            return
        action = rng.choices([name for name, _ in _ACTIONS], weights=[weight for _, weight in _ACTIONS])[0]
        if action in {TRANSFER, ADD_PAYEE} and not person.payer:
            action = VIEW
        yield _act(person, replace(base, time=at, action=action), habits, rng)
        if rng.random() >= _NEXT_SHARE:
            return


def _act(person: Person, attempt: Attempt, habits: Habits, rng: Random) -> Attempt:
    """Fill in what an action needs: the amount and the payee."""
    if attempt.action not in {TRANSFER, ADD_PAYEE}:
        return attempt
    if attempt.action == ADD_PAYEE or rng.random() < habits.new_payee_share:
        person.payees.append(f"{person.payees[0]}-{len(person.payees)}")
        attempt.recipient = person.payees[-1]
    else:
        # The older a payee, the more often paid: rent before the new plumber.
        attempt.recipient = person.payees[min(int(rng.expovariate(0.5)), len(person.payees) - 1)]
    if attempt.action == TRANSFER:
        # One payment in a hundred is a large one, a car or a deposit.
        large = 12.0 if rng.random() < 0.01 else 1.0
        attempt.amount = round(large * person.usual_amount * math.exp(rng.gauss(0, 0.7)), 2)
        attempt.currency = person.country.currency
    return attempt
