"""The baseline: Freeman et al., NDSS 2016 (doi 10.14722/ndss.2016.23240), equation 7, without attack data per member.

    S = Π_k [ p(x_k) / p(x_k | u) ] · p(u | attack) / p(u | legit)

with p(u | attack) = 1 / number of members and p(u | legit) = successes of u / all successes. Features are the address
(address .6, network .3, country .1) and the user agent (string .53867, browser and version .26805, system and version
.18818, kind .00511), interpolated linearly over their levels. As in the authors' published code a value that nobody
showed has 1 / (N + distinct values + 1), and one that the member never showed at any level counts as p(x) / 4. Without
history only the last factor speaks. It may be left out, which on these logs helps the baseline.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import log
from typing import Final

from riskd.facts import Facts
from riskd.learn.likelihood.attackers import Attack

ADDRESS_WEIGHTS: Final = (0.6, 0.3, 0.1)
AGENT_WEIGHTS: Final = (0.53867, 0.26805, 0.18818, 0.00511)
_LEVELS: Final = len(ADDRESS_WEIGHTS) + len(AGENT_WEIGHTS)
NEVER_SHOWN: Final = 4.0
"""Ratio of a feature of which the member never showed any level."""


def _levels(facts: Facts) -> tuple[str, ...]:
    network, device = facts.network, facts.device
    agent = f"{device.client}|{device.browser_major}"
    return (
        str(network.ip), str(network.key), str(facts.place.country), agent, f"{device.family}|{device.browser_major}",
        str(device.os_family), str(device.kind),
    )  # fmt: skip


class Freeman:
    """Counts every honest success as it comes."""

    def __init__(self, *, prior: bool) -> None:
        self._prior = prior
        self._total = 0
        self._everybody: list[Counter[str]] = [Counter() for _ in range(_LEVELS)]
        self._own: dict[str, list[Counter[str]]] = defaultdict(lambda: [Counter() for _ in range(_LEVELS)])
        self._successes: Counter[str] = Counter()

    def learn(self, facts: Facts) -> None:
        """Count one success."""
        member = facts.subject.token or ""
        self._total += 1
        self._successes[member] += 1
        for everybody, own, value in zip(self._everybody, self._own[member], _levels(facts), strict=True):
            everybody[value] += 1
            own[value] += 1

    def score(self, facts: Facts) -> float:
        """Return ln S, higher is riskier."""
        member = facts.subject.token or ""
        successes = self._successes[member]
        score = 0.0
        if successes:
            values = _levels(facts)
            score += self._ratio(member, values, 0, ADDRESS_WEIGHTS)
            score += self._ratio(member, values, len(ADDRESS_WEIGHTS), AGENT_WEIGHTS)
        if self._prior:
            score += log(max(self._total, 1) / (max(len(self._successes), 1) * max(successes, 1)))
        return score

    def _ratio(self, member: str, values: Sequence[str], first: int, weights: Sequence[float]) -> float:
        everybody = own = 0.0
        for level, weight in enumerate(weights, first):
            counted = self._everybody[level]
            count = counted[values[level]]
            everybody += weight * (count / self._total if count else 1.0 / (self._total + len(counted) + 1))
            own += weight * self._own[member][level][values[level]] / self._successes[member]
        return log(everybody / own) if own > 0 else log(NEVER_SHOWN)


def scores(
    facts: Sequence[Facts], first: int, attacks: Sequence[Attack], *, prior: bool
) -> tuple[list[float], dict[int, float]]:
    """Score the honest attempts from `first` on, and each attack (by its place in `attacks`) at its time."""
    order = sorted(range(len(attacks)), key=lambda number: attacks[number].before)
    freeman, honest, hostile, at = Freeman(prior=prior), [], {}, 0
    for i, one in enumerate(facts):
        while at < len(order) and attacks[order[at]].before <= i:
            hostile[order[at]] = freeman.score(attacks[order[at]].facts)
            at += 1
        if i >= first:
            honest.append(freeman.score(one))
        freeman.learn(one)
    for number in order[at:]:
        hostile[number] = freeman.score(attacks[number].facts)
    return honest, hostile
