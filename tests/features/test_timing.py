"""Rhythm, gaps and round-trip time."""

from datetime import UTC, datetime
from math import cos, log, pi, sin
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.facts import SubjectHistory
from riskd.features.timing import (
    account_age_days,
    confirmed_successes,
    gap_since_success_hours,
    history_days,
    hour_deviation_hours,
    hour_of_day,
    rtt_deviation_sd,
)
from tests.attempts import attempt, history


def at_hours(*hours: float) -> SubjectHistory:
    """A history of confirmed successes at these hours of the day."""
    angles = [hour * pi / 12 for hour in hours]
    return history(hour_sin=sum(map(sin, angles)), hour_cos=sum(map(cos, angles)), hour_count=len(hours))


def at(hour: int, minute: int = 0) -> datetime:
    """A time of one day."""
    return datetime(2026, 3, 4, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("usual", "time", "hours"),
    [
        ([9.0] * 10, at(9), 0.0),
        ([9.0] * 10, at(12), 3.0),
        ([9.0] * 10, at(21), 12.0),
        ([9.0] * 10, at(9, 30), 0.5),
        ([23.0] * 5 + [1.0] * 5, at(0), 0.0),  # the mean of 23 and 1 is midnight, not noon
        ([23.5] * 12, at(0, 30), 1.0),  # across midnight
        ([0.5] * 12, at(23, 30), 1.0),
        ([9.0] * 9, at(21), None),  # too few
        ([0.0, 6.0, 12.0, 18.0] * 5, at(3), None),  # round the clock: no usual hour
    ],
)
def test_hour_deviation(usual: list[float], time: datetime, hours: float | None) -> None:
    """The distance goes around the clock; unknown below ten successes and for those spread over the day."""
    found = hour_deviation_hours(attempt(time=time, history=at_hours(*usual)))
    assert found is None if hours is None else found == pytest.approx(hours, abs=1e-6)


@given(st.floats(0, 23.99), st.integers(0, 23), st.integers(0, 59))
def test_hour_deviation_is_a_distance_on_the_clock(usual: float, hour: int, minute: int) -> None:
    """Whatever the hours, the deviation lies between 0 and 12."""
    found = hour_deviation_hours(attempt(time=at(hour, minute), history=at_hours(*[usual] * 20)))
    assert found is not None
    assert 0 <= found <= 12


def test_hour_of_day() -> None:
    """Minutes and seconds count as parts of the hour."""
    assert hour_of_day(attempt(time=datetime(2026, 3, 4, 13, 30, 36, tzinfo=UTC))) == pytest.approx(13.51)


def test_gaps_and_counts() -> None:
    """Ages come in the unit of the name; what never happened is unknown, but for a history's length, which is 0."""
    known = history(last_confirmed_age_s=7200.0, first_confirmed_age_s=86_400.0 * 30, confirmed=12)
    assert gap_since_success_hours(attempt(history=known)) == 2.0
    assert history_days(attempt(history=known)) == 30.0
    assert confirmed_successes(attempt(history=known)) == 12.0
    assert gap_since_success_hours(attempt(history=history())) is None
    assert history_days(attempt(history=history())) == 0.0
    assert confirmed_successes(attempt(history=history())) == 0.0
    assert account_age_days(attempt(subject={"account_age_days": 3.0})) == 3.0


@pytest.mark.parametrize(
    ("rtt_ms", "known", "sd"),
    [
        (20.0, {"rtt_count": 5, "rtt_mean_log_ms": log(20), "rtt_sd_log_ms": 0.5}, 0.0),
        (20 * 2.718281828, {"rtt_count": 5, "rtt_mean_log_ms": log(20), "rtt_sd_log_ms": 0.5}, 2.0),
        (20 / 2.718281828, {"rtt_count": 5, "rtt_mean_log_ms": log(20), "rtt_sd_log_ms": 0.5}, 2.0),
        # a subject whose round trips hardly vary is not judged by less than the usual spread
        (20 * 2.718281828, {"rtt_count": 5, "rtt_mean_log_ms": log(20), "rtt_sd_log_ms": 0.01}, 1 / 0.35),
        (20 * 2.718281828, {"rtt_count": 5, "rtt_mean_log_ms": log(20), "rtt_sd_log_ms": None}, 1 / 0.35),
        (0.0, {"rtt_count": 5, "rtt_mean_log_ms": 0.0, "rtt_sd_log_ms": 0.5}, 0.0),
        (20.0, {"rtt_count": 4, "rtt_mean_log_ms": log(20), "rtt_sd_log_ms": 0.5}, None),
        (20.0, {"rtt_count": 5, "rtt_mean_log_ms": None}, None),
        (None, {"rtt_count": 5, "rtt_mean_log_ms": log(20), "rtt_sd_log_ms": 0.5}, None),
    ],
)
def test_rtt_deviation(rtt_ms: float | None, known: dict[str, Any], sd: float | None) -> None:
    """Deviation is counted in the subject's own spread of ln(rtt), at least 0.35; unknown below five round trips."""
    found = rtt_deviation_sd(attempt(device={"rtt_ms": rtt_ms}, history=history(**known)))
    assert found is None if sd is None else found == pytest.approx(sd, abs=1e-6)
