"""How well the likelihood core tells attackers from the subject, on logs with a split of the time; and Freeman beside.

    python bench/detection.py bench/data/rba_like_seed1.csv.gz --out bench/detection.json

The first 55 % of the attempts teach the tables, the next 15 % fit the weights and set the threshold, the last 30 % are
judged: honest attempts, those without history among them, and five draws of each attacker that replace some of them.
The same on five newly generated logs. All through the functions that serve: `rarity_log_ratio` over facts.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

import freeman
import logins
import numpy as np
import numpy.typing as npt
from detection_table import within
from login_world import LIKE_SEED_1, PUBLISHED, RESTLESS, World, generate
from msgspec.structs import replace

from riskd.facts import Facts
from riskd.features.likelihood.states import settled
from riskd.features.population import Population
from riskd.features.rarity import rarity_log_ratio
from riskd.learn.likelihood import learn_population
from riskd.learn.likelihood.attackers import KINDS, Attack, Attackers, Kind, Whose
from riskd.learn.likelihood.fit import snapshots

TAUGHT: Final = 0.55
VALIDATED: Final = 0.70
"""Shares of the log at which one slice ends and the next begins."""
DRAWS: Final = 5
ATTACKS: Final = 2000
FALSE_ALARMS: Final = 0.01
RESAMPLES: Final = 200
FRESH_SEEDS: Final = (101, 102, 103, 104, 105)
WORLDS: Final[dict[str, World]] = {"like_seed_1": LIKE_SEED_1, "published": PUBLISHED, "restless": RESTLESS}
CLASSES: Final = {"0": (0, 0), "1-4": (1, 4), "5+": (5, 10**9)}
"""Confirmed successes before the attempt."""
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """The scores of one log."""

    population: Population
    honest: list[Facts]
    scores: Numbers
    limit: float
    """Of one false alarm in a hundred on the validation slice."""
    attacks: list[tuple[int, Attack]]
    """By draw, with the history that each met."""
    hostile: Numbers

    def of(self, kind: Kind, draw: int | None = None) -> Numbers:
        """Scores of the attacks of a kind, of one draw or all."""
        wanted = np.array([a.kind == kind and draw in (None, number) for number, a in self.attacks], dtype=bool)
        return self.hostile[wanted]


def scores_of(attempts: Sequence[Facts], population: Population) -> Numbers:
    """Score attempts; what is unknown is never above a threshold."""
    found = (rarity_log_ratio(one, population) for one in attempts)
    scores: Numbers = np.array([-np.inf if score is None else score for score in found])
    return scores


def limit_of(honest: Numbers) -> float:
    """Return the score that one honest attempt in a hundred exceeds."""
    return float(np.sort(honest)[ceil(len(honest) * (1 - FALSE_ALARMS)) - 1])


def measured(honest: Numbers, hostile: Numbers) -> dict[str, float]:
    """Area under the curve, catch at 1 % false alarms, and the step-up rate that catches 90 %."""
    ordered = np.sort(honest)
    below = np.searchsorted(ordered, hostile, "left") + np.searchsorted(ordered, hostile, "right")
    needed = np.sort(hostile)[int(0.1 * len(hostile))]
    return {
        "auc": float(below.mean() / 2 / len(ordered)),
        "catch_at_1pct": float((hostile > limit_of(honest)).mean()),
        "step_up_for_90pct": float((honest >= needed).mean()),
    }


def drawn(facts: Sequence[Facts], first: int, whose: Whose) -> list[tuple[int, Attack]]:
    """Draw the attacks on the test slice, each with the history that it meets."""
    out = []
    for draw in range(DRAWS):
        attackers = Attackers(facts, first, len(facts), until=len(facts), seed=draw, whose=whose)
        attacks = [attack for kind in KINDS for attack in attackers.draw(kind, ATTACKS)]
        for attack, past, _ in snapshots(facts, attacks):
            met = replace(attack.facts, history=past.answer(attack.facts))
            out.append((draw, Attack(attack.kind, attack.victim, attack.before, met)))
    return out


def judge(facts: Sequence[Facts], whose: Whose) -> Judged:
    """Learn, fit, and score the test slice and the attacks on it."""
    taught, validated = int(len(facts) * TAUGHT), int(len(facts) * VALIDATED)
    population = learn_population(facts[:validated], taught, native=True)
    honest = list(facts[validated:])
    attacks = drawn(facts, validated, whose)
    return Judged(
        population=population,
        honest=honest,
        scores=scores_of(honest, population),
        limit=limit_of(scores_of(facts[taught:validated], population)),
        attacks=attacks,
        hostile=scores_of([attack.facts for _, attack in attacks], population),
    )


def summary(judged: Judged) -> dict[str, dict[str, float]]:
    """Average what is measured over the draws."""
    out: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        each = [measured(judged.scores, judged.of(kind, draw)) for draw in range(DRAWS)]
        out[kind] = {name: round(float(np.mean([one[name] for one in each])), 4) for name in each[0]}
        out[kind]["catch_sd_over_draws"] = round(float(np.std([one["catch_at_1pct"] for one in each])), 4)
    return out


def transfer(judged: Judged) -> float:
    """Return the false alarms on the test slice at the threshold set on the validation slice."""
    return round(float((judged.scores > judged.limit).mean()), 5)


def intervals(judged: Judged) -> dict[str, dict[str, list[float]]]:
    """95 % intervals by bootstrap over subjects, honest ones and victims together; first draw."""
    rng = np.random.default_rng(0)
    index = {token: k for k, token in enumerate(dict.fromkeys(f.subject.token for f in judged.honest))}
    who = np.array([index[f.subject.token] for f in judged.honest])
    out: dict[str, dict[str, list[float]]] = {}
    for kind in KINDS:
        victims = np.array([index[a.facts.subject.token] for d, a in judged.attacks if d == 0 and a.kind == kind])
        hostile = judged.of(kind, 0)
        found = []
        for _ in range(RESAMPLES):
            times = np.bincount(rng.integers(len(index), size=len(index)), minlength=len(index))
            found.append(measured(np.repeat(judged.scores, times[who]), np.repeat(hostile, times[victims])))
        out[kind] = {
            name: [round(float(v), 4) for v in np.quantile([one[name] for one in found], (0.025, 0.975))]
            for name in found[0]
        }
    return out


def by_history(judged: Judged) -> dict[str, dict[str, float]]:
    """Share of the honest, false alarms and catch at 1 % false alarms, by confirmed successes before the attempt."""
    limit = limit_of(judged.scores)
    size = np.array([_confirmed(f) for f in judged.honest])
    met = np.array([_confirmed(a.facts) for _, a in judged.attacks])
    out: dict[str, dict[str, float]] = {}
    for name, (low, high) in CLASSES.items():
        here = (size >= low) & (size <= high)
        out[name] = {"share": float(here.mean()), "false_alarms": float((judged.scores[here] > limit).mean())}
        for kind in KINDS:
            chosen = np.array([a.kind == kind for _, a in judged.attacks]) & (met >= low) & (met <= high)
            if chosen.sum() >= 100:
                out[name][kind] = float((judged.hostile[chosen] > limit).mean())
        out[name] = {key: round(value, 4) for key, value in out[name].items()}
    return out


def _confirmed(facts: Facts) -> int:
    history = facts.history
    return history.confirmed if history is not None and settled(history) else 0


def baseline(facts: Sequence[Facts], judged: Judged, *, prior: bool) -> dict[str, dict[str, float]]:
    """Measure Freeman's formula on the same attempts and attacks: on all, and on those with history alone."""
    first = int(len(facts) * VALIDATED)
    honest, hostile = freeman.scores(facts, first, [attack for _, attack in judged.attacks], prior=prior)
    all_scores, warm = np.array(honest), np.array([_confirmed(f) > 0 for f in judged.honest])
    out: dict[str, dict[str, float]] = {}
    for kind in KINDS[:-1]:
        found = [(n, a) for n, (_, a) in enumerate(judged.attacks) if a.kind == kind]
        out[kind] = measured(all_scores, np.array([hostile[n] for n, _ in found]))
        known = np.array([hostile[n] for n, a in found if _confirmed(a.facts)])
        out[kind] |= {f"{name}_with_history": value for name, value in measured(all_scores[warm], known).items()}
        out[kind] = {name: round(value, 4) for name, value in out[kind].items()}
    return out


