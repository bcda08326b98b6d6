"""What tuning may be asked for, and the threshold that reaches it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from riskd.learn.share import Share
from riskd.learn.tune.gather import NEVER, Ints

LEAST_ATTACKS = 20
"""Labelled attacks without which nothing is said about catching them."""


class Goal(Protocol):
    """What a threshold is chosen for."""

    @property
    def attacks_needed(self) -> int:
        """Labelled attacks that a choice takes."""

    @property
    def within(self) -> float | None:
        """Half the width of the interval that is asked for when nobody says; None: it depends on the share found."""

    def choose(self, honest: Ints, attacks: Ints, highest: int, slack: float = 1.0) -> int | None:
        """Return the threshold in tenths, at most `highest`, or None when none reaches the goal.

        `honest` and `attacks` are the thresholds at which their decisions turn; `slack` is how many honest decisions
        more than seen are expected beyond a threshold that is chosen on them: see `predict.predict`.
        """

    def unreached(self, honest: Ints, attacks: Ints, highest: int) -> str | None:
        """Say in words how far from the goal the best threshold stays; None: there are too few decisions to tell."""


@dataclass(frozen=True, slots=True)
class MaxStepUp:
    """At most this share of honest decisions may be stepped up or denied; catch as much as that allows."""

    share: float
    attacks_needed: int = 0

    @property
    def within(self) -> float:
        """Half of the share itself."""
        return self.share / 2

    def choose(self, honest: Ints, attacks: Ints, highest: int, slack: float = 1.0) -> int | None:  # noqa: ARG002
        """Return the lowest threshold that is expected to keep to the share."""
        reached = np.flatnonzero(turned(honest, highest) + slack <= self.share * (len(honest) + slack))
        return int(reached[0]) if len(reached) else None

    def unreached(self, honest: Ints, attacks: Ints, highest: int) -> str | None:  # noqa: ARG002
        """Say what stays stepped up at the highest threshold."""
        left = int(turned(honest, highest)[-1])
        if Share(left, len(honest)).interval[0] <= self.share:  # it may be chance
            return None
        return f"{_percent(left, honest)} of honest decisions are stepped up at any threshold"


@dataclass(frozen=True, slots=True)
class MinCatch:
    """At least this share of labelled attacks must be stepped up or denied; ask honest people as little as it takes."""

    share: float
    within: None = None

    @property
    def attacks_needed(self) -> int:
        """As many as it takes for the share to be told from all of them."""
        return max(LEAST_ATTACKS, round(1 / max(1e-6, 1 - self.share)))

    def choose(self, honest: Ints, attacks: Ints, highest: int, slack: float = 1.0) -> int | None:  # noqa: ARG002
        """Return the highest threshold that catches the share."""
        reached = np.flatnonzero(turned(attacks, highest) >= self.share * len(attacks))
        return int(reached[-1]) if len(reached) else None

    def unreached(self, honest: Ints, attacks: Ints, highest: int) -> str | None:  # noqa: ARG002
        """Say what is caught at threshold 0."""
        return f"{_percent(turned(attacks, highest)[0], attacks)} of attacks are caught at any threshold, no more"


@dataclass(frozen=True, slots=True)
class LeastCost:
    """Whatever costs least in all."""

    step_up: float
    """What one honest decision stepped up or denied costs."""
    missed: float
    """What one attack let through costs."""
    attacks_needed: int = LEAST_ATTACKS
    within: None = None

    def choose(self, honest: Ints, attacks: Ints, highest: int, slack: float = 1.0) -> int | None:  # noqa: ARG002
        """Return the highest of the cheapest thresholds."""
        cost = self.step_up * turned(honest, highest) + self.missed * (len(attacks) - turned(attacks, highest))
        return int(np.flatnonzero(cost <= cost.min())[-1])

    def unreached(self, honest: Ints, attacks: Ints, highest: int) -> str | None:  # noqa: ARG002
        """Say nothing: there is always a cheapest."""
        return None


def _percent(part: int, whole: Ints) -> str:
    return f"{100 * part / len(whole):.2f} %"


def turned(turns: Ints, highest: int) -> Ints:
    """Return for each threshold 0 … `highest`, in tenths, how many decisions it turns."""
    kept = np.clip(turns[turns > NEVER], 0, highest + 1)  # what any threshold turns stands above all of them
    count = np.bincount(kept, minlength=highest + 2)
    return np.cumsum(count[::-1])[::-1][: highest + 1]
