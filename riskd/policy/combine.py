"""Many reasons, one number, and each reason's share of it.

A weight w is turned into evidence e = -ln(1 - w). Evidence of declared signals adds up, which is noisy-or:
`score = 1 - prod(1 - w)`. Statistical signals weigh the same attempt as a whole, so they do not add to that sum; they
are compared with it and the largest counts: `E = max(sum of declared, each statistical)`. The score is `1 - exp(-E)`:
bounded by 1, the same in any order, and never lowered by another reason or a larger weight. A declared reason's share
of the score is e / E; what a statistical signal exceeds the sum by is its share.
"""

from collections.abc import Sequence
from math import exp, log1p, sqrt

MAX_WEIGHT = 0.9999
"""Largest weight used, so that evidence stays finite."""
UNKNOWN_HIT_SHARE = 0.02
"""How often a signal that cannot tell is taken to be a hit: about what single signals hit among honest attempts."""
TENTHS = 1000
"""Scores are shown in tenths of a point, 0.0 to 100.0."""


def evidence(weight: float) -> float:
    """Evidence of one hit, nats, ≥ 0: additive where weights combine by noisy-or."""
    return -log1p(-min(weight, MAX_WEIGHT))


def total_evidence(declared: Sequence[float], statistical: Sequence[float]) -> float:
    """Combined evidence of all hits: the larger of the declared ones' sum and any statistical one."""
    return max(sum(sorted(declared)), *statistical, 0.0)


def score_of(total: float) -> float:
    """Score of combined evidence as it is shown: 0 to 100 in tenths."""
    return round((1 - exp(-total)) * TENTHS) / 10


def contributions(declared: Sequence[float], statistical: Sequence[float]) -> tuple[list[float], list[float]]:
    """Shares of the score, in points, of each declared and each statistical hit; together exactly the score shown."""
    total = total_evidence(declared, statistical)
    if total <= 0:
        return [0.0] * len(declared), [0.0] * len(statistical)
    added = sum(sorted(declared))
    excess = [max(0.0, e - added) for e in statistical]
    all_excess = sum(excess)
    surplus = (total - added) / all_excess if all_excess else 0.0
    parts = [*declared, *(e * surplus for e in excess)]
    tenths = _apportion(parts, round(score_of(total) * 10))
    shown = [n / 10 for n in tenths]
    return shown[: len(declared)], shown[len(declared) :]


def _apportion(parts: list[float], seats: int) -> list[int]:
    """Split `seats` in proportion to `parts`, in whole numbers, by largest remainder; ties go to the first."""
    whole = sum(parts)
    exact = [part / whole * seats for part in parts]
    shares = [int(x) for x in exact]
    left = seats - sum(shares)
    by_remainder = sorted(range(len(parts)), key=lambda i: shares[i] - exact[i])
    for i in by_remainder[:left]:
        shares[i] += 1
    return shares


def score_range(total: float, coarse: float, unknown: Sequence[float]) -> tuple[float, float]:
    """Where the score would lie were everything known, 0 to 100.

    Downward by the evidence that rests on coarse places. Upward by two standard deviations of the evidence that the
    unknown signals hold back, were each of them a hit in `UNKNOWN_HIT_SHARE` of cases independently of the others:
    every further unknown widens the range.
    """
    spread = sqrt(UNKNOWN_HIT_SHARE * (1 - UNKNOWN_HIT_SHARE) * sum([e * e for e in unknown]))
    return score_of(max(0.0, total - coarse)), score_of(total + 2 * spread)
