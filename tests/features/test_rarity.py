"""The log likelihood ratio of an attempt, attackers against the subject."""

from datetime import UTC, datetime
from math import cos, isclose, isfinite, log, pi, sin
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from riskd.facts import DeviceFacts, Facts, NetworkFacts, PlaceFacts
from riskd.features.likelihood.ratio import place_ratios
from riskd.features.likelihood.states import MEMORY_S
from riskd.features.population import Population
from riskd.features.rarity import rarity_log_ratio
from tests.attempts import attempt, history
from tests.features.likelihood.learnt import (
    AT_HOME,
    DAY_S,
    MINUTE_S,
    NEW_CLIENT,
    NEW_COUNTRY,
    NEW_FAMILY,
    NEW_IP,
    NEW_NETWORK,
    NEW_OS,
    POPULATION,
    USUAL,
)

ABROAD: dict[str, Any] = {"place": {"country": "SE"}, "network": {"ip": "hotel", "key": "AS2"}}


def facts_of(known: dict[str, Any], **groups: Any) -> Facts:  # noqa: ANN401
    """An attempt at home, but for `groups`, by a subject with this history."""
    return attempt(history=history(**known), **{**AT_HOME, **groups})


def ratio(known: dict[str, Any], population: Population = POPULATION, **groups: Any) -> float:  # noqa: ANN401
    """The ratio of an attempt at home, but for `groups`, by a subject with this history; it must be known."""
    found = rarity_log_ratio(facts_of(known, **groups), population)
    assert found is not None
    return found


def test_at_home_is_more_like_the_subject() -> None:
    """What the subject always shows is likelier for the subject than for any attacker: below 0."""
    assert ratio(USUAL) < 0


def test_a_stranger_is_more_like_an_attacker() -> None:
    """Another country is above 0, with another client too far above."""
    abroad, stranger = ratio({**USUAL, **NEW_COUNTRY}, **ABROAD), ratio({**USUAL, **NEW_COUNTRY, **NEW_OS}, **ABROAD)
    assert 0 < abroad < stranger


@pytest.mark.parametrize("new", [NEW_IP, NEW_NETWORK, NEW_COUNTRY])
def test_a_change_is_odder_the_sooner_it_comes(new: dict[str, Any]) -> None:
    """A new address, network or country after four minutes is odder than after a day, and that than after forty."""

    def after(gap_s: float) -> float:
        ages = {name: gap_s for name in USUAL if name.endswith("age_s") and not name.startswith("first")}
        return ratio({**USUAL, **ages, **new})

    assert after(4 * MINUTE_S) > after(DAY_S) > after(40 * DAY_S)


def test_version_drift_is_cheap_and_another_family_dear() -> None:
    """On a client that is known a newer browser costs little, an older one more, another family most."""
    known, device = {**USUAL, **NEW_COUNTRY}, AT_HOME["device"]
    same = ratio(known)
    newer = ratio(known, device={**device, "browser_major": 121})
    older = ratio(known, device={**device, "browser_major": 100})
    other = ratio({**known, **NEW_OS}, device={**device, "family": "Linux|Firefox", "os_family": "Linux"})
    assert same < newer < older < other
    assert newer - same < 0.5 * (other - same)


def test_the_client_backs_off_level_by_level() -> None:
    """With a place that is new, each level of the client that is new makes a stranger likelier."""
    levels = [{}, NEW_CLIENT, NEW_FAMILY, NEW_OS, {**NEW_OS, "kind_count": 0}]
    found = [ratio({**USUAL, **NEW_NETWORK, **new}) for new in levels]
    assert found == sorted(found)


def test_without_history_the_place_is_compared_with_the_population() -> None:
    """A stranger from a rare network of a rare country is odd, from the usual one he is not; unknown without either."""
    usual = ratio({}, place={"country": "NO"}, network={"ip": "x", "key": "AS1"})
    rare = ratio({}, place={"country": "KP"}, network={"ip": "x", "key": "AS3"})
    assert usual < 1 < rare
    for groups in ({"place": {}}, {"network": {"ip": "x"}}):
        assert rarity_log_ratio(facts_of({}, **groups), POPULATION) is None


