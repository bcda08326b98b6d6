"""Holds the promise of `riskd tune` against the month after.

For each seed a world of its own is played against the real engine with the shipped policy and model: 24,000 subjects,
90 days, attackers among them. The first 30 days only build history. On the second 30 days the policy is tuned for 1 %
step-ups, as a person would: without the truth, by what outcomes say. Then the thresholds are held against the third 30
days, and there by the truth: the share of honest decisions stepped up or denied. A promise is kept when that share lies
in the 95 % prediction interval and the interval is no wider than ± 0.5 points; a refusal to promise counts as broken.
The thresholds are also held against another population (other shares of offices, VPNs, travellers, typos, lost
cookies), which nothing was promised about.

A world takes a minute; its judged decisions are kept in `--worlds`, so that a run can go on where it stopped.
Thresholds act on the log as it was recorded: what other habits people would have formed is not played.

    python bench/tuning.py --seeds 100 --jobs 2
"""

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import msgspec
import numpy as np

from riskd.anomaly.load import load_model
from riskd.errors import ConfigError
from riskd.features import MODEL_FEATURES
from riskd.learn.simulate.people import Habits
from riskd.learn.simulate.run import simulate
from riskd.learn.simulate.stream import Size
from riskd.learn.truth import HONEST as HONEST_LABEL
from riskd.learn.truth import Truth
from riskd.learn.tune.choose import Chosen, choose
from riskd.learn.tune.gather import HONEST, Decisions, Flags, gather, tenths
from riskd.learn.tune.goals import MaxStepUp
from riskd.learn.tune.places import places
from riskd.policy.load import SHIPPED, load
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord

ROOT = Path(__file__).parents[1]
SUBJECTS, DAYS, MONTH_S = 24_000, 90, 30 * 86_400.0
SHARE, WITHIN = 0.01, 0.005
OTHERS = 10
"""Worlds of the other population."""
OTHER_HABITS = Habits(
    office_share=0.2, vpn_share=0.12, traveller_share=0.7, trips_a_year=3.0, session_device_share=0.04, typo_share=0.13,
    forget_cookie_days=250.0,
)  # fmt: skip
POLICY = SHIPPED / "default.yaml"
COLUMNS = ("place", "subject", "when", "step_up", "deny", "steps_up", "denies", "said", "floor")


