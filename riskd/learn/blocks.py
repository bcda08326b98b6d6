"""A log in blocks of lines, and the same work done on each: by the processes of one machine, or by a cluster (`spark`).

Whoever sums up gets what was made of the blocks in their order, and a block ends where its file does: so both engines
give the same numbers. Memory does not grow with the log: here this process reads, never more than a few blocks ahead of
the slowest worker.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from riskd.errors import RiskdError
from riskd.learn.sources import Reading, Source

BLOCK_BYTES = 1 << 20
"""About what a worker gets at once: some 500 decisions."""
ALONE = 16
"""Blocks that this process does itself: in the time that others take to start it would be done with more."""
AHEAD = 2
"""Blocks per worker that are read before the oldest is done."""

Done = TypeVar("Done")
Work = Callable[[bytes], Done]
"""What is done with a block. It travels as it is at that moment: what it holds may change while results come in."""


class Read(Struct, frozen=True):
    """How a file was read."""

    name: str
    sha256: str
    """Over its lines, hex."""
    refused: dict[str, int]
    """Lines passed over by reason, and `unreadable` for a file given up."""


class Log:
    """The files of a log; each time it is gone through, how they were read is told anew."""

    def __init__(self, files: Sequence[Source]) -> None:
        self.files = files
        self.read: list[Read] = []
        """Of each file, in order; complete once an engine came to the end."""

    @property
    def refused(self) -> Counter[str]:
        """What could not be read, by reason."""
        return sum((Counter(file.refused) for file in self.read), Counter())


class Engine(Protocol):
    """Goes through a log."""

    def over(self, log: Log, work: Work[Done]) -> Iterator[tuple[int, Done]]:
        """Yield what `work` makes of each block, in their order, with the number of the block's file.

        `work` must be one that can be pickled. Raises RiskdError, also for a worker that died.
        """


def in_blocks(lines: Iterable[bytes], size: int | None = None) -> Iterator[bytes]:
    """Yield whole lines together, in blocks of at least `size` bytes (`BLOCK_BYTES`) but the last."""
    size = size or BLOCK_BYTES
    block: list[bytes] = []
    held = 0
    for line in lines:
        block.append(line)
        held += len(line)
        if held >= size:
            yield b"".join(block)
            block, held = [], 0
    if block:
        yield b"".join(block)


def blocks_of(source: Source) -> Iterator[bytes | Read]:
    """Yield the blocks of a file, and at last how it was read."""
    reading = Reading(source)
    yield from in_blocks(reading)
    yield Read(source.name, reading.digest, dict(reading.refused))


class Local:
    """The processes of this machine."""

    def __init__(self, jobs: int = 0) -> None:
        """`jobs` processes work at once, 0 means one per core; few blocks are done in this process."""
        self._jobs = jobs

    def over(self, log: Log, work: Work[Done]) -> Iterator[tuple[int, Done]]:
        """Go through a log, as an `Engine` does."""
        jobs = self._jobs or len(os.sched_getaffinity(0))
        left = _numbered(log)
        first = list(islice(left, ALONE + 1))
        if jobs == 1 or len(first) <= ALONE:
            yield from ((number, work(block)) for number, block in chain(first, left))
            return
        waiting: deque[tuple[int, Future[Done]]] = deque()
        # Spawned, not forked: a process that holds a model's runtime has threads.
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            try:
                for number, block in chain(first, left):
                    waiting.append((number, pool.submit(work, block)))
                    if len(waiting) >= AHEAD * jobs:
                        yield _finished(*waiting.popleft())
                while waiting:
                    yield _finished(*waiting.popleft())
            except BrokenProcessPool:
                raise RiskdError("a worker died; is there enough memory? --jobs 1 takes the least") from None
            finally:
                pool.shutdown(cancel_futures=True)


HERE: Final = Local()
"""One process per core."""


def _numbered(log: Log) -> Iterator[tuple[int, bytes]]:
    log.read = []
    for number, source in enumerate(log.files):
        for block in blocks_of(source):
            if isinstance(block, Read):
                log.read.append(block)
            else:
                yield number, block


def _finished(number: int, done: Future[Done]) -> tuple[int, Done]:
    return number, done.result()