def test_who_was_away_too_long_has_no_habits() -> None:
    """After more than the memory of habits a subject is as good as new."""
    gone = {"confirmed": 40, "last_confirmed_age_s": MEMORY_S + 1}
    assert isclose(ratio(gone), ratio({}))


def test_a_simulated_population_knows_no_rare_places() -> None:
    """Networks of a simulation are nobody's: without history the ratio is unknown, and a rare network says nothing."""
    simulated = replace(POPULATION, native=False)
    assert rarity_log_ratio(facts_of({}), simulated) is None
    known = {**USUAL, **NEW_COUNTRY}
    rare = {"place": {"country": "SE"}, "network": {"ip": "x", "key": "AS999"}}
    assert ratio(known, simulated, **rare) == ratio(known, simulated, **ABROAD)
    assert ratio(known, POPULATION, **rare) > ratio(known, POPULATION, **ABROAD)


def test_by_hand() -> None:
    """A new country with the usual client of the last success, added up by hand."""
    likelihood = POPULATION.likelihood
    assert likelihood is not None
    w = replace(likelihood.weights, hour=0.0, rare=0.0)
    population = replace(POPULATION, native=False, likelihood=replace(likelihood, weights=w))
    gap = 41_000.0  # the typical gap of its class, so that nothing is interpolated
    known = {**USUAL, **NEW_COUNTRY, "last_confirmed_age_s": gap, "client_age_s": gap}
    p_new = likelihood.place[0][5][6]
    everybody = (600.5 / 1000.5) * 0.5
    strange = everybody / 0.8 * 0.3 / 0.6
    imitated = 1 - w.stale + w.stale * 0.4 / 0.6
    by_hand = log(w.naive / p_new * strange + w.targeted * imitated)
    assert isclose(ratio(known, population, device={**AT_HOME["device"], "rtt_ms": None}), by_hand)


def test_habits_of_an_earlier_version() -> None:
    """Where no clients were kept yet the families stand in for them, and nothing is new for want of them."""
    earlier = {
        **USUAL, "known_clients": 0, "client_age_s": None, "client_count": 0, "client_major": None, "os_count": 0,
        "kind_count": 0, "ip_count": 0,
    }  # fmt: skip
    assert ratio(earlier) < 0
    assert ratio({**earlier, **NEW_FAMILY}) > ratio(earlier)


def test_unknown_without_tables_history_or_address() -> None:
    """Without learnt tables, a history or, where addresses are known, an address, the ratio is unknown."""
    assert rarity_log_ratio(facts_of(USUAL), Population()) is None
    assert rarity_log_ratio(facts_of(USUAL), replace(POPULATION, likelihood=None)) is None
    assert rarity_log_ratio(attempt(**AT_HOME), POPULATION) is None
    assert rarity_log_ratio(facts_of(USUAL, network={"key": "AS1"}), POPULATION) is None


def test_the_hour_counts() -> None:
    """An attempt at the usual hour is likelier for the subject, one at night less."""
    angle = 9 * pi / 12
    at_nine = {"hour_sin": 40 * sin(angle), "hour_cos": 40 * cos(angle), "hour_count": 40}
    nine = ratio({**USUAL, **at_nine}, time=datetime(2026, 3, 4, 9, tzinfo=UTC))
    night = ratio({**USUAL, **at_nine}, time=datetime(2026, 3, 4, 21, tzinfo=UTC))
    assert nine < ratio(USUAL) < night


def test_an_unusual_round_trip_counts() -> None:
    """A round trip unlike the subject's is odder than a usual one, which is worth as much as none."""
    known = {**USUAL, "rtt_count": 40, "rtt_mean_log_ms": log(20.0)}
    usual, slow, untold = (
        ratio(known, device={**AT_HOME["device"], "rtt_ms": rtt_ms}) for rtt_ms in (20.0, 200.0, None)
    )
    assert usual == untold < slow <= untold + 3


