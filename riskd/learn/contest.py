"""How the forest does beside simple rivals, on attempts that taught none of them.

The earlier half of the held-out honest rows sets each one's threshold for one false alarm in a hundred, the later half
says what came of it, and attacks of the same later time are what is to be caught. Attacks are known from a simulation's
truth or from outcomes; without enough of them only the false alarms are told.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from riskd.learn.rivals import Matrix, Scores

FALSE_ALARMS = 0.01
FEWEST_ATTACKS = 20
"""Of fewer attacks a share says nothing."""
MOST_KINDS = 20


@dataclass(frozen=True, slots=True)
class Result:
    """How one of them did."""

    name: str
    false_alarms: float
    """Share of the later honest rows above the threshold that stops one in a hundred of the earlier ones."""
    auc: float | None
    """Chance that an attack is odder than an honest row; None without attacks."""
    catch: dict[str, float]
    """Share of attacks above that threshold, by kind; `all` is of all. Empty without attacks."""


def contest(
    scorers: dict[str, Callable[[Matrix], Scores]], honest: Matrix, attacks: Matrix, kinds: Sequence[str]
) -> list[Result]:
    """Let each scorer judge held-out honest rows, in the order of time, and attacks with their kinds."""
    half = len(honest) // 2
    frequent = [kind for kind, count in Counter(kinds).most_common(MOST_KINDS) if count >= FEWEST_ATTACKS]
    of = np.array(kinds, dtype=object)
    results: list[Result] = []
    for name, scores in scorers.items():
        quiet = scores(honest)
        threshold = np.quantile(quiet[:half], 1.0 - FALSE_ALARMS)
        auc, catch = None, {}
        if len(attacks) >= FEWEST_ATTACKS:
            loud = scores(attacks)
            auc = area(quiet[half:], loud)
            catch = {"all": float((loud > threshold).mean())}
            catch |= {kind: float((loud[of == kind] > threshold).mean()) for kind in sorted(frequent)}
        results.append(Result(name, float((quiet[half:] > threshold).mean()), auc, catch))
    return results


def area(honest: Scores, attacks: Scores) -> float:
    """Area under the ROC curve: the chance that an attack scores above an honest row, a tie counting half."""
    ordered = np.sort(honest)
    beaten = np.searchsorted(ordered, attacks, side="left") + np.searchsorted(ordered, attacks, side="right")
    return float(beaten.mean()) / (2 * len(ordered))


def metrics(results: Sequence[Result]) -> dict[str, float]:
    """Return all as named numbers, for a manifest."""
    named: dict[str, float] = {}
    for one in results:
        named[f"{one.name}_false_alarms"] = one.false_alarms
        if one.auc is not None:
            named[f"{one.name}_auc"] = one.auc
        named |= {f"{one.name}_catch_{kind[:40]}": share for kind, share in one.catch.items()}
    return named
