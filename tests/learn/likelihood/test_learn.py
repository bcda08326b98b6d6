"""The likelihood core's tables and weights are learnt from honest attempts, and nobody moves them far alone."""

from dataclasses import dataclass
from datetime import timedelta

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from bench.logins import with_histories
from riskd.facts import Facts
from riskd.features.likelihood import states as s
from riskd.features.likelihood.tables import Likelihood, Weights
from riskd.features.population import Population
from riskd.features.rarity import rarity_log_ratio
from riskd.learn.likelihood import fit, learn_population
from riskd.learn.likelihood.attackers import Attackers, Kind
from riskd.learn.likelihood.fit import USUAL_NATS, snapshots
from riskd.learn.likelihood.learn import BACK_OFF, MOST_ROWS
from tests.learn.likelihood.conftest import FAMILIES, START, login

MOST_MOVED = 1.5
"""Nats by which ten thousand attempts of one subject, from his own device, may move anybody else's ratio."""


@dataclass
class Learnt:
    """A population, and what it was learnt from."""

    population: Population
    honest: list[Facts]
    """Attempts after those it was learnt from."""

    def ratios(self, attempts: list[Facts]) -> list[float]:
        """The ratio of each, which must be known."""
        found = [rarity_log_ratio(one, self.population) for one in attempts]
        return [-99.0 if one is None else one for one in found]


def slices(log: list[Facts]) -> tuple[int, int]:
    """Where the attempts that fit the weights begin, and where they end."""
    return len(log) // 2, 3 * len(log) // 4


@pytest.fixture(scope="module")
def learnt(log: list[Facts]) -> Learnt:
    """What the first three quarters of the log teach, weights fitted as in a longer one."""
    split, end = slices(log)
    return Learnt(fitted(log[:end], split), log[end:])


def fitted(facts: list[Facts], split: int) -> Population:
    """Learn, and fit the weights to fewer attempts than are asked for otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "LEAST_ROWS", 1000)
        return learn_population(facts, split, native=True)


def tables(population: Population) -> Likelihood:
    """The population's tables, which must be there."""
    assert population.likelihood is not None
    return population.likelihood


def test_a_new_address_is_ordinary_after_weeks(learnt: Learnt) -> None:
    """The chance of a new address grows with the gap, as in the log."""
    place = tables(learnt.population).place[3]
    new = [sum(row[s.LAST_NETWORK :]) for row in place]
    assert new[1] < 0.1 < new[8]


def test_versions_drift_forward(learnt: Learnt) -> None:
    """The same version is usual after hours, and less so after ten days; an older one is rare."""
    drift = tables(learnt.population).drift
    assert drift[4][s.step(0)] > 0.9 > drift[8][s.step(0)]
    assert max(row[s.step(-1)] for row in drift) < 0.1


def test_the_threshold_transfers(learnt: Learnt) -> None:
    """About one later honest attempt in a hundred is above the nats that mean one in a hundred."""
    alarms = np.mean([ratio > USUAL_NATS for ratio in learnt.ratios(learnt.honest)])
    assert 0.002 < alarms < 0.03


@pytest.mark.parametrize(("kind", "area"), [("naive", 0.9), ("vpn", 0.85), ("very_targeted", 0.8)])
def test_attackers_are_told_from_subjects(kind: Kind, area: float, log: list[Facts], learnt: Learnt) -> None:
    """Attacks on later attempts have higher ratios than honest ones."""
    first = slices(log)[1]
    attacks = Attackers(log, first, len(log), until=len(log), seed=3).draw(kind, 200)
    met = [replace(a.facts, history=past.answer(a.facts)) for a, past, _ in snapshots(log, attacks)]
    honest, hostile = np.sort(learnt.ratios(learnt.honest)), learnt.ratios(met)
    assert float(np.searchsorted(honest, hostile).mean()) / len(honest) > area


def test_weights_are_fitted_where_enough_tell(log: list[Facts]) -> None:
    """With few later attempts the default weights stand, their scale too: nobody's rows are to move them."""
    split, end = slices(log)
    assert tables(learn_population(log[:end], split, native=True)).weights == Weights()


def test_it_is_small_and_holds_no_address(learnt: Learnt) -> None:
    """The tables take a few kilobytes, and nobody's address or token is in them."""
    raw = msgspec.json.encode(tables(learnt.population))
    assert len(raw) < 20_000
    assert not any(f'"{f.network.ip}"'.encode() in raw or f'"{f.subject.token}"'.encode() in raw for f in learnt.honest)


def test_learning_is_repeatable(log: list[Facts], learnt: Learnt) -> None:
    """The same attempts and seed give the same tables and weights."""
    split, end = slices(log)
    assert fitted(log[:end], split) == learnt.population


def test_one_subject_moves_nobody_far(log: list[Facts], learnt: Learnt) -> None:
    """Ten thousand confirmed attempts of one subject from his own device and networks move no other's ratio far."""
    split, end = slices(log)
    own = [
        login("thief", START + timedelta(minutes=number), "KP", f"{9000 + number % 3}.{number}", FAMILIES[2], 80)
        for number in range(10_000)
    ]
    told = with_histories(own)
    mixed = sorted([*log[:split], *told], key=lambda one: one.time)
    poisoned = fitted([*mixed, *log[split:end]], len(mixed))
    # The tables alone: the weights' scale is fitted to what most people do.
    same = [
        replace(p, likelihood=replace(tables(p), weights=Weights())) for p in (learnt.population, poisoned)
    ]  # fmt: skip
    others = learnt.honest[:1500]
    before, after = (np.array(Learnt(p, others).ratios(others)) for p in same)
    assert np.abs(after - before).max() < MOST_MOVED
    assert np.abs(after - before).mean() < 0.1
    moved = np.array(Learnt(poisoned, others).ratios(others)) - np.array(learnt.ratios(others))
    assert np.abs(moved).max() < 2 * MOST_MOVED


def test_a_subject_counts_once_per_value(log: list[Facts]) -> None:
    """The population counts subjects, not attempts."""
    split, end = slices(log)
    population = learn_population(log[:end], split, native=True)
    countries = {(f.subject.token, f.place.country) for f in log[:split]}
    assert population.country.total == len(countries)
    assert (MOST_ROWS + BACK_OFF) / BACK_OFF == 3


def test_too_few_attempts_claim_nothing(log: list[Facts]) -> None:
    """Without enough history there are no tables; with too few later attempts the default weights stand."""
    assert learn_population(log[:150], 150, native=True).likelihood is None
    assert learn_population([], 0, native=True).empty
    split = len(log) // 2
    assert tables(learn_population(log[:split], split, native=True)).weights == Weights()
