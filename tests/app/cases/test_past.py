"""What came before: when each attempt was, and in what they differ."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from riskd.app.cases.past import Past, ages, differing, is_the_same_at_all_times, moments, request_at
from riskd.app.cases.schema import Step

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
LOGIN: dict[str, Any] = {"subject": {"id": "a"}, "action": {"name": "login"}, "context": {"ip": "81.2.69.142"}}


def step(**said: object) -> Step:
    """A step of a history."""
    return Step.model_validate({"like": "request", **said})


@pytest.mark.parametrize(
    ("said", "minutes"),
    [
        ({"confirmed": 1, "ago": "1h"}, [60]),
        ({"confirmed": 3, "every": "1h"}, [180, 120, 60]),
        ({"confirmed": 3, "every": "1h", "ago": "5m"}, [125, 65, 5]),
        ({"failed": 5, "within": "10m"}, [9, 7, 5, 3, 1]),
        ({"failed": 2, "within": "10m", "ago": "1h"}, [67.5, 62.5]),
        ({"tried": 2, "ago": "0s"}, [0, 0]),
    ],
)
def test_when_they_were(said: dict[str, object], minutes: list[float]) -> None:
    """Each attempt of a step is as long before the case as its `ago`, `every` or `within` says, oldest first."""
    assert list(ages(step(**said))) == [timedelta(minutes=m) for m in minutes]


def test_steps_run_into_each_other() -> None:
    """Attempts of all steps come in the order of their times, and of the same time in the order of the file."""
    first, second = Past(step(confirmed=2, every="2h"), LOGIN), Past(step(failed=2, every="1h", ago="2h"), LOGIN)
    found = [(moment.past is first, moment.number, moment.at) for moment in moments([first, second], NOON)]
    hours = [NOON - timedelta(hours=h) for h in (4, 3, 2, 2)]
    assert found == [(True, 1, hours[0]), (False, 1, hours[1]), (True, 2, hours[2]), (False, 2, hours[3])]


def test_each_with_something_of_its_own() -> None:
    """What shall differ is numbered, an address is the next one, and what the request lacks is given to it."""
    tree = {**LOGIN, "context": {"ip": "255.255.255.255", "attributes": {"card": "4711", "cents": 10}}}
    different = ["subject", "ip", "device", "session", "recipient", "attributes.card", "attributes.cents"]
    past = Past(step(tried=2, ago="1h", different=different), tree)
    one, two = (request_at(differing(past, number), NOON) for number in (1, 2))
    assert (one.subject.id, two.subject.id) == ("a-1", "a-2")
    assert (one.context.ip, two.context.ip) == ("0.0.0.0", "0.0.0.1")
    assert (two.context.device_id, two.subject.session_id, two.action.recipient) == (
        "device_id-2",
        "session_id-2",
        "recipient-2",
    )
    assert (one.context.attributes, two.context.attributes) == (
        {"card": "4711-1", "cents": 11},
        {"card": "4711-2", "cents": 12},
    )
    assert tree["context"] == {"ip": "255.255.255.255", "attributes": {"card": "4711", "cents": 10}}


def test_addresses_of_the_new_kind_differ_by_networks() -> None:
    """IPv6 addresses of one /64 count as one, so different ones are of different networks."""
    past = Past(step(tried=2, ago="1h", different=["ip"]), {**LOGIN, "context": {"ip": "2a02:2f0b:8a08:1::7"}})
    assert differing(past, 2)["context"]["ip"] == "2a02:2f0b:8a08:3::7"


def test_times_relative_to_each_attempt() -> None:
    """`20s ago` is as of each attempt, and a request that says so is made anew for each."""
    past = Past(step(tried=2, every="1d"), {**LOGIN, "subject": {"id": "a", "auth_time": "20s ago"}})
    assert not is_the_same_at_all_times(past)
    assert is_the_same_at_all_times(Past(past.step, LOGIN))
    assert request_at(past.tree, NOON).subject.auth_time == NOON - timedelta(seconds=20)
    told = {**LOGIN, "subject": {"id": "a", "auth_time": "2026-11-01T00:00:00Z"}}
    assert request_at(told, NOON).subject.auth_time == datetime(2026, 11, 1, tzinfo=UTC)
