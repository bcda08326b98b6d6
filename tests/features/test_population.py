"""Rarity tables: counts, smoothing and bounds."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.facts import Facts
from riskd.features.device import family_rarity_nats
from riskd.features.network import network_rarity_nats
from riskd.features.place import country_rarity_nats
from riskd.features.population import HOURS, MOST_VALUES, Population, Table, hour_shares
from tests.attempts import attempt

Rarity = Callable[[Facts, Population], float | None]


def test_common_is_likelier_than_rare_than_never_seen() -> None:
    """A value's probability follows its count, and a value never seen is rarer than one seen once."""
    table = Table.of(["NO"] * 90 + ["SE"] * 9 + ["DE", None])
    assert table.total == 100
    assert table.probability("NO") > table.probability("SE") > table.probability("DE") > table.probability("US") > 0


def test_empty_table_says_nothing() -> None:
    """Without any count everything has probability 1, which is 0 nats."""
    assert Table().nats("NO") == 0.0
    assert Population().empty
    assert not Population(country=Table.of(["NO"])).empty


@pytest.mark.parametrize(
    ("rarity", "of", "group", "field"),
    [
        (country_rarity_nats, "country", "place", "country"),
        (network_rarity_nats, "network", "network", "key"),
        (family_rarity_nats, "family", "device", "family"),
    ],
)
def test_rarity_follows_the_table(rarity: Rarity, of: str, group: str, field: str) -> None:
    """What few show is rarer than what most show, and rarity is unknown without a table or a value."""
    population = Population(**{of: Table.of(["usual"] * 99 + ["odd"])})
    rare, common = (rarity(attempt(**{group: {field: value}}), population) for value in ("odd", "usual"))
    assert rare is not None
    assert common is not None
    assert rare > common >= 0
    assert rarity(attempt(), population) is None
    assert rarity(attempt(**{group: {field: "usual"}}), Population()) is None


def test_table_keeps_the_most_common() -> None:
    """A table is bounded; values that were dropped stay in the total and count as never seen."""
    values = [f"AS{number}" for number in range(MOST_VALUES + 50)] + ["AS1"]
    table = Table.of(values)
    assert len(table.counts) == MOST_VALUES
    assert table.total == MOST_VALUES + 51
    assert table.counts["AS1"] == 2


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=60))
def test_probabilities_are_probabilities(values: list[str | None]) -> None:
    """Whatever is counted, every probability lies above 0 and at most at 1."""
    table = Table.of(values)
    seen = [table.probability(value) for value in Counter(v for v in values if v is not None)]
    assert all(0 < share <= 1 for share in [*seen, table.probability("never")])
    assert table.nats("never") >= 0


@given(st.lists(st.integers(0, HOURS - 1), max_size=100))
def test_hours_add_up(hours: list[int]) -> None:
    """The 24 hour shares add up to 1, and no hour is impossible."""
    shares = hour_shares(hours)
    assert len(shares) == HOURS
    assert sum(shares) == pytest.approx(1.0)
    assert min(shares) > 0
