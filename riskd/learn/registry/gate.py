"""The gates between a candidate and the place of the current model: what they ask, and how sure the answer must be.

Both models have judged the very same decisions, so what counts is the change, with an interval that knows that the
attempts of one subject belong together: a bootstrap (Efron 1979) over groups of subjects, 95 %, percentiles. A gate
opens when the interval excludes what must not happen, not when nothing was seen. Kinds of attack are looked at one by
one as well, for a wave of one kind would hide all others; their intervals are the wider the more kinds there are
(Bonferroni), and only a fall that is certain counts.

Where nothing at all changed, a bootstrap is sure of it however little was seen. By the rule of three (Hanley and
Lippman-Hand, JAMA 1983) what was not seen in n cases may still happen in 3/n: so n must be at least 3 / margin. And
what one person does over and over is one case: below `FEW` subjects nothing is certain, and below `LEAST_SUBJECTS`
there are no false alarms to judge by, however many days they were seen.
"""

import math
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from riskd.learn.registry.margins import Margins
from riskd.learn.registry.measure import Counts, Measured

RESAMPLES: Final = 1000
FEW: Final = 5
"""Subjects, attacked or honest, of fewer of whom a bootstrap says nothing: the interval is then all there is."""
LEAST_SUBJECTS: Final = 30
"""Below, the percentiles of a bootstrap are too narrow (Hesterberg, The American Statistician 69, 2015)."""
_AT_ONCE: Final = 100
_SEED: Final = 20_261_124
_BIN: Final = 5
"""Points of score that one bin of the stability index holds."""


class Paired(Struct, frozen=True):
    """A rate under both models on the same attempts, and its change with a 95 % interval."""

    of: int
    """Attacks, or subject-days."""
    subjects: int
    """Who they were against, or whose they were; groups of subjects where there are thousands."""
    hits: tuple[int, int]
    """Caught, or false alarms: by the current model, by the candidate."""
    current: float
    candidate: float
    change: float
    interval: tuple[float, float]


class Gate(Struct, frozen=True):
    """One question and its answer."""

    name: Literal["catch", "false alarms", "scores"]
    passed: bool
    said: str
    """The answer with its numbers, one sentence."""


class Verdict(Struct, frozen=True):
    """What the gates say, and what they looked at."""

    passed: bool
    gates: tuple[Gate, ...]
    few_labels: str | None
    """Why catch is not asked for; None when it is."""
    catch: Paired | None
    """None where no attack is known."""
    kinds: dict[str, Paired]
    """The same by kind of attack, the most frequent first."""
    alarms: Paired | None
    stability: float
    """Population stability index of the decisions' scores."""
    odd: tuple[float | None, float | None]
    """Share of the decisions with an anomaly score of .99 or more; None without a model."""


def verdict(found: Measured, margins: Margins) -> Verdict:
    """Ask all gates."""
    nothing: Counts = np.zeros_like(found.subject_days)
    kinds = sorted(found.attacks.items(), key=lambda item: (-int(item[1].of.sum()), item[0]))
    caught = [sum((kind.by[model] for _, kind in kinds), nothing) for model in (0, 1)]
    catch = _paired((caught[0], caught[1]), sum((kind.of for _, kind in kinds), nothing))
    by_kind = {name: _paired(kind.by, kind.of, among=len(kinds)) for name, kind in kinds}
    alarms = _paired(found.honest.by, found.subject_days)
    stability = _stability(found.scores)
    few = _few_labels(catch, margins)
    gates = [_alarms(alarms, margins)]
    falling = [name for name, kind in by_kind.items() if kind is not None and kind.interval[1] < 0]
    if catch is not None and (few is None or falling or catch.interval[1] < 0):  # few may be enough to tell the worst
        gates.insert(0, _catch(catch, falling, margins))
    if few is not None:
        gates.append(_scores(stability, margins))
    odd = tuple(reached / of if of else None for of, reached in found.odd)
    return Verdict(
        passed=all(gate.passed for gate in gates),
        gates=tuple(gates),
        few_labels=few,
        catch=catch,
        kinds={name: kind for name, kind in by_kind.items() if kind is not None},
        alarms=alarms,
        stability=stability,
        odd=(odd[0], odd[1]),
    )


def needed(margin: float) -> int:
    """Return how many cases tell a change of this size, by the rule of three."""
    return math.ceil(3 / margin - 1e-9)