ages = st.none() | st.floats(0, 400 * DAY_S)
counts = st.integers(0, 500)
histories = st.fixed_dictionaries(
    {
        "confirmed": counts,
        "last_confirmed_age_s": st.floats(0, 400 * DAY_S),
        **{name: counts for name in USUAL if name.endswith("_count") or name.startswith("known_")},
        **{f"{kind}_age_s": ages for kind in ("ip", "network", "country", "client", "family")},
        "client_major": st.none() | st.integers(0, 200),
        "hour_sin": st.floats(-500, 500),
        "hour_cos": st.floats(-500, 500),
        "hour_count": counts,
        "rtt_count": counts,
        "rtt_mean_log_ms": st.none() | st.floats(-2, 12),
    }
)
attempts = st.builds(
    lambda known, network, place, device: attempt(
        history=history(**known), network=network, place=place, device=device
    ),
    histories,
    st.builds(NetworkFacts, ip=st.sampled_from([None, "home"]), key=st.sampled_from([None, "AS1", "AS3", "AS999"])),
    st.builds(PlaceFacts, country=st.sampled_from([None, "NO", "KP", "XX"])),
    st.builds(
        DeviceFacts,
        family=st.sampled_from([None, "Windows|Chrome", "Linux|Firefox", "X|Y"]),
        os_family=st.sampled_from([None, "Windows", "Linux", "X"]),
        kind=st.sampled_from([None, "desktop", "other"]),
        browser_major=st.none() | st.integers(0, 200),
        rtt_ms=st.none() | st.floats(0, 1e6),
    ),
)
populations = st.sampled_from([POPULATION, replace(POPULATION, native=False)])


@given(attempts, populations)
def test_always_finite(facts: Facts, population: Population) -> None:
    """Whatever is known, the ratio is unknown or a finite number."""
    found = rarity_log_ratio(facts, population)
    assert found is None or isfinite(found)


FIELDS = [
    ("network", "ip"), ("network", "key"), ("place", "country"), ("device", "family"), ("device", "os_family"),
    ("device", "kind"), ("device", "browser_major"), ("device", "rtt_ms"),
]  # fmt: skip


@given(attempts, populations, st.sets(st.sampled_from(FIELDS), min_size=1))
def test_knowing_less_never_raises_the_ratio(
    facts: Facts, population: Population, fields: set[tuple[str, str]]
) -> None:
    """Take any of what is presented away: the ratio falls, stays, or becomes unknown; an unknown one stays so."""
    less = facts
    for group, field in fields:
        less = replace(less, **{group: replace(getattr(less, group), **{field: None})})
    before, after = rarity_log_ratio(facts, population), rarity_log_ratio(less, population)
    assume(after is not None)
    assert before is not None
    assert after is not None
    assert after <= before + 1e-9


@given(attempts, populations, st.sampled_from(["ip", "network", "country"]))
def test_a_place_of_old_is_no_likelier_for_the_subject(facts: Facts, population: Population, kind: str) -> None:
    """What was there at the last success, seen long before it instead: no stranger becomes less likely."""
    past, tables = facts.history, population.likelihood
    assert past is not None
    assert tables is not None
    assume(past.confirmed and past.last_confirmed_age_s is not None and getattr(past, f"{kind}_age_s") is not None)
    last_s = past.last_confirmed_age_s or 0.0
    fresh, old = (replace(past, **{f"{kind}_age_s": age_s}) for age_s in (last_s, last_s + 60))
    before, after = (place_ratios(facts, history, population, tables) for history in (fresh, old))
    if before is not None:
        assert after is not None
        assert after[0] >= before[0] * (1 - 1e-9)
        assert after[1] >= before[1] * (1 - 1e-9)
