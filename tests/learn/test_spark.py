"""What of the Spark engine needs no Spark: how files become tasks and waves, what a task hands on, what is missing."""

import os
import pickle
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from riskd.errors import ConfigError, RiskdError
from riskd.learn import spark as engine
from riskd.learn.blocks import Local, Log
from riskd.learn.sources import Source, sources
from riskd.learn.spark import FIRST_WAVE, GROWS, TASK_BYTES, _cause, _Done, _tasks, _waves, spark


def refuse(block: bytes) -> int:
    """Raise what work raises of a log it cannot do."""
    if b"17" in block:
        raise ConfigError("the policy changed")
    return len(block)


def handed_on(log: Log, work: object) -> list[object]:
    """What the tasks of one wave hand on."""
    tasks = list(_tasks(log.files))
    batches = [pa.RecordBatch.from_pydict({"id": list(range(len(tasks)))})]
    return [pickle.loads(made) for batch in _Done(tasks, work)(batches) for made in batch.column(0).to_pylist()]  # type: ignore[arg-type] # noqa: S301 - as the driver does


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Three files, one of them no archive."""
    for name, first in (("a", 0), ("c", 10)):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{first + number}\n" for number in range(10)))
    (tmp_path / "b.jsonl.gz").write_bytes(b"no archive")
    return Log(sources([tmp_path / "*"]))


def test_a_task_hands_on_what_one_machine_makes(log: Log) -> None:
    """Blocks of each file in order with its number, and after them how it was read."""
    here = list(Local(1).over(log, bytes.split))
    made = handed_on(log, bytes.split)
    assert [one for one in made if isinstance(one, tuple)] == here
    assert [one for one in made if not isinstance(one, tuple)] == log.read


def test_an_error_of_the_work_is_handed_on(log: Log) -> None:
    """A task that cannot go on says why instead of dying, and reads no further."""
    *_, last = handed_on(log, refuse)
    assert isinstance(last, RiskdError)
    assert str(last) == "the policy changed"


def test_files_are_cut_into_tasks_and_waves() -> None:
    """Small neighbours share a task, a large file has one of its own, and waves grow; every file is done once."""
    sizes = [TASK_BYTES // 4] * 10 + [3 * TASK_BYTES] + [TASK_BYTES // 2 + 1] * 60
    files = [Source(str(number), size, str(number)) for number, size in enumerate(sizes)]
    tasks = list(_tasks(files))
    assert [number for task in tasks for number, _ in task] == list(range(len(files)))
    assert all(len(task) == 1 or sum(file.size for _, file in task) <= TASK_BYTES for task in tasks)
    assert [len(task) for task in tasks[:4]] == [4, 4, 2, 1]
    waves = list(_waves(tasks))
    assert [task for wave in waves for task in wave] == tasks
    assert [len(wave) for wave in waves] == [FIRST_WAVE, FIRST_WAVE * GROWS, len(tasks) - FIRST_WAVE * (1 + GROWS)]


@pytest.mark.parametrize("module", ["pyspark.sql", "pandas"])
def test_what_is_missing_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Without PySpark, or what it looks for, the command names the extra."""
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(engine, "import_module", _find)
    monkeypatch.setenv("PYSPARK_PYTHON", os.environ.get("PYSPARK_PYTHON", sys.executable))
    with (
        pytest.raises(ConfigError, match=rf"{module.partition('.')[0]} is missing: pip install 'riskd\[spark\]'"),
        spark(),
    ):
        pass


def _find(name: str) -> object:
    if name in sys.modules and sys.modules[name] is None:
        raise ModuleNotFoundError(name=name)
    return object()


def test_the_cause_is_found_in_a_traceback() -> None:
    """Of Java's and Python's many lines the one that names the error is told."""
    text = "Job aborted\n  File x\nModuleNotFoundError: No module named 'riskd'\n\n\tat org.apache.spark.X"
    assert _cause(text) == "ModuleNotFoundError: No module named 'riskd'"
    assert _cause("") == "it did not say why"
