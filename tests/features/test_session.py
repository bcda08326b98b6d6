"""Hops, concurrent sessions, replays, account changes and reports."""

from typing import Any

import pytest

from riskd.facts import PayloadSeen
from riskd.features.session import (
    confirmed_safe_days,
    credential_change_hours,
    replay_age_s,
    reported_days,
    session_distance_km,
    session_hop_age_s,
    sessions_together_age_s,
    success_after_failures_hours,
    takeover_steps_1d,
)
from tests.attempts import attempt, history, live_session

OSLO = {"latitude": 59.91, "longitude": 10.75, "accuracy_km": 0.0}
NEW_YORK = (40.71, -74.01)
BERGEN = (60.39, 5.32)
HOUR_S = 3600.0
WITH_SESSION = {"token": "t", "session": "s"}


def test_session_hop() -> None:
    """The age of the hop, -1 when there was none; unknown without a session id or history."""
    hopped = history(session_hop_age_s=30.0)
    assert session_hop_age_s(attempt(subject=WITH_SESSION, history=hopped)) == 30.0
    assert session_hop_age_s(attempt(subject=WITH_SESSION, history=history())) == -1.0
    assert session_hop_age_s(attempt(history=hopped)) is None
    assert session_hop_age_s(attempt(subject=WITH_SESSION)) is None


@pytest.mark.parametrize(
    ("sessions", "km"),
    [
        ((), 0.0),
        ((live_session(*BERGEN),), 305.0),
        ((live_session(*BERGEN), live_session(*NEW_YORK)), 5_917.0),
        ((live_session(*NEW_YORK, vague=True),), 0.0),
        ((live_session(None, None),), 0.0),
        ((live_session(*BERGEN, accuracy_km=100.0),), 205.0),
    ],
)
def test_session_distance(sessions: tuple[Any, ...], km: float) -> None:
    """The farthest other session that has a place counts, radii taken off."""
    assert session_distance_km(attempt(place=OSLO, history=history(sessions=sessions))) == pytest.approx(km, abs=5)


def test_session_distance_needs_a_place() -> None:
    """Unknown without coordinates, history, or behind a VPN."""
    far = history(sessions=(live_session(*NEW_YORK),))
    assert session_distance_km(attempt(history=far)) is None
    assert session_distance_km(attempt(place=OSLO)) is None
    assert session_distance_km(attempt(place=OSLO, history=far, network={"proxy": True})) is None


@pytest.mark.parametrize(
    ("payload", "earlier_s", "age_s"),
    [
        (PayloadSeen(5.0, elsewhere=True), None, 0.0),
        (PayloadSeen(5.0, elsewhere=True), 900.0, 0.0),
        (PayloadSeen(5.0, elsewhere=False), None, -1.0),
        (PayloadSeen(None, elsewhere=False), 900.0, 900.0),
        (None, 900.0, 900.0),
        (None, None, None),
    ],
)
def test_replay(payload: PayloadSeen | None, earlier_s: float | None, age_s: float | None) -> None:
    """A payload that came from elsewhere is replayed now; an earlier replay keeps its age; -1 says there was none."""
    assert replay_age_s(attempt(payload=payload, history=history(replayed_age_s=earlier_s))) == age_s


def test_replay_without_history() -> None:
    """The payload alone can say it, for an anonymous subject too."""
    assert replay_age_s(attempt(payload=PayloadSeen(5.0, elsewhere=True))) == 0.0
    assert replay_age_s(attempt()) is None


