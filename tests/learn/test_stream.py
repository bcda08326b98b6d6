"""The simulated stream: repeatable, in order, replacing and never adding, and each request is one riskd takes."""

from collections import Counter, defaultdict

import pytest

from riskd.contract import DecideRequest
from riskd.learn.simulate.attempt import CHANGE_PASSWORD, KINDS, LOGIN, TRANSFER, Attempt
from riskd.learn.simulate.people import Habits
from riskd.learn.simulate.stream import MOST_DAYS, Size, honest_attempts, simulate_stream
from riskd.learn.truth import HONEST

SIZE = Size(subjects=3000, days=120, seed=4)


@pytest.fixture(scope="module")
def stream() -> list[Attempt]:
    """A small world's attempts."""
    return list(simulate_stream(SIZE))


def test_the_same_seed_gives_the_same_stream(stream: list[Attempt]) -> None:
    """A size names one stream exactly; another seed gives another."""
    requests = [attempt.request(str(number)) for number, attempt in enumerate(stream[:500])]
    again = [attempt.request(str(number)) for number, attempt in enumerate(simulate_stream(SIZE)[:500])]
    assert requests == again
    other = simulate_stream(Size(subjects=3000, days=120, seed=5))
    assert [attempt.time for attempt in other[:50]] != [attempt.time for attempt in stream[:50]]


def test_in_order_and_within_the_days(stream: list[Attempt]) -> None:
    """Attempts come in the order of time, within the days that are played."""
    times = [attempt.time for attempt in stream]
    assert times == sorted(times)
    assert SIZE.start.timestamp() <= times[0]
    assert times[-1] < SIZE.end.timestamp()


def test_every_kind_of_attack_happens(stream: list[Attempt]) -> None:
    """Each kind is there, and honest attempts with typos among them are."""
    labels = Counter(attempt.label for attempt in stream)
    assert set(labels) == {HONEST, *KINDS}
    assert any(attempt.label == HONEST and not attempt.password_right for attempt in stream)


def test_attackers_replace_and_keep_the_time(stream: list[Attempt]) -> None:
    """An attack on an existing account stands at the very moment of an honest attempt, which is gone."""
    honest = {(attempt.subject, attempt.time) for attempt in honest_attempts(SIZE, Habits())}
    for attempt in stream:
        if not attempt.subject.startswith("unknown"):
            assert (attempt.subject, attempt.time) in honest
    moments = Counter((attempt.subject, attempt.time) for attempt in stream)
    assert max(moments.values()) == 1


def test_attackers_borrow_from_later_logins(stream: list[Attempt]) -> None:
    """No attack comes from an address that only attackers use: each is used by honest people later."""
    last_use: dict[str, float] = defaultdict(float)
    for attempt in honest_attempts(SIZE, Habits()):
        last_use[attempt.origin.ip] = max(last_use[attempt.origin.ip], attempt.time)
    attacks = [attempt for attempt in stream if attempt.label != HONEST and attempt.label not in {"stuffing", "spray"}]
    assert all(last_use[attempt.origin.ip] >= attempt.time for attempt in attacks)


def test_a_stolen_password_is_used_abroad_from_a_new_device(stream: list[Attempt]) -> None:
    """The country is not the victim's and the device id is nobody's."""
    owned = {attempt.device_id for attempt in stream if attempt.label == HONEST}
    stolen = [attempt for attempt in stream if attempt.label == "stolen_password"]
    assert all(attempt.origin.city.country != attempt.home.code for attempt in stolen)
    assert not owned & {attempt.device_id for attempt in stolen}


def test_a_targeted_login_looks_like_the_victim(stream: list[Attempt]) -> None:
    """It comes from the country where the victim was, with the browser that the victim used."""
    replaced = {(attempt.subject, attempt.time): attempt for attempt in honest_attempts(SIZE, Habits())}
    for attempt in stream:
        if attempt.label == "targeted":
            base = replaced[attempt.subject, attempt.time]
            assert attempt.origin.city.country == base.origin.city.country
            assert attempt.device.model == base.device.model
            assert attempt.device_id != base.device_id


def test_a_takeover_ends_in_a_payout(stream: list[Attempt]) -> None:
    """Login, contact, password, factor or payee, payout: in this order, one victim, one session."""
    takeovers = defaultdict(list)
    for attempt in stream:
        if attempt.label == "takeover":
            takeovers[attempt.sequence].append(attempt)
    for steps in takeovers.values():
        actions = [attempt.action for attempt in steps]
        assert len(actions) == 5
        assert (actions[0], actions[2], actions[4]) == (LOGIN, CHANGE_PASSWORD, TRANSFER)
        assert actions[1] in {"change_email", "change_phone"}
        assert len({(attempt.subject, attempt.session, attempt.device_id) for attempt in steps}) == 1


def test_campaigns_are_wide_and_mostly_fail(stream: list[Attempt]) -> None:
    """A campaign tries each account once, from few addresses, and hardly any password is right."""
    campaigns = defaultdict(list)
    for attempt in stream:
        if attempt.label in {"stuffing", "spray"}:
            campaigns[attempt.sequence].append(attempt)
    for attempts in campaigns.values():
        assert len({attempt.subject for attempt in attempts}) > len(attempts) * 0.9
        assert len(attempts) / len({attempt.origin.ip for attempt in attempts}) >= 60
        assert sum(attempt.password_right for attempt in attempts) <= len(attempts) * 0.1


def test_every_request_is_one_that_riskd_takes(stream: list[Attempt]) -> None:
    """Each attempt becomes a body that `/decide` accepts, word for word."""
    for number, attempt in enumerate(stream[:2000]):
        body = attempt.request(f"r{number}").model_dump_json(exclude_none=True)
        assert DecideRequest.model_validate_json(body).action.name == attempt.action


@pytest.mark.parametrize("size", [Size(subjects=0), Size(days=0), Size(days=MOST_DAYS + 1)])
def test_an_impossible_size_is_refused(size: Size) -> None:
    """No people, no days and more days than the world has are errors."""
    with pytest.raises(ValueError, match="at least one subject"):
        simulate_stream(size)


def test_one_person_is_enough() -> None:
    """The smallest world runs, with nobody to borrow from and so no attack."""
    stream = simulate_stream(Size(subjects=1, days=MOST_DAYS, seed=2))
    assert all(attempt.label == HONEST for attempt in stream)
