"""Writes groups of records in a thread of its own while the disk is slow, so that no event loop waits for it.

The thread writes all that waits at once: a disk that takes its time per write, not per byte, keeps up. What waits is
bounded in records, and nothing waits behind a write that is late already: such a disk has hung.

Groups and thread meet under one lock: a group either waits, and can be taken back, or has been begun.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import islice
from time import monotonic

from riskd.errors import RecordUnavailable
from riskd.record.schema import Record

Answers = list[RecordUnavailable | None]
"""For each record of a group the error that its caller must get, or None."""

MOST_WAITING = 1_024
"""Records that wait at most: what some thousand decisions a second bring while one write takes its time."""


class Group:
    """Records that are written together."""

    __slots__ = ("answers", "records")

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.answers: Future[Answers] = Future()
        """Known when they are written."""


class Aside:
    """The thread, and what waits for it."""

    def __init__(
        self, write: Callable[[Sequence[Record]], Answers], close: Callable[[], None], *, late_s: float
    ) -> None:
        """`write` puts records into the log, `close` closes it; a write that takes more than `late_s` is late."""
        self._write = write
        self._close = close
        self._late_s = late_s
        self._changed = threading.Condition()
        self._waiting: deque[Group] = deque()
        self._records = 0  # in `_waiting`
        self._begun: float | None = None  # since when the thread writes, by the monotonic clock
        self._ending = False
        self._thread: threading.Thread | None = None

    @property
    def idle(self) -> bool:
        """The thread has nothing to do and does not touch the log before it gets some."""
        with self._changed:
            return self._begun is None and not self._waiting and not (self._ending and self._thread)

    @property
    def running(self) -> bool:
        """There is a thread."""
        return self._thread is not None

    def start(self) -> None:
        """Make the thread, unless it is there."""
        with self._changed:
            if self._thread is None:
                self._ending = False
                self._thread = threading.Thread(target=self._run, name="riskd-record", daemon=True)
                self._thread.start()

    def put(self, records: Sequence[Record]) -> Group | None:
        """Let records wait for the thread; return None when the disk has hung or too many wait already."""
        with self._changed:
            hung = self._begun is not None and monotonic() - self._begun > self._late_s
            if hung or self._records + len(records) > MOST_WAITING:
                return None
            group = Group(records)
            self._waiting.append(group)
            self._records += len(records)
            self._changed.notify()
            return group

    def take_back(self, group: Group) -> bool:
        """Return True when the group has not been begun, which it then never is."""
        with self._changed:
            if group not in self._waiting:
                return False
            self._waiting.remove(group)
            self._records -= len(group.records)
            return True

    def end(self) -> list[Group]:
        """Let the thread write what waits, close the log and go; return the groups it had not begun after `late_s`.

        A thread that still writes then closes the log and goes when the disk lets it. Without a thread the log is
        closed at once.
        """
        with self._changed:
            thread = self._thread
            self._ending = True
            self._changed.notify()
        if thread is None:
            self._close()
            return []
        thread.join(self._late_s)
        with self._changed:
            return self._begin()

    def _run(self) -> None:
        while True:
            groups = self._next()
            if groups:
                answers = iter(self._write([record for group in groups for record in group.records]))
                for group in groups:
                    group.answers.set_result(list(islice(answers, len(group.records))))
            else:
                self._close()
                with self._changed:
                    if not self._waiting:
                        self._thread = None
                        return

    def _next(self) -> list[Group]:
        """Wait for groups; return all that wait, or none when it is time to end."""
        with self._changed:
            self._begun = None
            while not (self._waiting or self._ending):
                self._changed.wait()
            groups = self._begin()
            self._begun = monotonic() if groups else None
            return groups

    def _begin(self) -> list[Group]:
        groups = list(self._waiting)
        self._waiting.clear()
        self._records = 0
        for group in groups:
            group.answers.set_running_or_notify_cancel()  # from here on nobody can cancel it
        return groups
