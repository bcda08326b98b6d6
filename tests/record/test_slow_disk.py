"""The writer on a disk that is slow or hangs (fault case 27): pipes whose readers take their time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import count, islice
from pathlib import Path

import pytest

from riskd.errors import RecordUnavailable
from riskd.metrics import Metrics
from riskd.record.aside import MOST_WAITING, Answers
from riskd.record.reader import ReadReport, read
from riskd.record.schema import DecisionRecord
from riskd.record.writer import CALM_AFTER, Writer
from tests.record.slow_disk import Slowed

Make = Callable[..., DecisionRecord]
MakeSlowed = Callable[..., Slowed]
BUDGET = timedelta(seconds=0.2)


@pytest.fixture
def records(decision: Make, noon: datetime) -> Callable[[int], list[DecisionRecord]]:
    """Return a maker of so many records, no two alike."""
    numbers = count()
    return lambda many: [decision(noon + timedelta(milliseconds=n), n) for n in islice(numbers, many)]


Records = Callable[[int], list[DecisionRecord]]


@pytest.fixture
def slowed(tmp_path: Path, records: Records) -> Iterator[MakeSlowed]:
    """Return a maker of writers whose disk has hung; afterwards each is let go, closed and without a thread."""
    made: list[Slowed] = []

    def make(**options: object) -> Slowed:
        writer = Writer(tmp_path, **{"budget": BUDGET} | options)  # type: ignore[arg-type]
        made.append(Slowed(writer, tmp_path, lambda: records(1)[0]))
        return made[-1]

    yield make
    for one in made:
        one.end()
        assert not one.writer._aside.running


@asynccontextmanager
async def other_work(least: int) -> AsyncIterator[None]:
    """Hold that the loop got around to at least so many other things, of some ten times as many that it could."""
    done = 0

    async def work() -> None:
        nonlocal done
        while True:
            await asyncio.sleep(0.001)
            done += 1

    working = asyncio.create_task(work())
    yield
    working.cancel()
    assert done >= least


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something comes true."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - it comes true in a thread that knows no loop
            await asyncio.sleep(0.005)


async def begin(writer: Writer, records: list[DecisionRecord]) -> asyncio.Task[Answers]:
    """Hand in records, and return when they are being written."""
    begun = asyncio.create_task(writer.append_aside(records))
    await until(lambda: writer._aside._begun is not None)
    return begun


def recorded(directory: Path) -> int:
    """Return the number of records in the log, all of them whole and none twice."""
    report = ReadReport()
    found = [record.decision_id for record in read(directory, report=report) if isinstance(record, DecisionRecord)]
    assert not report.refused
    assert len(set(found)) == len(found)
    return len(found)


def refused(answers: Answers) -> int:
    """Return how many callers get an error."""
    return sum(isinstance(answer, RecordUnavailable) for answer in answers)


async def test_a_fast_disk_needs_no_thread(tmp_path: Path, records: Records) -> None:
    """On a disk that is never slow both ways in write at once, and no thread is made."""
    writer = Writer(tmp_path, budget=timedelta(minutes=1))
    for _ in range(100):
        assert writer.append_all(records(3)) == [None] * 3
        assert await writer.append_aside(records(2)) == [None] * 2
    assert not writer.slow
    assert not writer._aside.running
    writer.close()
    assert (writer.accepted, writer.written, recorded(tmp_path)) == (500, 500, 500)


async def test_27_hung_for_a_second_and_back(tmp_path: Path, slowed: MakeSlowed, records: Records) -> None:
    """Callers wait no longer than the bound, what was not begun is never written, and the loop goes on meanwhile."""
    one = slowed(on_failure="refuse")
    writer = one.writer
    async with other_work(least=50):
        begun = await begin(writer, records(3))
        waiting = asyncio.create_task(writer.append_aside(records(4)))
        assert refused(await begun) == 3
        assert refused(await waiting) == 4
        assert (writer.dropped, writer.under_way, writer.failing) == (4, 3, True)
        since = time.monotonic()
        for _ in range(50):
            assert refused(await writer.append_aside(records(2))) == 2
        assert time.monotonic() - since < 50 * BUDGET.total_seconds() / 2  # nobody waits for a disk that has hung
        await asyncio.sleep(0.75)
        one.disk.wake()
        await until(lambda: writer.under_way == 0)
    # The three are in the log although their callers could not wait for it; the others are not and never will be.
    assert (writer.accepted, writer.written, writer.dropped, writer.failing) == (109, 5, 104, False)
    assert await writer.append_aside(records(1)) == [None]
    one.end()
    assert recorded(tmp_path) == writer.written == 6


async def test_27_trusted_again_after_fast_writes(slowed: MakeSlowed, records: Records) -> None:
    """A disk that is back is written to by the thread for a while, then without it, and the thread stays idle."""
    metrics = Metrics()
    one = slowed(metrics=metrics, budget=timedelta(seconds=1))
    writer = one.writer
    one.disk.wake()
    async with asyncio.timeout(30):
        while writer.slow:
            assert await writer.append_aside(records(1)) == [None]
    assert writer.written > CALM_AFTER
    assert writer.append_all(records(3)) == [None] * 3
    assert writer._aside.idle
    assert metrics.record_slow.at().value >= 1
    assert (writer.accepted, writer.under_way) == (writer.written, 0)


async def test_27_slow_again_after_it_was_trusted(tmp_path: Path, slowed: MakeSlowed, records: Records) -> None:
    """The thread that idled since takes over once more: there is never a second one."""
    one = slowed(budget=timedelta(seconds=1))
    writer = one.writer
    thread = writer._aside._thread
    one.disk.wake()
    async with asyncio.timeout(30):
        while writer.slow:
            await writer.append_aside(records(1))
    one.slow_down(records(1)[0])
    assert writer._aside._thread is thread
    one.disk.wake()
    assert await writer.append_aside(records(2)) == [None] * 2
    one.end()
    assert recorded(tmp_path) == writer.written == writer.accepted


async def test_27_hung_for_ever_then_closed(tmp_path: Path, slowed: MakeSlowed, records: Records) -> None:
    """Closing waits no longer than the bound and drops what waits; what is being written stays under way, and named."""
    one = slowed(on_failure="count")
    writer = one.writer
    begun = await begin(writer, records(2))
    waiting = asyncio.create_task(writer.append_aside(records(3)))
    await asyncio.sleep(0)
    closing = time.monotonic()
    writer.close()
    assert time.monotonic() - closing < 20 * BUDGET.total_seconds()
    assert (writer.dropped, writer.under_way, writer.slow) == (3, 2, True)
    assert await begun + await waiting == [None] * 5
    assert writer.append_all(records(1)) == [None]  # counted, for it hangs still
    assert (writer.dropped, writer.under_way) == (4, 2)
    writer.close()
    one.end()
    await until(lambda: writer.under_way == 0)
    assert recorded(tmp_path) == writer.written == 4
    await until(lambda: not writer._aside.running)
    assert writer.append_all(records(2)) == [None] * 2
    assert not writer.slow
    assert writer.accepted == writer.written + writer.dropped


@pytest.mark.parametrize("on_failure", ["refuse", "count"])
async def test_27_slow_all_the_time(tmp_path: Path, slowed: MakeSlowed, records: Records, on_failure: str) -> None:
    """Many callers on a disk of some pages a second: each has an answer, and every record is counted exactly once."""
    one = slowed(on_failure=on_failure)
    writer = one.writer
    one.disk.wake(pause_s=0.03)
    answers: list[RecordUnavailable | None] = []

    async def call(number: int) -> None:
        await asyncio.sleep(number * 0.005)
        answers.extend(await writer.append_aside(records(1 + number % 5)))
        assert 0 <= writer.under_way <= 2 * MOST_WAITING

    async with other_work(least=50):
        await asyncio.gather(*(call(number) for number in range(200)))
    one.disk.wake()
    await until(lambda: writer.under_way == 0)
    one.end()
    assert len(answers) == 600
    assert writer.accepted == writer.written + writer.dropped == 602
    assert 2 < writer.written == recorded(tmp_path)
    assert writer.dropped > 0
    if on_failure == "refuse":
        # Whoever was told that the record is there can rely on it.
        assert writer.dropped <= refused(answers)
        assert len(answers) - refused(answers) <= writer.written
    else:
        assert refused(answers) == 0


async def test_27_what_waits_is_bounded(tmp_path: Path, slowed: MakeSlowed, records: Records) -> None:
    """More records than may wait are dropped at once, before the disk counts as hung."""
    one = slowed(on_failure="refuse")
    writer = one.writer
    groups = [await begin(writer, records(1))]
    same = records(100)
    groups += [asyncio.create_task(writer.append_aside(same)) for _ in range(30)]
    await asyncio.sleep(0)
    assert writer._aside._records <= MOST_WAITING
    assert writer.under_way == 1_001
    assert writer.dropped == 2_000
    assert sum(map(refused, await asyncio.gather(*groups))) == 3_001
    assert writer.under_way == 1
    one.end()
    assert (writer.written, writer.dropped) == (3, 3_000)
    assert recorded(tmp_path) == 3


async def test_27_a_caller_who_goes_away_leaves_nothing_uncounted(
    tmp_path: Path, slowed: MakeSlowed, records: Records
) -> None:
    """A cancelled caller's records are dropped when they wait, and end as they end when they have been begun."""
    one = slowed()
    writer = one.writer
    callers = [await begin(writer, records(2)), asyncio.create_task(writer.append_aside(records(3)))]
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
        with suppress(asyncio.CancelledError):
            await caller
    assert (writer.dropped, writer.under_way) == (3, 2)
    one.end()
    assert recorded(tmp_path) == writer.written == 4
    assert writer.accepted == 7


