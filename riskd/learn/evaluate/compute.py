"""From counts to what is reported: shares, curves, calibration, transfer, groups and re-authentications."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from riskd.learn.evaluate.curve import Curve, curve_of
from riskd.learn.evaluate.labelled import HONEST_KIND
from riskd.learn.evaluate.report import Band, Calibrated, Group, Reauthentications, Transfer
from riskd.learn.evaluate.resample import LEAST_GROUPS, Counts, Estimate, Resampling, ends
from riskd.learn.evaluate.tally import HISTORY_CLASSES, SCORE, TAILS, THRESHOLDS, Tally
from riskd.learn.share import Share

ALL = "all"
TARGETS = (0.01, 0.001)
"""Shares of honest attempts that a threshold is set for."""
LEAST_HONEST = 200
"""Honest attempts below which no threshold is set on a part of the time."""
_MOST = (0.9, 0.99)


def shares(tally: Tally, resampling: Resampling, name: str, kinds: Sequence[str]) -> dict[str, Share]:
    """Return a share by kind, in this order."""
    return {kind: resampling.share(*tally.share(name, kind)) for kind in kinds}


def operating_point(tally: Tally, resampling: Resampling) -> dict[str, Share]:
    """Return what was really decided, attempt by attempt: honest attempts and attacks stopped."""
    counts = tally.groups["history"].sum(1, dtype=np.uint32)
    return {
        "honest": resampling.share(counts[:, 1], counts[:, 0]),
        "attacks": resampling.share(counts[:, 3], counts[:, 2]),
    }


def prevalence(tally: Tally, resampling: Resampling) -> Share:
    """Return the share of attacks among the decisions judged."""
    counts = tally.groups["history"].sum(1, dtype=np.uint32)
    return resampling.share(counts[:, 2], counts[:, 0] + counts[:, 2])


def curves(tally: Tally, resampling: Resampling, kinds: Sequence[str]) -> dict[str, tuple[Curve, ...]]:
    """Return the curves of score and anomaly: all attacks, then each kind that there is."""
    found: dict[str, tuple[Curve, ...]] = {}
    for measure, thresholds in THRESHOLDS.items():
        honest = tally.of_kind(measure, HONEST_KIND)
        by_kind = {name: tally.of_kind(measure, tally.kinds.index(name)) for name in kinds if name in tally.kinds}
        whole = np.zeros_like(honest)
        for attacks in by_kind.values():
            whole = whole + attacks
        each = ((ALL, whole), *by_kind.items())
        made = (curve_of(name, honest, attacks, thresholds, resampling) for name, attacks in each)
        found[measure] = tuple(curve for curve in made if curve is not None)
    return found


def calibration(tally: Tally, resampling: Resampling) -> tuple[Calibrated, ...]:
    """Return how many honest attempts had each tail probability or a smaller one."""
    total = tally.calibration[:, len(TAILS)]
    if not total.any():
        return ()
    return tuple(
        Calibrated(tail, resampling.share(tally.calibration[:, number], total)) for number, tail in enumerate(TAILS)
    )


def bands(tally: Tally, resampling: Resampling) -> tuple[Band, ...]:
    """Return the attacks among the attempts of each ten points of the score."""
    honest = tally.of_kind(SCORE, HONEST_KIND)
    attacks = np.zeros_like(honest)
    for kind in range(1, len(tally.kinds)):
        attacks = attacks + tally.of_kind(SCORE, kind)
    found = []
    for low in range(0, 100, 10):
        these = slice(10 * low, 10 * low + 100 + (low == 90))
        hits, others = (side[:, these].sum(1, dtype=np.uint32) for side in (attacks, honest))
        if hits.any() or others.any():
            found.append(Band(low, low + 10, resampling.share(hits, hits + others)))
    return tuple(found)


def transfer(tally: Tally, resampling: Resampling) -> tuple[Transfer, ...]:
    """Return the lowest thresholds that keep to the targets in the earlier part, and what they do in the later one."""
    found = []
    for measure, thresholds in THRESHOLDS.items():
        early, late = tally.honest_part(measure, late=False), tally.honest_part(measure, late=True)
        if min(early.sum(), late.sum()) < LEAST_HONEST:
            continue
        beyond = np.cumsum(early.sum(0)[::-1])[::-1] / early.sum()
        for target in TARGETS:
            fit = np.flatnonzero(beyond <= target)
            if len(fit):
                at = int(fit[0])
                rates = [
                    resampling.share(part[:, at:].sum(1, dtype=np.uint32), part.sum(1, dtype=np.uint32))
                    for part in (early, late)
                ]
                found.append(Transfer(measure, target, float(thresholds[at]), *rates))
    return tuple(found)


def groups(tally: Tally, resampling: Resampling, dimension: str, names: Sequence[str]) -> tuple[Group, ...]:
    """Return the groups of a dimension, the largest first; classes of history in their order."""
    counts = tally.groups[dimension]
    whole = counts.sum(1, dtype=np.uint32)
    found = [
        Group(
            name,
            resampling.share(counts[:, i, 1], counts[:, i, 0]),
            resampling.share(counts[:, i, 3], counts[:, i, 2]),
            _burden(counts[:, i], whole, resampling),
        )
        for i, name in enumerate(names)
        if counts[:, i].any()
    ]
    if dimension != "history":
        found.sort(key=lambda group: (-group.honest.total, -group.attacks.total, group.name))
    return tuple(found)


def _burden(group: Counts, whole: Counts, resampling: Resampling) -> str:
    """Say whether a group's honest attempts are stopped more or less often than all others."""
    rest = whole - group
    if min(np.count_nonzero(side[:, 1]) for side in (group, rest)) < LEAST_GROUPS:
        return "even"
    with np.errstate(invalid="ignore", divide="ignore"):
        here, there = (resampling.sums(side[:, 1]) / resampling.sums(side[:, 0]) for side in (group, rest))
    low, high = ends(here - there)
    return "more" if low > 0 else "less" if high < 0 else "even"


def reauthentications(tally: Tally, resampling: Resampling) -> tuple[Reauthentications, ...]:
    """Return how often subjects had to prove themselves again: all of them, then by history."""
    counts = tally.reauthentications
    classes = ((ALL, counts.sum(1, dtype=np.uint32)), *((c, counts[:, i]) for i, c in enumerate(HISTORY_CLASSES)))
    return tuple(_reauthentications(name, these, resampling) for name, these in classes if these.any())


def _reauthentications(name: str, counts: Counts, resampling: Resampling) -> Reauthentications:
    whole, again = counts.sum(0, keepdims=True).astype(np.float64), resampling.sums(counts)
    times = np.arange(counts.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (again @ times) / again.sum(1)
    return Reauthentications(
        history=name,
        subjects=int(whole.sum()),
        median=Estimate(float(_quantile(whole, 0.5)[0]), *ends(_quantile(again, 0.5))),
        mean=Estimate(float((whole @ times)[0] / whole.sum()), *ends(means)),
        most={f"{share:g}": int(_quantile(whole, share)[0]) for share in _MOST},
        never=resampling.share(counts[:, 0], counts.sum(1, dtype=np.uint32)),
    )


def _quantile(counts: npt.NDArray[np.floating], share: float) -> npt.NDArray[np.float64]:
    """Return of each row the least number that at least a share of the subjects does not exceed."""
    total = counts.sum(1, keepdims=True)
    reached = np.argmax(np.cumsum(counts, axis=1) >= share * total, axis=1)
    return np.where(total[:, 0] > 0, reached, math.nan)
