"""The simulated population against the published statistics of the RBA data set (Wiefling et al. 2022)."""

import statistics
from bisect import bisect_right
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from riskd.learn.simulate.attempt import LOGIN, Attempt
from riskd.learn.simulate.devices import user_agent
from riskd.learn.simulate.life import NEW_ADDRESS
from riskd.learn.simulate.people import Habits
from riskd.learn.simulate.rhythm import GAP_SHARES
from riskd.learn.simulate.stream import Size, honest_attempts

HOUR_S, DAY_S = 3600.0, 86_400.0
EDGES_S = (60.0, 600.0, HOUR_S, DAY_S, 7 * DAY_S, 30 * DAY_S)


@pytest.fixture(scope="module")
def logins() -> list[Attempt]:
    """All successful logins of the whole world."""
    attempts = honest_attempts(Size(subjects=20_000, seed=5), Habits())
    return [attempt for attempt in attempts if attempt.action == LOGIN and attempt.password_right]


@pytest.fixture(scope="module")
def by_person(logins: list[Attempt]) -> list[list[Attempt]]:
    """The logins of each person, in order."""
    people = defaultdict(list)
    for login in logins:
        people[login.subject].append(login)
    return list(people.values())


def test_logins_per_person(by_person: list[list[Attempt]]) -> None:
    """39.1 % ± 2 log in once, the mean is 3.91 ± 0.15, the median 2."""
    counts = [len(person) for person in by_person]
    assert counts.count(1) / len(counts) == pytest.approx(0.391, abs=0.02)
    assert statistics.mean(counts) == pytest.approx(3.91, abs=0.15)
    assert statistics.median(counts) == 2


def test_gaps_and_new_addresses(by_person: list[list[Attempt]]) -> None:
    """Each share of the gaps, and of new addresses in each class of gap, is within 2.5 points; overall 44.4 ± 2."""
    gaps: Counter[int] = Counter()
    fresh: Counter[int] = Counter()
    for person in by_person:
        seen = {person[0].origin.ip}
        for before, login in pairwise(person):
            group = bisect_right(EDGES_S, login.time - before.time)
            gaps[group] += 1
            fresh[group] += login.origin.ip not in seen
            seen.add(login.origin.ip)
    shares = [gaps[group] / gaps.total() for group in range(len(GAP_SHARES))]
    assert shares == pytest.approx(list(GAP_SHARES), abs=0.025)
    assert [fresh[group] / gaps[group] for group in range(len(NEW_ADDRESS))] == pytest.approx(
        list(NEW_ADDRESS), abs=0.025
    )
    assert fresh.total() / gaps.total() == pytest.approx(0.444, abs=0.02)


def test_new_user_agents(by_person: list[list[Attempt]]) -> None:
    """52 % ± 7 of the logins with history show a user agent never seen for the person."""
    fresh, total = 0, 0
    for person in by_person:
        seen = {user_agent(person[0].device, person[0].time)}
        for login in person[1:]:
            agent = user_agent(login.device, login.time)
            fresh += agent not in seen
            seen.add(agent)
            total += 1
    assert fresh / total == pytest.approx(0.52, abs=0.07)


def test_countries_and_networks(logins: list[Attempt]) -> None:
    """The published countries lie within 2 points (the largest 3), the five largest networks within 2.5."""
    countries = Counter(login.origin.city.country for login in logins)
    for code, share in {
        "US": 0.091, "PL": 0.050, "BR": 0.039, "DE": 0.021, "IN": 0.010, "UA": 0.009, "ID": 0.009,
    }.items():  # fmt: skip
        assert countries[code] / len(logins) == pytest.approx(share, abs=0.02)
    assert countries["NO"] / len(logins) == pytest.approx(0.706, abs=0.03)
    networks = Counter(login.origin.network.asn for login in logins)
    largest = [count / len(logins) for _, count in networks.most_common(5)]
    assert largest == pytest.approx([0.382, 0.073, 0.073, 0.065, 0.038], abs=0.025)


def test_devices(logins: list[Attempt]) -> None:
    """Mobile 49.7 %, desktop 47.9, tablet 2.4, each within 2 points."""
    kinds = Counter(login.device.model.kind for login in logins)
    assert [kinds[kind] / len(logins) for kind in ("mobile", "desktop", "tablet")] == pytest.approx(
        [0.497, 0.479, 0.024], abs=0.02
    )


def test_hours(logins: list[Attempt]) -> None:
    """In the largest country nights are quiet (5 to 33, ± 0.1), hours 9 to 19 flat within a third, evenings fall."""
    hours = Counter(int((login.time / HOUR_S + 1) % 24) for login in logins if login.home.code == "NO")
    day = statistics.mean(hours[hour] for hour in range(9, 20))
    night = statistics.mean(hours[hour] for hour in range(5))
    assert night / day == pytest.approx(5 / 33, abs=0.1)
    assert all(abs(hours[hour] / day - 1) < 1 / 3 for hour in range(9, 20))
    assert hours[19] > hours[21] > hours[23] > night
    assert night < hours[6] < hours[8] < day


def test_round_trip_times(logins: list[Attempt]) -> None:
    """4.1 % ± 0.6 are measured; medians NO 537-626, US about 1,400, DE about 2,800 ms; none above 13 s."""
    times = defaultdict(list)
    for login in logins:
        if login.rtt_ms is not None:
            times[login.home.code].append(login.rtt_ms)
    assert sum(map(len, times.values())) / len(logins) == pytest.approx(0.041, abs=0.006)
    assert 537 * 0.95 <= statistics.median(times["NO"]) <= 626 * 1.05
    assert statistics.median(times["US"]) == pytest.approx(1400, rel=0.2)
    assert statistics.median(times["DE"]) == pytest.approx(2800, rel=0.35)
    assert max(max(values) for values in times.values()) <= 13_000