@dataclass(frozen=True, slots=True)
class World:
    """One world, judged."""

    decisions: Decisions
    honest: Flags
    """By the truth."""
    begins: float

    def month(self, number: int) -> Flags:
        """Decisions of the first, second or third thirty days (0, 1, 2)."""
        return ((self.decisions.when - self.begins) // MONTH_S).astype(int) == number


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one promise."""

    seed: int
    promised: tuple[float, float, float] | None
    """Expected share and its interval; None: refused."""
    came: float
    """Share of the month after, by the truth."""
    elsewhere: float
    """Share of the same month among the other population."""

    @property
    def covered(self) -> bool:
        """The share that came is in the interval."""
        return self.promised is not None and self.promised[1] <= self.came <= self.promised[2]

    @property
    def narrow(self) -> bool:
        """The interval is as narrow as asked."""
        return self.promised is not None and self.promised[2] - self.promised[1] <= 2 * WITHIN


def play(path: Path, seed: int, *, other: bool) -> Path:
    """Simulate and judge a world, unless its decisions are there already."""
    if path.exists():
        return path
    policy, model = load(POLICY), load_model(ROOT / "models", MODEL_FEATURES)
    with tempfile.TemporaryDirectory() as folder:
        size = Size(subjects=SUBJECTS, days=DAYS, seed=seed)
        done = simulate(Path(folder, "world"), size, policy, model, OTHER_HABITS if other else None)
        with done.truth.open("rb") as lines:
            truth = {known.decision_id: known.label for known in map(msgspec.json.Decoder(Truth).decode, lines)}
        records = list(read(done.log))
        decisions = gather(records, policy, model)
        honest = [truth[r.decision_id] == HONEST_LABEL for r in records if isinstance(r, DecisionRecord)]
    assert len(honest) == len(decisions.when), "every decision can be judged under its own policy"
    columns = {name: getattr(decisions, name) for name in COLUMNS}
    np.savez_compressed(
        path, honest=honest, begins=done.begins.timestamp(), floors=np.array(decisions.floors), **columns
    )
    return path


def world(path: Path) -> World:
    """Load a world's decisions."""
    with np.load(path) as kept:
        columns = {name: kept[name] for name in COLUMNS}
        at = tuple(places(load(POLICY)).values())
        return World(
            Decisions(at, floors=tuple(kept["floors"].tolist()), **columns), kept["honest"], float(kept["begins"])
        )


def share(chosen: Chosen, there: World) -> float:
    """Share of the third month's honest decisions, where thresholds were tuned, that these would not allow."""
    decisions, step_up = there.decisions, there.decisions.step_up.copy()
    tuned = np.zeros(len(step_up), dtype=np.bool_)
    for choice in chosen.tuned:
        names = choice.shared_by or (choice.place.name,)
        which = np.isin(decisions.place, [n for n, place in enumerate(decisions.places) if place.name in names])
        step_up[which] = tenths(choice.step_up)
        tuned |= which
    those = tuned & there.honest & there.month(2)
    return float((decisions.turns(decisions.deny) >= step_up)[those].mean())


def keep(seed: int, here: World, elsewhere: World | None) -> Run:
    """Tune on the second month; hold the promise against the third."""
    nan = float("nan")
    try:
        chosen = choose(here.decisions.only(here.month(1)), load(POLICY), MaxStepUp(SHARE), within=WITHIN)
    except ConfigError as error:
        print(f"seed {seed}: refused: {error}")
        return Run(seed, None, nan, nan)
    then = chosen.then.troubled
    promised = (then.share, then.low, then.high)
    run = Run(seed, promised, share(chosen, here), nan if elsewhere is None else share(chosen, elsewhere))
    said = "kept" if run.covered and run.narrow else "BROKEN"
    here_and_there = f"came {100 * run.came:.2f} % (elsewhere {100 * run.elsewhere:.2f} %)"
    print(f"seed {seed}: {then.total:,} decisions of {then.subjects:,} subjects: {then}, {here_and_there}: {said}")
    return run


def report(runs: list[Run], unlabelled: tuple[int, int]) -> None:
    """Print what came of all promises, in Markdown."""
    made = [run for run in runs if run.promised is not None]
    promised = np.array([run.promised for run in made])
    came = np.array([run.came for run in made])
    elsewhere = np.array([run.elsewhere for run in made])
    inside = (promised[:, 1] <= elsewhere) & (elsewhere <= promised[:, 2])
    left_out, all_decisions = unlabelled
    width = 50 * (promised[:, 2] - promised[:, 1])
    low, high = 100 * np.quantile(came, [0.05, 0.95])
    other_low, other_high = 100 * np.nanquantile(elsewhere, [0.05, 0.95])
    other = f"{100 * np.nanmean(elsewhere):.2f} % ({other_low:.2f}-{other_high:.2f})"
    rows = [
        ("seeds", f"{len(runs)}"),
        ("promises kept: narrow enough, and it came so", f"**{sum(run.covered and run.narrow for run in runs)}**"),
        ("refused, or wider than ± 0.5 points", f"{sum(not run.narrow for run in runs)}"),
        ("did not come so", f"{sum(run.narrow and not run.covered for run in runs)}"),
        ("half width of the interval, median (largest), points", f"{np.median(width):.2f} ({width.max():.2f})"),
        ("expected share, mean", f"{100 * promised[:, 0].mean():.2f} %"),
        ("share that came, mean (5th to 95th of 100)", f"{100 * came.mean():.2f} % ({low:.2f}-{high:.2f})"),
        ("another population, mean (5th to 95th of 100)", f"{other}; {int(inside.sum())} of {len(made)} inside"),
        ("honest by the truth, but left out by tuning for want of an outcome", f"{left_out:,} of {all_decisions:,}"),
    ]
    print("\n| tuned on a month for 1 %, held against the next | |\n|---|---|")
    print("\n".join(f"| {what} | {value} |" for what, value in rows))


def main() -> None:
    """Play the worlds that are missing, then tune and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--worlds", type=Path, default=Path("data/bench-tuning"))
    asked = parser.parse_args()
    asked.worlds.mkdir(parents=True, exist_ok=True)
    here = [asked.worlds / f"world-{seed}.npz" for seed in range(1, asked.seeds + 1)]
    others = [asked.worlds / f"other-{seed}.npz" for seed in range(1, min(OTHERS, asked.seeds) + 1)]
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        played = [pool.submit(play, path, seed, other=False) for seed, path in enumerate(here, 1)]
        played += [pool.submit(play, path, 1000 + seed, other=True) for seed, path in enumerate(others, 1)]
        for done in played:
            print(f"\r{done.result().name:16}", end="", file=sys.stderr, flush=True)
    elsewhere = [world(path) for path in others]
    runs, left_out, total = [], 0, 0
    for seed, path in enumerate(here, 1):
        found = world(path)
        runs.append(keep(seed, found, elsewhere[seed % len(elsewhere)]))
        tuned_on = found.honest & found.month(1)
        left_out += int((tuned_on & (found.decisions.said != HONEST)).sum())
        total += int(tuned_on.sum())
    report(runs, (left_out, total))


if __name__ == "__main__":
    main()
