"""A log in blocks of lines, and the same work done on each, with several processes where there are several blocks.

The reading process is never more than a few blocks ahead of the slowest worker, so memory does not grow with the log.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context
from typing import TypeVar

from riskd.errors import RiskdError

BLOCK_BYTES = 1 << 20
"""About what a worker gets at once: some 500 decisions."""
ALONE = 16
"""Blocks that this process does itself: in the time that others take to start it would be done with more."""
AHEAD = 2
"""Blocks per worker that are read before the oldest is done."""

Done = TypeVar("Done")


def in_blocks(lines: Iterable[bytes], size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Yield whole lines together, in blocks of at least `size` bytes but the last."""
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


def over_blocks(work: Callable[[bytes], Done], blocks: Iterable[bytes], jobs: int = 0) -> Iterator[Done]:
    """Yield what `work` makes of each block, in their order; few blocks are done in this process.

    `jobs` processes work at once, 0 means one per core; `work` must be a function of a module. Raises RiskdError when a
    worker dies.
    """
    jobs = jobs or len(os.sched_getaffinity(0))
    left = iter(blocks)
    first = list(islice(left, ALONE + 1))
    if jobs == 1 or len(first) <= ALONE:
        yield from map(work, chain(first, left))
        return
    waiting: deque[Future[Done]] = deque()
    # Spawned, not forked: a process that holds a model's runtime has threads.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            for block in chain(first, left):
                waiting.append(pool.submit(work, block))
                if len(waiting) >= AHEAD * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise RiskdError("a worker died; is there enough memory? --jobs 1 takes the least") from None
        finally:
            pool.shutdown(cancel_futures=True)
