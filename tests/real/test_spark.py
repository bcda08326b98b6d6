"""Spark and one machine give the same: a model with a supervised head, a store that was taught, and what goes wrong."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from riskd.contract import Reported
from riskd.errors import RiskdError
from riskd.learn import blocks
from riskd.learn import spark as engine
from riskd.learn.blocks import HERE, Engine, Log
from riskd.learn.importing.glean import Gleaned, glean
from riskd.learn.sift import Sift
from riskd.learn.simulate.run import simulate
from riskd.learn.simulate.stream import Size
from riskd.learn.sources import sources
from riskd.learn.spark import Spark, spark
from riskd.learn.train import train
from riskd.policy import Policy
from riskd.record.parquet import export
from riskd.record.reader import read_lines
from tests.command import riskd
from tests.learn.logs import decision, outcome, write

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore:.*:ResourceWarning")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Spark]:
    """Spark's local cluster: executors in processes of their own."""
    os.environ["PYSPARK_SUBMIT_ARGS"] = "--master local-cluster[2,1,1024] pyspark-shell"
    try:
        with spark() as opened:
            yield opened
    finally:
        del os.environ["PYSPARK_SUBMIT_ARGS"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, default_policy: Policy) -> Path:
    """A small world's log in partitions of Parquet, a day each."""
    folder = tmp_path_factory.mktemp("parts")
    log = simulate(folder / "sim", Size(subjects=1700, days=90, seed=3), default_policy).log
    for number, path in enumerate(sorted(log.iterdir())):
        (folder / "log" / f"part={number:03}").mkdir(parents=True)
        export(read_lines([path]), folder / "log" / f"part={number:03}" / "log.parquet")
    return folder / "log"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, tasks and waves of a small log that are as many as of a large one."""
    monkeypatch.setattr(blocks, "ALONE", 1)
    monkeypatch.setattr(engine, "TASK_BYTES", 100_000)
    monkeypatch.setattr(engine, "FIRST_WAVE", 2)


@pytest.mark.usefixtures("small")
def test_the_same_model_with_its_head(
    cluster: Spark, parts: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Sample, forest, calibration and supervised head are the same to the byte, also where few rows are sampled."""
    monkeypatch.setattr("riskd.learn.supervise.reason_against", lambda _labelled: None)
    monkeypatch.setattr("riskd.learn.labelled.LEAST_ATTACKS", 10)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    made = [
        train(
            parts, tmp_path / name, now=now, source="x", maturity=timedelta(days=7), supervised=True, engine=one
        )
        for name, one in (("here", HERE), ("there", cluster))
    ]  # fmt: skip
    here, there = made
    assert here.no_head is None
    assert there.training == here.training
    assert there.metrics == here.metrics
    assert (there.folder / "model.onnx").read_bytes() == (here.folder / "model.onnx").read_bytes()
    assert (there.folder / "manifest.json").read_bytes() == (here.folder / "manifest.json").read_bytes()


@pytest.mark.usefixtures("small")
def test_a_backfill_gleans_the_same(cluster: Spark, parts: Path) -> None:
    """What a store is taught comes in the same order, whoever reads the log."""
    log = Log(sources([parts]))

    def gleaned(by: Engine) -> list[tuple[int, Gleaned]]:
        return list(by.over(log, glean))

    here = gleaned(HERE)
    assert gleaned(cluster) == here
    assert sum(len(one.outcomes) for _, one in here) > 100


def test_hostile_files_are_counted_alike(cluster: Spark, tmp_path: Path) -> None:
    """Torn lines, damaged ones and files that are no archive are counted by tasks as by this machine."""
    records = [decision(number) for number in range(50)]
    write(tmp_path / "a.jsonl", [*records, outcome(records[3], Reported.CONFIRMED_FRAUD)])
    (tmp_path / "b.jsonl.gz").write_bytes(b"no archive")
    (tmp_path / "c.jsonl").write_bytes(b"[" * 50_000 + b"\n" + b'{"half":')
    (tmp_path / "d.parquet").write_bytes(b"PAR1 and no more")
    log = Log(sources([tmp_path / "*"]))
    found = []
    for by in (HERE, cluster):
        sifted = [one for _, one in by.over(log, Sift(now=None, since=None, until=None, kinds=None))]
        found.append(([(one.found, one.told, one.refused) for one in sifted], log.read))
    assert found[0] == found[1]
    assert log.refused == {"unreadable": 2, "torn": 1}


def test_a_task_that_dies_is_told(cluster: Spark, tmp_path: Path) -> None:
    """An error that nobody foresaw ends the run with its last line."""
    write(tmp_path / "a.jsonl", [decision(1)])
    with pytest.raises(RiskdError, match=r"Spark gave up: .*ZeroDivisionError"):
        list(cluster.over(Log(sources([tmp_path])), _divide))


def _divide(block: bytes) -> float:
    return len(block) / 0


def test_without_java_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Java is told what to install."""
    write(tmp_path / "a.jsonl", [decision(1)])
    monkeypatch.delenv("PYSPARK_SUBMIT_ARGS", raising=False)
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    done = riskd("evaluate", "--log", tmp_path, "--engine", "spark", "--model", "none")
    assert done.returncode != 0
    assert "Java did not start; Spark needs a JRE 17 or later" in done.stderr
