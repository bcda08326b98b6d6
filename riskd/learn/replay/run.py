"""Goes through a log block by block, with several processes where it is long, and sums up what they found.

Memory does not grow with the log: this process reads and hands on, never more than a few blocks ahead of the slowest
worker, and keeps the sums; the join with outcomes goes through temporary files (`labels`).
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime, timedelta
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path

from riskd.contract import Outcome
from riskd.errors import ConfigError, RiskdError
from riskd.learn.replay.labels import Join, Subjects
from riskd.learn.replay.report import Report, report_of
from riskd.learn.replay.tally import CELLS, SEVERER, Tally, cell
from riskd.learn.replay.work import Order, tally_block
from riskd.policy.load import load
from riskd.record.files import log_files
from riskd.record.parquet import PARQUET
from riskd.record.reader import ReadReport, read_lines

BLOCK_BYTES = 1 << 20
"""About what a worker gets at once: some 500 decisions."""
AHEAD = 2
"""Blocks per worker that are read before the oldest is done."""
_STOPPED_THEN = frozenset(cell(then, now) for then in range(1, len(Outcome)) for now in range(len(Outcome)))
_STOPPED_NOW = frozenset(cell(then, now) for then in range(len(Outcome)) for now in range(1, len(Outcome)))
_GROUPS = (frozenset(range(CELLS)), _STOPPED_THEN, _STOPPED_NOW, SEVERER)


def replay(
    log: Sequence[Path],
    order: Order,
    *,
    now: datetime,
    jobs: int = 0,
    tell: Callable[[int], None] = lambda _decisions: None,
) -> Report:
    """Judge the decisions of a log again, as ordered, and report both sides.

    `log` are folders and files (JSONL, compressed or not, and Parquet); `jobs` processes work at once, 0 means one per
    core, and a log of one block is judged in this process. `tell` hears how many decisions are done. Raises ConfigError
    for a log that is not there, RiskdError when a worker dies.
    """
    read = ReadReport()
    blocks = _blocks(read_lines(log_sources(log), since=order.since, until=_last_outcome(order), report=read))
    total, join, subjects = Tally(order.examples), Join(), Subjects()
    try:
        for tally in _tallies(blocks, order, jobs or len(os.sched_getaffinity(0))):
            total.add(tally)
            join.add(tally.decided, tally.told)
            subjects.add(tally.decided, _GROUPS)
            tell(total.decisions)
        total.refused.update(read.refused)
        counted = [subjects.count(group) for group in range(len(_GROUPS))]
        return report_of(total, join.cells(CELLS), counted, order, log, now=now)
    finally:
        join.close()


def log_sources(log: Sequence[Path]) -> list[Path]:
    """Return the files of a log: those named, and of each folder its log files, or else its Parquet files.

    A folder may also be the one that holds `log/`. Raises ConfigError where there are none.
    """
    found: list[Path] = []
    for path in log:
        if path.is_file():
            found.append(path)
            continue
        folder = path / "log" if (path / "log").is_dir() else path
        inside = [file.path for file in log_files(folder)] or sorted(folder.glob(f"*{PARQUET}"))
        if not inside:
            raise ConfigError(f"{path}: no decision log is there")
        found.extend(inside)
    return found


def _last_outcome(order: Order) -> datetime | None:
    """Return until when outcomes of the decisions asked for may have come in."""
    if order.until is None:
        return None
    windows = [load(path).file.learning.outcome_window for path in (order.policy, *order.known)]
    return order.until + max(windows) + timedelta(days=1)


def _blocks(lines: Iterable[bytes]) -> Iterator[bytes]:
    block: list[bytes] = []
    held = 0
    for line in lines:
        block.append(line)
        held += len(line)
        if held >= BLOCK_BYTES:
            yield b"".join(block)
            block, held = [], 0
    if block:
        yield b"".join(block)


def _tallies(blocks: Iterator[bytes], order: Order, jobs: int) -> Iterator[Tally]:
    first = list(islice(blocks, 2))
    if jobs == 1 or len(first) < 2:
        for block in chain(first, blocks):
            yield tally_block(order, block)
        return
    waiting: deque[Future[Tally]] = deque()
    # Spawned, not forked: the runtime of the model has threads.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            for block in chain(first, blocks):
                waiting.append(pool.submit(tally_block, order, block))
                if len(waiting) >= AHEAD * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise RiskdError("a worker of the replay died; is there enough memory? --jobs 1 takes the least") from None
        finally:
            pool.shutdown(cancel_futures=True)