@pytest.mark.parametrize(
    ("known", "steps"),
    [
        ({}, 0.0),
        ({"contact_change_age_s": 25 * HOUR_S, "password_change_age_s": HOUR_S, "factor_change_age_s": 0.0}, 0.0),
        ({"contact_change_age_s": 24 * HOUR_S}, 1.0),
        ({"contact_change_age_s": HOUR_S}, 1.0),
        ({"contact_change_age_s": HOUR_S, "password_change_age_s": 2 * HOUR_S}, 2.0),  # contact changed once more
        ({"contact_change_age_s": 2 * HOUR_S, "password_change_age_s": HOUR_S}, 2.0),
        ({"contact_change_age_s": HOUR_S, "password_change_age_s": HOUR_S}, 2.0),  # both at once
        ({"contact_change_age_s": 3 * HOUR_S, "password_change_age_s": HOUR_S, "factor_change_age_s": 2 * HOUR_S}, 3.0),
        ({"password_change_age_s": 2 * HOUR_S, "factor_change_age_s": HOUR_S}, 0.0),
        ({"contact_change_age_s": 3 * HOUR_S, "password_change_age_s": 2 * HOUR_S, "factor_change_age_s": HOUR_S}, 3.0),
        ({"contact_change_age_s": 3 * HOUR_S, "password_change_age_s": 2 * HOUR_S, "recipient_added_age_s": 0.0}, 3.0),
    ],
)
def test_takeover_steps(known: dict[str, Any], steps: float) -> None:
    """Contact, password, and factor or payee within a day; repeating a step does not hide the others."""
    assert takeover_steps_1d(attempt(history=history(**known))) == steps


def test_ages_of_changes_and_reports() -> None:
    """Ages come in the unit of the name; ten years stand for never."""
    known = history(
        success_after_failures_age_s=1800.0,
        contact_change_age_s=7200.0,
        password_change_age_s=3600.0,
        reported_age_s=86_400.0,
    )
    assert success_after_failures_hours(attempt(history=known)) == 0.5
    assert credential_change_hours(attempt(history=known)) == 1.0
    assert reported_days(attempt(history=known)) == 1.0
    assert success_after_failures_hours(attempt(history=history())) == 87_600.0
    assert credential_change_hours(attempt(history=history())) == 87_600.0
    assert reported_days(attempt(history=history())) == 3650.0


@pytest.mark.parametrize(
    ("known", "reported", "safe"),
    [
        ({}, 3650.0, 3650.0),
        ({"reported_age_s": 2 * 86_400.0}, 2.0, 3650.0),
        ({"reported_age_s": 2 * 86_400.0, "last_confirmed_age_s": 3 * 86_400.0}, 2.0, 3650.0),
        ({"reported_age_s": 2 * 86_400.0, "last_confirmed_age_s": 86_400.0}, 3650.0, 3650.0),
        ({"reported_age_s": 2 * 86_400.0, "confirmed_safe_age_s": 86_400.0}, 2.0, 1.0),
        ({"reported_age_s": 2 * 86_400.0, "last_confirmed_age_s": 0.0, "confirmed_safe_age_s": 86_400.0}, 2.0, 1.0),
    ],
)
def test_a_success_answers_a_report_that_is_not_set_aside(known: dict[str, Any], reported: float, safe: float) -> None:
    """A later success answers a report, but one that was let in because somebody vouched for the subject does not."""
    facts = attempt(history=history(**known))
    assert (reported_days(facts), confirmed_safe_days(facts)) == (reported, safe)


@pytest.mark.parametrize(
    ("subject", "own_s", "others_s", "age_s"),
    [
        (WITH_SESSION, 600.0, (3600.0,), 600.0),  # this session is the younger
        (WITH_SESSION, 3600.0, (600.0,), 600.0),  # the other is
        (WITH_SESSION, 3600.0, (600.0, 60.0), 60.0),
        (WITH_SESSION, None, (3600.0,), 0.0),  # this session begins now
        (WITH_SESSION, 600.0, (), 600.0),
        # without a session id there is no age of one's own, and evidence need only be later than the other session
        ({"token": "t"}, None, (3600.0,), 3600.0),
        ({"token": "t"}, None, (), 0.0),
    ],
)
def test_sessions_together(
    subject: dict[str, Any], own_s: float | None, others_s: tuple[float, ...], age_s: float
) -> None:
    """Sessions are together since the younger of them began."""
    others = tuple(live_session(*NEW_YORK, started_age_s=started) for started in others_s)
    facts = attempt(subject=subject, history=history(session_age_s=own_s, sessions=others))
    assert sessions_together_age_s(facts) == age_s
