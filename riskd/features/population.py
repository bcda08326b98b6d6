"""How common a value is among the honest attempts of this population: the frozen tables behind rarity.

The tables are counted when a model is trained and travel in its manifest. Every count is raised by one half
(Krichevsky and Trofimov 1981), so a value that no honest attempt showed is rare, and never impossible.
"""

from collections import Counter
from collections.abc import Iterable
from math import log
from typing import Self

from msgspec import Struct

from riskd.features.likelihood.tables import Likelihood

MOST_VALUES = 20_000
"""A table keeps at most this many values, the most common ones; the rest count as never seen."""
HOURS = 24


class Table(Struct, frozen=True, forbid_unknown_fields=True):
    """Counts of one attribute over honest, confirmed attempts."""

    counts: dict[str, int] = {}
    total: int = 0
    """Attempts counted, those of dropped rare values included; 0 means that nothing is known."""

    @classmethod
    def of(cls, values: Iterable[str | None]) -> Self:
        """Count values; None is unknown and counts nowhere."""
        counted = Counter(value for value in values if value is not None)
        kept = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]
        return cls(counts=dict(kept), total=counted.total())

    def probability(self, value: str) -> float:
        """Probability 0 < p ≤ 1 that an honest attempt shows this value; 1 from an empty table."""
        if self.total == 0:
            return 1.0
        return (self.counts.get(value, 0) + 0.5) / (self.total + 0.5)

    def nats(self, value: str) -> float:
        """How rare the value is: -ln of its probability, ≥ 0."""
        return -log(self.probability(value))


class Population(Struct, frozen=True, forbid_unknown_fields=True):
    """The tables of one population; the default is the empty one of a riskd without a model."""

    country: Table = Table()
    """ISO 3166-1 alpha-2 codes."""
    network: Table = Table()
    """`AS<number>` keys, or keyed hashes of prefixes."""
    family: Table = Table()
    """`os_family|browser_family`."""
    hour: tuple[float, ...] = (1.0 / HOURS,) * HOURS
    """Probability of each hour of the day, UTC: 24 values above 0 that add up to 1."""

    native: bool = True
    """Counted on this deployment's own traffic. A simulated population's networks and countries are nobody's: rarity
    among them would make every real network odd, so it stays unknown."""
    likelihood: Likelihood | None = None
    """What the likelihood core has learnt; None of an artifact that was made before there was one."""

    @property
    def empty(self) -> bool:
        """Nothing was counted: rarity is unknown."""
        return self.country.total == 0 and self.network.total == 0 and self.family.total == 0


def hour_shares(hours: Iterable[int]) -> tuple[float, ...]:
    """Return the probability of each hour of the day from the hours of many attempts; none is impossible."""
    counted = Counter(hours)
    smoothed = [counted[hour] + 0.5 for hour in range(HOURS)]
    return tuple(share / sum(smoothed) for share in smoothed)
