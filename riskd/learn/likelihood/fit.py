"""The attackers' weights, fitted to a deployment on its later attempts, some of which simulated attackers replace.

Balanced catch: the smallest catch over its goal is made as large as it gets, from the default weights, to which a
penalty holds on. Their common scale is set so that one honest attempt in a hundred is above `USUAL_NATS`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil, exp, isfinite, log
from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from riskd.facts import Facts
from riskd.features.likelihood import ratio
from riskd.features.likelihood.states import settled
from riskd.features.likelihood.tables import Likelihood, Weights
from riskd.features.population import Population
from riskd.learn.likelihood.attackers import Attack, Attackers, Kind, Whose
from riskd.learn.likelihood.past import Past

USUAL_NATS: Final = 3.0
"""What one honest attempt in a hundred exceeds."""
LEAST_ROWS: Final = 5000
"""Honest attempts below which the default weights stand, their scale too. One false alarm in a hundred is then told by
fewer than fifty attempts: what is fitted to them follows chance, or the few rows of one who floods the log."""
LEAST_ATTACKS: Final = 200
MOST_HONEST: Final = 20_000
ATTACKS: Final = 2500
"""Attacks of each kind and imitation."""
GOALS: Final[dict[Kind, tuple[float, float]]] = {
    "naive": (0.55, 0.965), "vpn": (0.48, 0.95), "targeted": (0.10, 0.75), "very_targeted": (0.65, 0.95),
}  # fmt: skip
"""Catch at 1 % false alarms, and area under the curve."""
IMITATIONS: Final[tuple[Whose, ...]] = ("replaced", "earlier")
STEPS: Final = 400
_FITTED: Final = ("naive", "vpn", "targeted", "rare", "cold", "cold_rare", "stale")
_RATES: Final = (0.006, 0.007, 0.0085, 0.01, 0.012, 0.0145, 0.017)
"""False alarms around one in a hundred: a catch at one rate alone would be fitted to its last few rows."""
_SHARP: Final = 8.0
"""Sharpness of the soft minimum over attackers."""
_HOLD: Final = 0.01
"""Penalty per squared nat of departure from the default weights."""
_ENOUGH: Final = 1.6
"""A catch this many times its goal is good enough."""

Numbers = npt.NDArray[np.float64]


def fit_weights(
    facts: Sequence[Facts], split: int, population: Population, likelihood: Likelihood, seed: int
) -> Likelihood:
    """Return the likelihood with weights fitted on the attempts from `split` on, or as it is where they are too few."""
    stride = max(1, (len(facts) - split) // MOST_HONEST)
    honest = list(islice((f for f in facts[split:] if f.history is not None), 0, None, stride))
    if len(honest) < LEAST_ROWS:
        return likelihood
    told = _parts(honest, population, likelihood)
    attacks = _replaced(facts, split, seed)
    groups = []
    for kind in GOALS:
        if kind == "very_targeted" and not population.native:
            continue  # Rarity says nothing there.
        for drawn in attacks:
            of_kind = [attack for attack in drawn if attack.kind == kind]
            if len(of_kind) >= LEAST_ATTACKS:
                groups.append((GOALS[kind], _parts([attack.facts for attack in of_kind], population, likelihood)))
    weights = _best(told, groups, likelihood.weights, seed) if groups else likelihood.weights
    return replace(likelihood, weights=_scaled(weights, told))


def snapshots(facts: Sequence[Facts], attacks: Sequence[Attack]) -> Iterator[tuple[Attack, Past, bool]]:
    """Yield each attack, in the order of time, with the victim's past, and whether that past is known from the start.

    Attacks teach nothing. A past whose confirmed attempts lie before the log, or outside its sample, is not whole.
    """
    pasts: dict[str, Past] = {}
    done = 0
    for attack in sorted(attacks, key=lambda one: one.before):
        for f in facts[done : attack.before]:
            if f.subject.token is not None:
                pasts.setdefault(f.subject.token, Past(f.subject.token)).learn(f)
        done = max(done, attack.before)
        victim = facts[attack.victim]
        token = victim.subject.token or ""
        past = pasts.get(token) or Past(token)
        yield attack, past, victim.history is not None and victim.history.confirmed <= past.confirmed


def _replaced(facts: Sequence[Facts], split: int, seed: int) -> list[list[Attack]]:
    """Draw attacks on the attempts from `split` on, each imitation apart, with the histories that they would meet."""
    drawn = []
    for whose in IMITATIONS:
        attackers = Attackers(facts, split, len(facts), until=len(facts), seed=seed, whose=whose)
        attacks = [attack for kind in GOALS for attack in attackers.draw(kind, ATTACKS)]
        drawn.append(
            [met for attack, past, whole in snapshots(facts, attacks) if whole and (met := _met(attack, past))]
        )
    return drawn


def _met(attack: Attack, past: Past) -> Attack | None:
    history = attack.facts.history
    if history is None:
        return None
    facts = replace(attack.facts, history=past.within(history, attack.facts))
    return Attack(attack.kind, attack.victim, attack.before, facts)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of the ratio of many attempts, before they are weighed."""

    place: Numbers
    """Naive, VPN, targeted, rare."""
    strange: Numbers
    stale: Numbers
    hour: Numbers
    rtt: Numbers
    cold: Numbers
    """Rarity of those without history; 0 for those with."""
    known: npt.NDArray[np.bool_]
    """False where the ratio is unknown: such an attempt is never above a threshold."""


