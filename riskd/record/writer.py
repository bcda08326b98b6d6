"""Appends records to this process's log files, before the answers they belong to leave, and counts them.

When the disk refuses, nothing is silent: the loss is counted by kind, and either the caller learns of it (`refuse`) or
the decision is answered all the same (`count`). Exactly: accepted = written + dropped.

When the disk is slow, a thread writes and callers wait for it up to a bound. What it has not begun by then is dropped
and never written; what it is writing is counted when the disk has answered, and under way until then:
accepted = written + dropped + under way. The first slow write is noticed when it is over: it holds up the event loop
for as long as the disk takes, which no bound can help, for nobody knows of a disk beforehand that it will hang.
"""

import asyncio
import errno
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import Literal

from riskd.errors import RecordUnavailable
from riskd.metrics import Metrics
from riskd.record.aside import Answers, Aside, Group
from riskd.record.log import Log
from riskd.record.schema import MAX_LINE, Record

OnFailure = Literal["refuse", "count"]

SLOW_SHARE = 0.1
"""A write that took more than this share of the budget is slow: a loop that stands still is worse than one caller."""
CALM_AFTER = 32
"""Fast writes in a row after which a slow disk is trusted again."""


class Writer:
    """The log of one process. One writer belongs to one event loop; it is not for several threads."""

    def __init__(
        self,
        directory: Path,
        *,
        on_failure: OnFailure = "refuse",
        max_bytes: int = 64 * 2**20,
        max_age: timedelta = timedelta(hours=1),
        budget: timedelta = timedelta(seconds=0.25),
        metrics: Metrics | None = None,
    ) -> None:
        """Write to `directory`, made when missing, starting a new file after `max_bytes` or `max_age` (≤ 24 h).

        Nothing is opened before the first record. `on_failure` says what a caller gets whose record is lost. `budget`
        is the longest that a caller waits for a disk that is known to be slow.
        """
        metrics = metrics or Metrics()
        self._directory = directory
        self._log = Log(directory, max_bytes=max_bytes, max_age=max_age)
        self._refuse = on_failure == "refuse"
        self._budget_s = budget.total_seconds()
        self._slow_s = self._budget_s * SLOW_SHARE
        self._aside = Aside(self._write, self._log.close, late_s=self._budget_s)
        self._fast = 0  # fast writes in a row
        self._counting = threading.Lock()
        self._written = metrics.record_written.at()
        self._dropped = metrics.record_dropped.at()
        self._failures = metrics.record_failures
        self._slow_writes = metrics.record_slow.at()
        self.accepted = 0
        """Records handed in so far."""
        self.failing = False
        """The latest record was lost."""
        self.slow = False
        """The disk is slow: `append_aside` waits for it without holding up the event loop, `append_all` does not."""

    @property
    def written(self) -> int:
        """Records that reached the log."""
        return int(self._written.value)

    @property
    def dropped(self) -> int:
        """Records that were lost."""
        return int(self._dropped.value)

    @property
    def under_way(self) -> int:
        """Records that wait for a slow disk or are just being written to it; 0 otherwise."""
        with self._counting:
            return self.accepted - self.written - self.dropped

    def rotate(self, max_bytes: int, max_age: timedelta) -> None:
        """Start a new file after `max_bytes` or `max_age` (≤ 24 h) from now on; the open file ends by them, too."""
        self._log.rotate(max_bytes, max_age)

    def append(self, record: Record) -> None:
        """Write one record; its own time is the clock that files are rotated by.

        Raises RecordUnavailable when the record is lost and `on_failure` is `refuse`.
        """
        (refusal,) = self.append_all((record,))
        if refusal is not None:
            raise refusal

    def append_all(self, records: Sequence[Record]) -> Answers:
        """Write records, one at least, in one write; return for each the error that its caller must get.

        That is None when the record is in the log, or is lost and `on_failure` is `count`. What one record suffers does
        not touch the others: one that JSON cannot hold or that is too long is lost alone. Blocks, while the disk is
        known to be slow no longer than the budget.
        """
        self.accepted += len(records)
        if not self.slow or self._calm():
            answers = self._write(records)
            if self._fast == 0:
                self.slow = True
                self._aside.start()
            return answers
        group = self._aside.put(records)
        if group is None:
            return self._lose(records)
        with suppress(TimeoutError):
            group.answers.result(self._budget_s)
        return self._leave(group)

    async def append_aside(self, records: Sequence[Record]) -> Answers:
        """Do what `append_all` does, for a slow disk: other tasks run meanwhile.

        A record that is still being written when the budget ends counts as lost for its caller alone.
        """
        if not self.slow or self._calm():
            return self.append_all(records)
        self.accepted += len(records)
        group = self._aside.put(records)
        if group is None:
            return self._lose(records)
        told = asyncio.wrap_future(group.answers)
        try:
            await asyncio.wait((told,), timeout=self._budget_s)
        finally:  # a caller who went away must not leave records behind that nobody counts
            answers = self._leave(group)
            told.cancel()
        return answers

    def probe(self) -> None:
        """While records are lost, try whether the disk takes one again; blocks, so call it from a thread.

        Whoever looks at /readyz sends nobody here meanwhile, so no record would come to find out.
        """
        if not self.failing:
            return
        try:
            with TemporaryFile(dir=self._directory) as beside:
                beside.write(bytes(MAX_LINE))
        except OSError:
            return
        with self._counting:
            self.failing = False

    def close(self) -> None:
        """Close the file; a later record opens a new one. Waits for a slow disk no longer than the budget."""
        for group in self._aside.end():
            group.answers.set_result(self._lose(group.records))
        self.slow = self._aside.running

    def _calm(self) -> bool:
        """Take the log back from the thread when the disk has been fast for a while, or the thread has ended."""
        calm = self._aside.idle and (self._fast >= CALM_AFTER or not self._aside.running)
        self.slow = not calm
        return calm

    def _write(self, records: Sequence[Record]) -> Answers:
        """Write and count; in the thread while the disk is slow."""
        begun = monotonic()
        failures = self._log.append(records)
        if monotonic() - begun <= self._slow_s:
            self._fast += 1
        else:
            self._fast = 0
            self._slow_writes.inc()
        if any(failures):
            return self._settle(failures)
        with self._counting:
            self._written.value += len(failures)
            self.failing = False
        return [None] * len(failures)

    def _leave(self, group: Group) -> Answers:
        """Wait no longer: return what is known, and drop what has not been begun."""
        if self._aside.take_back(group):
            return self._lose(group.records)
        if group.answers.done():
            return group.answers.result()
        return [self._answer(_late()) for _ in group.records]

    def _lose(self, records: Sequence[Record]) -> Answers:
        return self._settle([_late()] * len(records))

    def _settle(self, failures: list[Exception | None]) -> Answers:
        """Count what became of records of which some are lost, and return what their callers get to hear."""
        lost = [failure for failure in failures if failure is not None]
        with self._counting:
            self._written.value += len(failures) - len(lost)
            self._dropped.value += len(lost)
            for failure in lost:
                self._failures.at(_kind(failure)).inc()
            self.failing = failures[-1] is not None
        return [self._answer(failure) for failure in failures]

    def _answer(self, failure: Exception | None) -> RecordUnavailable | None:
        if failure is None or not self._refuse:
            return None
        refusal = RecordUnavailable(f"the decision record cannot be written: {failure}")
        refusal.__cause__ = failure
        return refusal


def _late() -> Exception:
    return TimeoutError(errno.ETIMEDOUT, "the disk is too slow")


def _kind(failure: Exception) -> str:
    if isinstance(failure, MemoryError):
        return "enomem"
    number = failure.errno if isinstance(failure, OSError) else None
    return errno.errorcode.get(number or 0, "encoding").lower()