def _few_labels(catch: Paired | None, margins: Margins) -> str | None:
    seen = 0 if catch is None else catch.of
    if catch is not None and seen >= needed(margins.catch) and catch.subjects >= FEW:
        return None
    return (
        f"{seen:,} attacks are known in the slice, and {needed(margins.catch):,} on {FEW} are needed to tell a fall of "
        f"{100 * margins.catch:g} points: catch is not gated, the scores are instead"
    )


def _catch(catch: Paired, falling: list[str], margins: Margins) -> Gate:
    low, high = catch.interval
    numbers = (
        f"{100 * catch.current:.2f} % → {100 * catch.candidate:.2f} % of {catch.of:,} attacks, "
        f"{100 * catch.change:+.2f} points (95 %: {100 * low:+.2f} to {100 * high:+.2f})"
    )
    if high < 0 or falling:
        which = f"that of {', '.join(falling)}" if falling else "it"
        return Gate("catch", passed=False, said=f"{numbers}: {which} falls")
    if low < -margins.catch:
        return Gate("catch", passed=False, said=f"{numbers}: it may fall by more than {100 * margins.catch:g} points")
    return Gate("catch", passed=True, said=numbers)


def _alarms(alarms: Paired | None, margins: Margins) -> Gate:
    seen = 0 if alarms is None else alarms.of
    if alarms is None or seen < needed(margins.alarms) or alarms.subjects < LEAST_SUBJECTS:
        return Gate(
            "false alarms",
            passed=False,
            said=f"{seen:,} honest subject-days of {0 if alarms is None else alarms.subjects:,} subjects, and "
            f"{needed(margins.alarms):,} of {LEAST_SUBJECTS} are needed to tell a rise of "
            f"{1000 * margins.alarms:g} in a thousand: give more of the log, or a wider --alarm-margin",
        )
    low, high = alarms.interval
    numbers = (
        f"{1000 * alarms.current:.2f} → {1000 * alarms.candidate:.2f} in a thousand subject-days (of {alarms.of:,}), "
        f"{1000 * alarms.change:+.2f} (95 %: {1000 * low:+.2f} to {1000 * high:+.2f})"
    )
    if high > margins.alarms:
        return Gate(
            "false alarms", passed=False, said=f"{numbers}: they may rise by more than {1000 * margins.alarms:g}"
        )
    return Gate("false alarms", passed=True, said=numbers)


def _scores(stability: float, margins: Margins) -> Gate:
    passed = stability <= margins.scores
    said = f"stability index {stability:.3f}, at most {margins.scores:g} is let through"
    return Gate("scores", passed=passed, said=said if passed else f"{said}: the scores are others")


def _paired(hits: tuple[Counts, Counts], of: Counts, among: int = 1) -> Paired | None:
    """Compare two rates over the same groups; None where there is nothing to count. `among` so many comparisons."""
    total = int(of.sum())
    if not total:
        return None
    before, after = (int(one.sum()) for one in hits)
    return Paired(
        of=total,
        subjects=int(np.count_nonzero(of)),
        hits=(before, after),
        current=before / total,
        candidate=after / total,
        change=(after - before) / total,
        interval=_interval(hits[1] - hits[0], of, 0.05 / among),
    )


def _interval(gained: Counts, of: Counts, beyond: float) -> tuple[float, float]:
    """Return the interval of sum(gained) / sum(of) over groups drawn with replacement; `beyond` of it lies outside."""
    there = of > 0
    gained, of = gained[there].astype(float), of[there].astype(float)
    count = len(of)
    if count < FEW:
        return -1.0, 1.0
    rng = np.random.default_rng(_SEED)
    drawn: list[npt.NDArray[np.float64]] = []
    for _ in range(RESAMPLES // _AT_ONCE):
        which = rng.integers(0, count, size=(_AT_ONCE, count))
        drawn.append(gained[which].sum(axis=1) / of[which].sum(axis=1))
    low, high = np.quantile(np.concatenate(drawn), (beyond / 2, 1 - beyond / 2))
    return float(low), float(high)


def _stability(scores: tuple[list[int], list[int]]) -> float:
    """Return the population stability index between two histograms: sum of (q - p) ln(q / p), half a decision a bin."""
    shares = []
    for histogram in scores:
        bins = np.add.reduceat(np.array(histogram, dtype=float), range(0, len(histogram), _BIN)) + 0.5
        shares.append(bins / bins.sum())
    before, after = shares
    return float(np.sum((after - before) * np.log(after / before)))


__all__ = ["Gate", "Margins", "Paired", "Verdict", "needed", "verdict"]
