"""Numbers of several workers, added up through files."""

import subprocess
import sys
from pathlib import Path

import msgspec

from riskd.app.tally import Tally
from riskd.metrics import Metrics, Snapshot


def counted(tally: Tally) -> float:
    """Return the outcomes counted by all workers."""
    return sum(
        s.value for family in tally.read().families if family.name == "riskd_outcomes_total" for s in family.samples
    )


def left_by_a_dead_worker(tmp_path: Path, count: int) -> Path:
    """Write the numbers of a process that does not live any more."""
    metrics = Metrics()
    metrics.outcomes.at("login_failed").inc(count)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    path = tmp_path / "run" / "metrics" / f"{process.pid}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(metrics.snapshot()))
    return path


def test_what_dead_workers_counted_stays(tmp_path: Path) -> None:
    """A worker that died without a word is taken over once, and its file goes."""
    metrics = Metrics()
    tally = Tally(tmp_path, metrics)
    metrics.outcomes.at("login_failed").inc(3)
    dead = left_by_a_dead_worker(tmp_path, 4)
    assert counted(tally) == 7
    tally.write()
    tally.write()
    assert not dead.exists()
    assert counted(tally) == 7


def test_who_leaves_is_not_counted_twice(tmp_path: Path) -> None:
    """After a worker left, others see its numbers once."""
    one, other = Metrics(), Metrics()
    one.outcomes.at("login_failed").inc(5)
    Tally(tmp_path, one).leave()
    assert counted(Tally(tmp_path, other)) == 5


def test_a_damaged_file_is_left_out(tmp_path: Path) -> None:
    """Half a file costs its own numbers only."""
    metrics = Metrics()
    metrics.outcomes.at("login_failed").inc()
    path = left_by_a_dead_worker(tmp_path, 4)
    path.write_bytes(path.read_bytes()[:-20])
    tally = Tally(tmp_path, metrics)
    tally.write()
    assert counted(tally) == 1
    assert isinstance(tally.read(), Snapshot)
