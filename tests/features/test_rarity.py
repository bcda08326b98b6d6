"""The log likelihood ratio of an attempt, everybody against the subject."""

from datetime import UTC, datetime
from math import cos, isclose, log, pi, sin
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.features.population import Population, Table
from riskd.features.rarity import rarity_log_ratio
from tests.attempts import NOON, attempt, history

POPULATION = Population(
    country=Table(counts={"NO": 900, "SE": 90, "KP": 1}, total=1000),
    network=Table(counts={"AS1": 500, "AS2": 60, "AS3": 1}, total=1000),
    family=Table(counts={"Windows|Chrome": 600, "Linux|Firefox": 10}, total=1000),
)
USUAL: dict[str, Any] = {
    "confirmed": 40,
    "known_countries": 1,
    "country_count": 40,
    "known_networks": 1,
    "network_count": 40,
    "known_families": 1,
    "family_count": 40,
}
AT_HOME: dict[str, Any] = {
    "place": {"country": "NO"},
    "network": {"key": "AS1"},
    "device": {"family": "Windows|Chrome"},
}


def ratio(known: dict[str, Any], population: Population = POPULATION, **groups: Any) -> float | None:  # noqa: ANN401
    """The ratio of an attempt at home, but for `groups`, by a subject with this history."""
    return rarity_log_ratio(attempt(history=history(**known), **{**AT_HOME, **groups}), population)


def test_at_home_is_more_like_the_subject() -> None:
    """What the subject always shows is likelier for the subject than for everybody: below 0."""
    found = ratio(USUAL)
    assert found is not None
    assert found < 0


def test_a_stranger_is_more_like_anybody() -> None:
    """Another country, network and family than the subject ever showed are above 0, and rising with each."""
    abroad = {**USUAL, "country_count": 0, "network_count": 0}
    stranger = {**abroad, "family_count": 0}
    groups = {"place": {"country": "SE"}, "network": {"key": "AS2"}}
    one, two = ratio(abroad, **groups), ratio(stranger, **groups)
    assert one is not None
    assert two is not None
    assert 0 < one < two


def test_a_new_network_of_the_usual_country_is_a_small_surprise() -> None:
    """The subject's network backs off to the country, so at home a new network weighs less than one abroad."""
    at_home = ratio({**USUAL, "network_count": 0}, network={"key": "AS2"})
    abroad = ratio({**USUAL, "network_count": 0, "country_count": 0}, network={"key": "AS2"}, place={"country": "SE"})
    assert at_home is not None
    assert abroad is not None
    assert at_home < abroad


def test_more_history_makes_the_unusual_rarer() -> None:
    """Two successes prove no habit, forty do."""
    only_family = {"known_families": 1, "family_count": 0}
    few, many = ratio({"confirmed": 2, **only_family}), ratio({"confirmed": 40, **only_family})
    assert few is not None
    assert many is not None
    assert 0 < few < many


def test_a_country_alone_is_compared() -> None:
    """Where no network is known the country alone decides."""
    abroad = ratio({"confirmed": 40, "known_countries": 1, "country_count": 0}, network={})
    at_home = ratio({"confirmed": 40, "known_countries": 1, "country_count": 40}, network={})
    assert abroad is not None
    assert at_home is not None
    assert at_home < 0 < abroad


def test_back_off_by_hand() -> None:
    """The family's part is ln of the population's share over (count + share) / (total + 1)."""
    everybody = 600.5 / 1000.5
    by_hand = log(everybody / ((10 + everybody) / (40 + 1)))
    found = ratio({**USUAL, "family_count": 10, "known_countries": 0, "known_networks": 0})
    assert found is not None
    assert isclose(found, by_hand)


@pytest.mark.parametrize(
    ("known", "groups"),
    [
        ({"confirmed": 0}, {}),
        ({"confirmed": 5}, {"place": {}, "network": {}, "device": {}}),
        ({"confirmed": 5}, {}),  # nothing of each kind is known
    ],
)
def test_unknown_without_habits(known: dict[str, Any], groups: dict[str, Any]) -> None:
    """Without confirmed history, or with nothing to compare, the ratio is unknown."""
    assert ratio(known, **groups) is None


def test_unknown_without_population_or_history() -> None:
    """Without the tables of a model, or without a history, the ratio is unknown."""
    assert ratio(USUAL, Population()) is None
    assert rarity_log_ratio(attempt(**AT_HOME), POPULATION) is None


def at_nine(count: int) -> dict[str, Any]:
    """Confirmed successes at nine in the morning."""
    angle = 9 * pi / 12
    return {"hour_sin": count * sin(angle), "hour_cos": count * cos(angle), "hour_count": count}


def test_the_hour_counts() -> None:
    """An attempt at the usual hour is likelier for the subject, one at night less; below ten successes neither is."""
    nine = ratio({**USUAL, **at_nine(40)}, time=datetime(2026, 3, 4, 9, tzinfo=UTC))
    night = ratio({**USUAL, **at_nine(40)}, time=datetime(2026, 3, 4, 21, tzinfo=UTC))
    without = ratio(USUAL)
    assert nine is not None
    assert night is not None
    assert without is not None
    assert nine < without < night
    assert ratio({**USUAL, **at_nine(9)}) == without


@given(
    st.integers(1, 500),
    st.integers(0, 500),
    st.sampled_from(["NO", "SE", "KP", "XX"]),
    st.sampled_from(["AS1", "AS3", "AS999"]),
    st.floats(-1, 1),
    st.floats(-1, 1),
)
def test_always_finite(confirmed: int, count: int, country: str, network: str, sine: float, cosine: float) -> None:
    """Whatever the counts, the ratio is a finite number."""
    seen = min(count, confirmed)
    known = {
        **USUAL,
        "confirmed": confirmed,
        "country_count": seen,
        "network_count": seen,
        "family_count": seen,
        "hour_count": confirmed,
        "hour_sin": sine * confirmed,
        "hour_cos": cosine * confirmed,
    }
    found = ratio(known, place={"country": country}, network={"key": network}, time=NOON)
    assert found is not None
    assert abs(found) < 100
