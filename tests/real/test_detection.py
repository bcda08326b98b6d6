"""The bars of detection on months that the shipped model never saw: whom riskd troubles, and whom it stops.

The two commands run as the README has them, on the shipped policy and model and a real store. One month of one world
holds some forty stolen passwords and thirty takeovers, and its shares move by points from seed to seed; so three months
of each of two worlds are judged together, after three months that build up history. That is enough to hold the shares
themselves to the bars, with no allowance for chance. No more than half a year is played, because habits are kept for
half a year and what the store forgets by its own clock a simulation, which plays faster, does not.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from riskd.anomaly.load import current_version
from riskd.learn.evaluate import Share
from riskd.policy.load import SHIPPED
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord
from tests.command import riskd

pytestmark = pytest.mark.real
MODELS = Path(__file__).parents[2] / "models"
SEEDS = (2, 3)
"""The shipped model comes from seed 1."""
SIZE = ("--subjects", "20000", "--days", "180")
JUDGED = ("--last-days", "90")
MOST_TROUBLED = 0.01
LEAST_STOPPED = {"stuffing": 0.95, "spray": 0.95, "stolen_password": 0.95, "takeover": 0.90}


def _riskd(home: Path, *words: str) -> dict[str, Any]:
    """Run a command with nothing set but where the shipped policy and model are; return the JSON it prints."""
    done = riskd(*words, "--json", cwd=home, timeout_s=900, POLICY=SHIPPED / "default.yaml", MODELS_DIR=MODELS)
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def _played(home: Path, seed: int) -> dict[str, Any]:
    out = home / str(seed)
    _riskd(home, "simulate", "--out", str(out), *SIZE, "--seed", str(seed))
    return _riskd(home, "evaluate", "--log", str(out), *JUDGED)


def _pooled(shares: Sequence[dict[str, Any]]) -> Share:
    return Share(sum(share["hits"] for share in shares), sum(share["total"] for share in shares))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the worlds are played."""
    return tmp_path_factory.mktemp("detection")


@pytest.fixture(scope="module")
def months(home: Path) -> list[dict[str, Any]]:
    """What `riskd evaluate` printed of each world; the worlds are played side by side."""
    with ThreadPoolExecutor(len(SEEDS)) as side_by_side:
        return list(side_by_side.map(lambda seed: _played(home, seed), SEEDS))


def test_the_shipped_model_decided(home: Path, months: list[dict[str, Any]]) -> None:
    """No decision was made without the shipped model, or while a source was down."""
    assert [month["degraded"] for month in months] == [0] * len(SEEDS)
    versions = {r.model_version for r in read(home / str(SEEDS[0]) / "log") if isinstance(r, DecisionRecord)}
    assert versions == {current_version(MODELS)}


def test_honest_people_are_left_alone(months: list[dict[str, Any]]) -> None:
    """At most one honest login in a hundred is stepped up or denied."""
    troubled = _pooled([month["honest_logins"] for month in months])
    assert troubled.total > 30_000
    assert troubled.value <= MOST_TROUBLED, str(troubled)


@pytest.mark.parametrize("kind", LEAST_STOPPED)
def test_attackers_are_stopped(kind: str, months: list[dict[str, Any]]) -> None:
    """Stuffing, spray and stolen passwords are stopped in 95 of 100 attempts, takeovers before 90 of 100 payouts."""
    stopped = _pooled([month["stopped"][kind] for month in months])
    assert stopped.total > 150
    assert stopped.value >= LEAST_STOPPED[kind], str(stopped)
