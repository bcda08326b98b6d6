"""The same work as on one machine, done by a Spark cluster: tasks read the files themselves, and hand on what was made.

Files are taken in the order of the log, some together in a task, and tasks in waves that grow: work that learns while
results come in (`blocks.Work`) travels anew with each. What tasks made waits on the disks of the cluster and comes to
this process one task after the other, so its memory does not grow with the log.
"""

import os
import pickle
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from riskd.errors import ConfigError, RiskdError
from riskd.learn.blocks import Done, Log, Read, Work, blocks_of
from riskd.learn.sources import Source

TASK_BYTES: Final = 32 << 20
"""Bytes of files, as they lie on disk, that one task reads; a larger file is one task."""
FIRST_WAVE: Final = 8
"""Tasks of the first wave; each later one has `GROWS` times as many."""
GROWS: Final = 4
_MADE = "made binary"


class Spark:
    """A session of Spark, as an engine."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - of a module that may not be installed
        self._session = session

    def over(self, log: Log, work: Work[Done]) -> Iterator[tuple[int, Done]]:
        """Go through a log, as an `Engine` does."""
        log.read = []
        for wave in _waves(_tasks(log.files)):
            for one in self._made(wave, work):
                made = pickle.loads(one)  # noqa: S301 - pickled by a task of this program
                if isinstance(made, RiskdError):
                    raise made
                if isinstance(made, Read):
                    log.read.append(made)
                else:
                    yield made

    def _made(self, wave: "list[Task]", work: Work[Done]) -> Iterator[bytes]:
        """Have a wave done, all of it at once, then yield what was made in the order of the log."""
        storage = import_module("pyspark").StorageLevel.DISK_ONLY
        failures = (import_module("pyspark.errors").PySparkException, import_module("py4j.protocol").Py4JError)
        count = len(wave)
        frame = self._session.range(0, count, 1, count).mapInArrow(_Done(wave, work), _MADE).persist(storage)
        try:
            frame.count()
            for row in frame.toLocalIterator(prefetchPartitions=True):
                yield row[0]
        except failures as error:
            raise RiskdError(f"Spark gave up: {_cause(str(error))}; docs/spark.md says what its tasks need") from error
        finally:
            frame.unpersist()


Task = list[tuple[int, Source]]
"""Files of one task, with their numbers in the log."""


class _Done:
    """What runs in the tasks of a wave."""

    def __init__(self, tasks: list[Task], work: Work[Any]) -> None:
        self._tasks, self._work = tasks, work

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Take numbers of tasks, a column of Arrow batches; yield what was made of each block, pickled."""
        batch_of = import_module("pyarrow").RecordBatch.from_pydict
        for batch in batches:
            for number in batch.column(0).to_pylist():
                for made in self._do(self._tasks[number]):
                    yield batch_of({"made": [pickle.dumps(made)]})

    def _do(self, task: Task) -> Iterator[object]:
        try:
            for number, source in task:
                for block in blocks_of(source):
                    yield block if isinstance(block, Read) else (number, self._work(block))
        except RiskdError as error:
            yield RiskdError(str(error))  # one that any version of Python takes apart and puts together


@contextmanager
def spark() -> Iterator[Spark]:
    """Open a session, as Spark's own settings and `spark-submit` say, for as long as the block.

    Raises ConfigError where PySpark or Java is missing.
    """
    # Workers must run this Python, unless somebody says which: on a cluster it lies elsewhere.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        sql, errors = import_module("pyspark.sql"), import_module("pyspark.errors")
        import_module("pandas")  # mapInArrow looks for it, and hands nothing through it
        import_module("pyarrow")
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        raise ConfigError(f"--engine spark: {missing} is missing: pip install 'riskd[spark]'") from None
    builder = sql.SparkSession.builder.appName("riskd").config("spark.ui.showConsoleProgress", "false")
    try:
        session = builder.getOrCreate()
    except errors.PySparkRuntimeError as error:
        if error.getCondition() != "JAVA_GATEWAY_EXITED":
            raise
        raise ConfigError(
            "--engine spark: Java did not start; Spark needs a JRE 17 or later (Debian: apt install "
            "default-jre-headless), found on PATH or by JAVA_HOME"
        ) from None
    try:
        yield Spark(session)
    finally:
        session.stop()


def _tasks(files: Sequence[Source]) -> Iterator[Task]:
    """Yield files that lie beside each other, together as long as they are small."""
    task: Task = []
    held = 0
    for number, source in enumerate(files):
        if task and held + source.size > TASK_BYTES:
            yield task
            task, held = [], 0
        task.append((number, source))
        held += source.size
    if task:
        yield task


def _waves(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    wave: list[Task] = []
    most = FIRST_WAVE
    for task in tasks:
        wave.append(task)
        if len(wave) == most:
            yield wave
            wave, most = [], most * GROWS
    if wave:
        yield wave


def _cause(text: str) -> str:
    """Return the line of a traceback, Python's in Java's, that says what happened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if "Error: " in line or "Exception: " in line]
    return (named or lines or ["it did not say why"])[-1][:300]