def test_27_callers_without_a_loop_wait_no_longer(tmp_path: Path, slowed: MakeSlowed, records: Records) -> None:
    """`append` on a slow disk blocks up to the bound, and knows what became of its record when the disk is in time."""
    one = slowed(on_failure="refuse")
    writer = one.writer
    with pytest.raises(RecordUnavailable, match="too slow"):
        writer.append(records(1)[0])
    with pytest.raises(RecordUnavailable, match="too slow"):
        writer.append(records(1)[0])
    assert (writer.dropped, writer.under_way) == (1, 1)
    one.disk.wake()
    while writer.under_way:
        time.sleep(0.01)
    writer.append(records(1)[0])
    one.end()
    assert recorded(tmp_path) == writer.written == 4


async def test_27_a_bad_record_is_lost_alone_on_a_slow_disk_too(
    tmp_path: Path, slowed: MakeSlowed, records: Records, decision: Make
) -> None:
    """Each caller of a group that the thread writes gets the answer for its own record."""
    metrics = Metrics()
    one = slowed(on_failure="refuse", metrics=metrics)
    one.disk.wake()
    answers = await one.writer.append_aside([*records(2), decision(caller="\ud800"), *records(1)])
    assert [answer is None for answer in answers] == [True, True, False, True]
    one.end()
    assert metrics.record_failures.at("encoding").value == 1
    assert recorded(tmp_path) == one.writer.written == 5
