"""The stand-in for the store answers what the store answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import asdict

from riskd.facts import Facts, SubjectHistory
from riskd.learn.likelihood.past import Past
from riskd.store import Store
from tests.learn.likelihood.conftest import FAMILIES, login
from tests.store.conftest import *  # noqa: F403 - the store's fixtures
from tests.store.story import NOW, attempt, report

READ = (
    "confirmed", "first_confirmed_age_s", "last_confirmed_age_s", "family_age_s", "ip_age_s", "network_age_s",
    "country_age_s", "known_families", "known_ips", "known_networks", "known_countries", "family_count",
    "network_count", "country_count", "hour_sin", "hour_cos", "hour_count", "rtt_mean_log_ms", "rtt_count", "ip_count",
    "known_clients", "client_age_s", "client_count", "client_major", "os_count", "kind_count",
)  # fmt: skip
"""What the likelihood core reads of a history."""


def told(history: SubjectHistory) -> dict[str, Any]:
    """What of a history the likelihood core reads."""
    known = asdict(history)
    return {name: known[name] for name in READ}


async def answered(store: Store, facts: Facts) -> SubjectHistory:
    """Let the store see an attempt, confirm it, and return what it answered."""
    device = facts.device
    seen = await store.observe(
        attempt(
            facts.time.timestamp(),
            subject=facts.subject.token,
            address=facts.network.ip,
            network=facts.network.key,
            device=None,
            session=None,
            recipient=None,
            language=None,
            payload=None,
            country=facts.place.country,
            family=device.family,
            client=device.client,
            os_family=device.os_family,
            kind=device.kind,
            browser_major=device.browser_major,
            rtt_ms=device.rtt_ms,
        )
    )
    assert await report(store, seen, "login_succeeded") == "accepted"
    assert seen.history is not None
    return seen.history


async def test_it_answers_as_the_store_does(store: Store) -> None:
    """Through new addresses, networks, countries, clients and versions, and past the end of memory."""
    start, past = datetime.fromtimestamp(NOW, UTC), Past("t")
    story = [
        (0, "NO", "1.1", 0, 100), (1, "NO", "1.1", 0, 101), (2, "NO", "1.2", 0, 100), (2.5, "NO", "2.1", 1, 17),
        (40, "SE", "9.1", 1, 17), (41, "NO", "1.1", 0, 102), (200, "NO", "1.2", 0, 103), (390, "NO", "1.1", 2, 90),
        (390.5, "NO", "1.1", 0, 104),
    ]  # fmt: skip
    for days, country, ip, family, major in story:
        facts = login("ada", start + timedelta(days=days), country, ip, FAMILIES[family], major)
        assert told(past.answer(facts)) == pytest.approx(told(await answered(store, facts)), abs=1e-2), days
        past.learn(facts)


def test_it_forgets_what_the_store_forgets() -> None:
    """Of more things than a subject may be known by, the one confirmed longest ago leaves."""
    start, past = datetime.fromtimestamp(NOW, UTC), Past("t")
    for number in range(60):
        past.learn(login("ada", start + timedelta(hours=number), "NO", f"{number}.1", FAMILIES[0], 100))
    answer = past.answer(login("ada", start + timedelta(hours=61), "NO", "9.1", FAMILIES[0], 100))
    assert (answer.known_ips, answer.known_networks, answer.ip_age_s, answer.network_age_s) == (50, 20, None, None)
    late = past.answer(login("ada", start + timedelta(hours=61), "NO", "59.1", FAMILIES[0], 100))
    assert (late.ip_count, late.network_count, late.country_count) == (1, 1, 60)
