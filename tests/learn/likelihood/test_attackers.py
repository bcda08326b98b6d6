"""Attackers replace an attempt and present what their kind presents."""

import pytest

from riskd.facts import Facts
from riskd.learn.likelihood.attackers import KINDS, Attackers, Kind
from riskd.learn.likelihood.fit import snapshots


@pytest.fixture(scope="module")
def attackers(log: list[Facts]) -> Attackers:
    """Attackers on the last third."""
    return Attackers(log, 2 * len(log) // 3, len(log), until=len(log), seed=1)


@pytest.mark.parametrize("kind", KINDS)
def test_they_replace_an_attempt(kind: Kind, log: list[Facts], attackers: Attackers) -> None:
    """Each attack stands in for an attempt of the slice: the victim's, and, but for a clone, at its time."""
    drawn = attackers.draw(kind, 60)
    assert len(drawn) == 60
    for attack in drawn:
        victim = log[attack.victim]
        assert attack.victim >= 2 * len(log) // 3
        assert (attack.kind, attack.facts.subject) == (kind, victim.subject)
        if kind != "clone":
            assert (attack.facts.time, attack.before) == (victim.time, attack.victim)


def test_each_kind_presents_its_own(log: list[Facts], attackers: Attackers) -> None:
    """VPN: the victim's country. Targeted: his network and client. Very targeted: his client, mostly from Romania."""
    for attack in attackers.draw("vpn", 60):
        assert attack.facts.place.country == log[attack.victim].place.country
    for kind in ("targeted", "very_targeted"):
        for attack in attackers.draw(kind, 60):
            assert attack.facts.device.client == log[attack.victim].device.client
            if kind == "targeted":
                assert attack.facts.network.key == log[attack.victim].network.key
    takeovers = attackers.draw("very_targeted", 200)
    assert sum(attack.facts.place.country == "RO" for attack in takeovers) > 80
    cold = sum((log[attack.victim].history or attack.facts.history).confirmed == 0 for attack in takeovers)  # type: ignore[union-attr]
    assert 40 < cold < 100


def test_the_same_seed_draws_the_same(log: list[Facts]) -> None:
    """Another seed draws others."""
    drawn = [Attackers(log, 6000, 8000, until=8000, seed=seed).draw("naive", 20) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_past_that_they_meet(log: list[Facts], attackers: Attackers) -> None:
    """A victim's past holds what was confirmed before the attack, and no attack."""
    attacks = attackers.draw("naive", 40)
    for attack, past, whole in snapshots(log, attacks):
        assert whole
        history = log[attack.victim].history
        assert history is not None
        assert past.confirmed == history.confirmed
        assert past.within(history, log[attack.victim]) == history


def test_too_small_a_log_has_no_attackers(log: list[Facts]) -> None:
    """Without victims or donors nothing is drawn."""
    assert Attackers(log[:1], 0, 1, until=1, seed=1).draw("naive", 5) == []
    assert Attackers([], 0, 0, until=0, seed=1).draw("very_targeted", 5) == []