def _parts(attempts: Sequence[Facts], population: Population, t: Likelihood) -> _Parts:
    rows = np.zeros((len(attempts), 10))
    for row, facts in zip(rows, attempts, strict=True):
        history = facts.history
        if history is None:
            continue
        if not settled(history):
            rare = ratio.rare_ratio(facts, population)
            row[8], row[9] = rare or 0.0, rare is not None
            continue
        place = ratio.place_ratios(facts, history, population, t)
        if place is not None:
            row[0:4], row[9] = place, 1.0
            row[4:6] = ratio.client_ratios(facts.device, history, population, t)
            row[6] = ratio.hour_ratio(facts, history, population)
            row[7] = ratio.rtt_nats(facts, history, t)
    return _Parts(rows[:, 0:4], rows[:, 4], rows[:, 5], rows[:, 6], rows[:, 7], rows[:, 8], rows[:, 9] > 0)


def _ratios(p: _Parts, w: Weights) -> Numbers:
    """Return ln of the weighed ratio of each, as `ratio.log_ratio` does; -inf where it is unknown."""
    imitated = 1 - w.stale + w.stale * p.stale
    strangers = (w.naive * p.place[:, 0] + w.vpn * p.place[:, 1]) * p.strange
    total = strangers + (w.targeted * p.place[:, 2] + w.rare * p.place[:, 3]) * imitated
    warm = np.log(np.maximum(total, 1e-300) * (1 - w.hour + w.hour * p.hour)) + p.rtt
    found: Numbers = np.where(p.cold > 0, np.log(w.cold + w.cold_rare * p.cold), warm)
    return np.where(p.known, found, -np.inf)


def _worth(told: _Parts, groups: Sequence[tuple[tuple[float, float], _Parts]], w: Weights, start: Weights) -> float:
    honest = np.sort(_ratios(told, w))
    limits = [honest[ceil(len(honest) * (1 - rate)) - 1] for rate in _RATES]
    caught, lost = [], 0.0
    for (catch, area), parts in groups:
        found = _ratios(parts, w)
        caught.append(float(np.mean([(found > limit).mean() for limit in limits])) / catch)
        below = (np.searchsorted(honest, found, "left") + np.searchsorted(honest, found, "right")).mean() / 2
        lost += 20 * max(0.0, area + 0.005 - float(below) / len(honest))
    ratios = np.array(caught)
    least = -log(float(np.mean(np.exp(-_SHARP * np.minimum(ratios, _ENOUGH))))) / _SHARP
    held = sum(log(getattr(w, name) / getattr(start, name)) ** 2 for name in _FITTED)
    return least + 0.02 * float(np.minimum(ratios, 2.0).mean()) - lost - _HOLD * held


def _best(told: _Parts, groups: Sequence[tuple[tuple[float, float], _Parts]], start: Weights, seed: int) -> Weights:
    """Climb by random steps, large ones first."""
    random = Random(seed)  # noqa: S311
    best, worth = start, _worth(told, groups, start, start)
    for number in range(STEPS):
        size = 0.8 if number < STEPS / 2 else 0.25
        chosen = random.sample(_FITTED, random.choice((1, 1, 2)))
        tried = replace(best, **{name: getattr(best, name) * exp(random.gauss(0, size)) for name in chosen})
        tried = replace(tried, stale=min(tried.stale, 0.9))
        found = _worth(told, groups, tried, start)
        if found > worth:
            best, worth = tried, found
    return best


def _scaled(w: Weights, told: _Parts) -> Weights:
    """Scale all weights so that one honest attempt in a hundred is above `USUAL_NATS`."""
    honest = np.sort(_ratios(told, w))
    limit = float(honest[ceil(len(honest) * 0.99) - 1])
    if not isfinite(limit):
        return w
    scale = exp(USUAL_NATS - limit)
    return replace(
        w, naive=w.naive * scale, vpn=w.vpn * scale, targeted=w.targeted * scale, rare=w.rare * scale,
        cold=w.cold * scale, cold_rare=w.cold_rare * scale,
    )  # fmt: skip