def fresh(name: str, seeds: Sequence[int], whose: Whose) -> list[dict[str, Any]]:
    """Measure newly generated logs."""
    out = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "log.csv.gz"
            generate(path, seed, WORLDS[name])
            judged = judge(logins.read(path), whose)
        out.append({"seed": seed, "threshold_transfer": transfer(judged), **summary(judged)})
        print(name, whose, json.dumps(out[-1]), file=sys.stderr, flush=True)
    return out


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="a log in the columns of bench/data/rba_like_seed1.csv.gz")
    parser.add_argument("--out", type=Path, help="where the JSON goes; default: printed only")
    parser.add_argument("--page", type=Path, help="page whose table is renewed, e.g. docs/science.md")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(FRESH_SEEDS), help="of newly generated logs")
    parser.add_argument("--world", choices=WORLDS, default="like_seed_1", help="population of the new logs")
    parser.add_argument("--whose", choices=("replaced", "earlier", "iid"), default="replaced", help="imitators' model")
    parser.add_argument("--no-baseline", action="store_true", help="leave Freeman's formula out")
    told = parser.parse_args()
    facts = logins.read(told.log)
    judged = judge(facts, told.whose)
    logs = fresh(told.world, told.seeds, told.whose)
    transfers = [log["threshold_transfer"] for log in logs] or [transfer(judged)]
    result: dict[str, Any] = {
        **summary(judged),
        "threshold_transfer": round(float(np.mean(transfers)), 5),
        "threshold_transfer_each": {"given": transfer(judged), "fresh": transfers},
        "prevalence": {"honest": len(judged.honest), "attacks": {kind: len(judged.of(kind)) for kind in KINDS}},
        "intervals": intervals(judged),
        "by_history": by_history(judged),
        "fresh_logs": {"world": told.world, "logs": logs},
        "command": "python bench/detection.py " + " ".join(sys.argv[1:]),
    }
    if not told.no_baseline:
        result["freeman"] = baseline(facts, judged, prior=True)
        result["freeman_without_prior"] = baseline(facts, judged, prior=False)
    text = json.dumps(result, indent=1) + "\n"
    print(text)
    if told.out is not None:
        told.out.write_text(text, encoding="utf-8")
    if told.page is not None:
        told.page.write_text(within(told.page.read_text(encoding="utf-8"), result), encoding="utf-8")


if __name__ == "__main__":
    main()
