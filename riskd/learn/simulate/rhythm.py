"""When people log in: how many times in a year, how far apart, and at which hour.

Published [RBA, over 392 days]: logins per person follow a log-series with p = 0.90 (39 % have one, the mean is 3.9, the
median 2); the shares of gaps between two successes are `GAP_SHARES`; logins are few at night, rise from 5 to 9 and fall
from 20 on.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from random import Random

DAY_S = 86_400.0
SPAN_DAYS = 392
"""The simulated world exists this long."""
SPAN_S = SPAN_DAYS * DAY_S
LOG_SERIES_P = 0.90
MOST_LOGINS = 100

_GAP_EDGES_S = (5.0, 60.0, 600.0, 3600.0, DAY_S, 7 * DAY_S, 30 * DAY_S, 200 * DAY_S)
GAP_SHARES = (0.040, 0.107, 0.051, 0.112, 0.172, 0.214, 0.303)
"""Of the gaps between consecutive successes: < 1 min, 1-10 min, 10-60 min, 1-24 h, 1-7 d, 7-30 d, > 30 d."""
HOUR_WEIGHTS = (
    0.22, 0.15, 0.12, 0.12, 0.16, 0.30, 0.50, 0.72, 0.90, 1.0, 1.0, 1.0,
    1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.98, 0.85, 0.68, 0.50, 0.34,
)  # fmt: skip
"""Relative number of logins in each local hour; read off the published figure, 5 a minute at night to 33 by day."""
_PERSONAL_CONCENTRATION = 1.2
"""How strongly a person keeps to the own hours (von Mises; invented: nothing is published)."""
_TRIES = 12


@lru_cache(maxsize=1)
def _login_counts() -> list[float]:
    """Cumulative probabilities of 1, 2, 3 … logins in the span."""
    weights = [LOG_SERIES_P**n / n for n in range(1, MOST_LOGINS + 1)]
    total = sum(weights)
    return list(accumulate(weight / total for weight in weights))


def login_count(rng: Random) -> int:
    """Draw how many times a person logs in over the span."""
    return min(MOST_LOGINS, bisect_right(_login_counts(), rng.random()) + 1)


def _mean_gap_s(index: int) -> float:
    """Mean of a gap drawn log-uniformly between two edges."""
    low, high = _GAP_EDGES_S[index], _GAP_EDGES_S[index + 1]
    return (high - low) / math.log(high / low)


_MEAN_GAPS = tuple(_mean_gap_s(index) for index in range(len(GAP_SHARES)))
_USED_SHARE = 0.55
"""The gaps of a person are drawn to fill at most this much of the span on average, so that they fit into it."""


def _tilted(weights: tuple[float, ...], budget_s: float) -> tuple[float, ...]:
    """Lean weights toward short gaps until their mean is at most the budget."""
    low, high = 0.0, 1.0
    for _ in range(40):
        rate = (low + high) / 2
        leaned = [w * math.exp(-rate * mean / DAY_S) for w, mean in zip(weights, _MEAN_GAPS, strict=True)]
        mean = sum(w * gap for w, gap in zip(leaned, _MEAN_GAPS, strict=True)) / sum(leaned)
        low, high = (rate, high) if mean > budget_s else (low, rate)
    leaned = [w * math.exp(-high * mean / DAY_S) for w, mean in zip(weights, _MEAN_GAPS, strict=True)]
    return tuple(w / sum(leaned) for w in leaned)


@lru_cache(maxsize=1)
def _gap_weights() -> dict[int, list[float]]:
    """Cumulative gap weights for each number of logins, such that all people together show `GAP_SHARES`.

    People with many logins must have short gaps to fit the span; those with few make up for it. Fitted by iterative
    scaling, which converges in a few dozen rounds.
    """
    counts = _login_counts()
    share_of = [counts[0], *(b - a for a, b in pairwise(counts))]
    base: tuple[float, ...] = GAP_SHARES
    tilted: dict[int, tuple[float, ...]] = {}
    for _ in range(60):
        tilted = {n: _tilted(base, _USED_SHARE * SPAN_S / (n - 1)) for n in range(2, MOST_LOGINS + 1)}
        shown = [sum(share_of[n - 1] * (n - 1) * tilted[n][k] for n in tilted) for k in range(len(GAP_SHARES))]
        scale = [want / (got / sum(shown)) for want, got in zip(GAP_SHARES, shown, strict=True)]
        base = tuple(weight * factor for weight, factor in zip(base, scale, strict=True))
    return {n: list(accumulate(weights)) for n, weights in tilted.items()}


@dataclass(frozen=True, slots=True)
class Hours:
    """A person's hours of the day."""

    peak: float
    """Local hour around which this person's logins gather."""

    def likely(self, local_hour: float) -> float:
        """Relative likelihood 0..1 of a login at this local hour."""
        personal = math.exp(_PERSONAL_CONCENTRATION * (math.cos((local_hour - self.peak) * math.pi / 12) - 1))
        return HOUR_WEIGHTS[int(local_hour) % 24] * personal

    def draw(self, rng: Random) -> float:
        """Draw a local hour, 0 ≤ hour < 24."""
        while True:
            hour = rng.random() * 24
            if rng.random() < self.likely(hour):
                return hour


def new_hours(rng: Random) -> Hours:
    """Draw a person's hours."""
    return Hours(rng.choices(range(24), weights=HOUR_WEIGHTS)[0] + rng.random())


def login_times(count: int, hours: Hours, utc_offset_s: float, rng: Random) -> list[float]:
    """Return the times of a person's successful logins, ascending, seconds from the start of the span.

    Long gaps end at an hour of the person's own; shorter ones are drawn again while they end at an unlikely one.
    """
    clock = hours.draw(rng) * 3600
    while True:
        times = _lay_out(count, hours, clock, rng)
        room = SPAN_S - times[-1] - DAY_S
        if room >= 0:
            # The first login falls on any day with room, at the local hour that the gaps were laid out from.
            start = rng.randrange(int(room // DAY_S) + 1) * DAY_S + (clock - utc_offset_s) % DAY_S
            return [start + time for time in times]


def _lay_out(count: int, hours: Hours, clock: float, rng: Random) -> list[float]:
    """Draw the times of logins from the first one, which is at `clock` seconds of the local day."""
    times = [0.0]
    for _ in range(count - 1):
        gap = 0.0
        length = bisect_right(_gap_weights()[count], rng.random())
        for _try in range(_TRIES):
            gap = _draw_gap(min(length, len(GAP_SHARES) - 1), rng)
            landed = (clock + times[-1] + gap) / 3600 % 24
            if gap >= DAY_S:
                gap = max(DAY_S, gap + _signed_hours(hours.draw(rng) - landed) * 3600)
                break
            if gap < 3600 or rng.random() < hours.likely(landed):
                break
        times.append(times[-1] + gap)
    return times


def _draw_gap(index: int, rng: Random) -> float:
    low, high = _GAP_EDGES_S[index], _GAP_EDGES_S[index + 1]
    return low * math.exp(rng.random() * math.log(high / low))


def _signed_hours(difference: float) -> float:
    """The shorter way round the clock, -12..12."""
    return (difference + 12) % 24 - 12
