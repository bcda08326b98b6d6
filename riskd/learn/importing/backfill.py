"""Teaches a store what a log knows: the way back after a loss, and the start for who has a history elsewhere.

Each outcome that confirms goes through the store's own scripts at the time it happened: the attempt is counted, then
settled. Nothing is taught twice. Of each subject the store remembers what a backfill taught (`…:b`) and, from before
the first one, the span that live decisions had taught by then (`filled`). What lies in that span was learnt as it
happened, and so was what came after the first backfill, up to the latest success that the store knows.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field
from redis.exceptions import RedisError

from riskd.contract import Reported
from riskd.decision_id import Verdict, unix_ms
from riskd.enrich.identity import Pseudonyms
from riskd.errors import ConfigError, RequestError, RiskdError, StoreUnavailable
from riskd.learn.blocks import HERE, Engine, Log
from riskd.learn.importing.glean import REPORTS, glean
from riskd.learn.importing.order import scratch_folder
from riskd.learn.importing.plan import Event, Lesson, Plan
from riskd.learn.importing.row import Reading
from riskd.learn.importing.subjects import Held, held, read_subjects, read_told
from riskd.learn.sources import sources
from riskd.outcome import confirms
from riskd.policy import Policy
from riskd.store import Settlement, Store
from riskd.store.keys import Keys
from riskd.store.upkeep import connect

REMEMBERED_S: Final = 400 * 86_400
"""As long as anything of a subject is kept."""
TOGETHER: Final = 32
"""Subjects taught at a time."""
_SAME_S: Final = 0.002
"""The store keeps times to a thousandth of a second."""


class Backfilled(Struct):
    """What a backfill did."""

    decisions: int = 0
    """Decisions of the log."""
    subjects: int = 0
    """Subjects that learnt something."""
    confirmed: int = 0
    """Confirmed attempts that were taught."""
    reports: int = 0
    """Reports of fraud that were taught."""
    known: int = 0
    """Outcomes that the store knew."""
    unmapped_subjects: int = 0
    """Subjects of the log of whom nobody says who they are."""
    unmapped: int = 0
    """Their outcomes."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Decisions and lines that cannot teach, by reason."""


def backfill(
    log: Sequence[str | Path],
    *,
    url: str,
    store: Callable[[], Store],
    policy: Policy,
    pseudonyms: Pseudonyms,
    now: datetime,
    maps: Sequence[Path] = (),
    told: Path | None = None,
    prefix: str = "riskd",
    engine: Engine = HERE,
    tell: Callable[[int], None] = lambda _subjects: None,
) -> Backfilled:
    """Teach the store behind `url` what a log knows: folders, files, globs and URIs (`sources`).

    `maps` are files that imports left beside their logs, `told` a caller's list of decisions and subjects; what the
    store itself knows of tokens is used, too. `store` opens the store, `tell` hears of the subjects done so far.
    Raises ConfigError for a map that is wrong, StoreUnavailable when the store does not answer or its loss was not
    accepted; what was taught by then is not taught again by the next run.
    """
    done, reading, whole = Backfilled(), Reading(), Log(sources(log))
    refused: Counter[str] = Counter()
    with scratch_folder("backfill") as temporary:
        plan = Plan(temporary, policy, pseudonyms, now)
        try:
            asyncio.run(_refuse_a_loss(store))
            for _, gleaned in engine.over(whole, glean):
                plan.take(gleaned)
                refused.update(gleaned.refused)
            plan.map_held(_mapped(maps, pseudonyms))
            if told is not None:
                plan.map_told(read_told(told, pseudonyms, reading))
            plan.map_held(held(url, prefix))
            done.decisions = plan.decisions
            done.unmapped_subjects, done.unmapped = plan.unmapped()
            done.left_out = plan.left_out
            done.left_out.update({f"log line: {why}": count for why, count in (refused + whole.refused).items()})
            done.left_out.update({f"{told}: {why}": count for why, count in reading.unusable.items()})
            asyncio.run(_teach(plan.lessons(), done, url, store, policy, now, prefix, tell))
        finally:
            plan.close()
    return done


def _mapped(maps: Sequence[Path], pseudonyms: Pseudonyms) -> Iterator[Held]:
    return chain.from_iterable(read_subjects(path, pseudonyms) for path in maps)


async def _refuse_a_loss(store: Callable[[], Store]) -> None:
    opened = store()
    try:
        if not await opened.ping():
            raise ConfigError(
                "the store lost its history, and nobody accepted that yet: run `riskd store accept-loss`, then again"
            )
    finally:
        await opened.close()


async def _teach(
    lessons: Iterable[Lesson],
    done: Backfilled,
    url: str,
    store: Callable[[], Store],
    policy: Policy,
    now: datetime,
    prefix: str,
    tell: Callable[[int], None],
) -> None:
    opened = store()
    window_s = int(policy.file.learning.outcome_window.total_seconds())
    try:
        with connect(url) as client:
            school = _School(opened, client, Keys(prefix), now.timestamp(), window_s, done)
            together: list[Lesson] = []
            for lesson in lessons:
                if len(together) >= TOGETHER or (together and together[-1].subject == lesson.subject):
                    await school.teach(together)
                    tell(done.subjects)
                    together = []
                together.append(lesson)
            await school.teach(together)
    except RedisError as error:
        raise StoreUnavailable(f"the store does not answer: {error}") from error
    finally:
        await opened.close()


class _Known(Struct, frozen=True):
    """What the store knows of a subject before a lesson."""

    first: float
    last: float
    """Span of what was confirmed live before the first backfill."""
    run: float
    """When that was."""
    until: float
    """Latest success that is known now."""
    taught: list[bool]
    """Of each event, whether a backfill taught it."""

    def knows(self, event: Event, number: int) -> bool:
        """Whether the store learnt the event, as it happened or by a backfill."""
        time = event.attempt.now
        if self.taught[number] or self.first - _SAME_S <= time <= self.last + _SAME_S:
            return True
        made = unix_ms(event.attempt.decision_id) / 1000  # by then a caller may have told it late
        return made >= self.run and time <= self.until + _SAME_S


class _School:
    """Teaches some subjects at a time."""

    def __init__(self, store: Store, client: Any, keys: Keys, now: float, window_s: int, done: Backfilled) -> None:  # noqa: ANN401 - redis-py's clients have no type in common
        self._store = store
        self._client = client
        self._keys = keys
        self._now = now
        self._window_s = window_s
        self._done = done
        self._latest = ""

    async def teach(self, lessons: Sequence[Lesson]) -> None:
        """Teach what is not known, one subject beside the other."""
        known = await asyncio.to_thread(self._ask, lessons)
        news = [
            (lesson, [event for number, event in enumerate(lesson.events) if not one.knows(event, number)])
            for lesson, one in zip(lessons, known, strict=True)
        ]
        settled: list[list[Event]] = [[] for _ in news]
        ends = await asyncio.gather(
            *(self._settle(events, done) for (_, events), done in zip(news, settled, strict=True)),
            return_exceptions=True,
        )
        # What was settled is marked whatever became of the rest, so that the next run goes on from here.
        taught = [(lesson, done) for (lesson, _), done in zip(news, settled, strict=True) if done]
        await asyncio.to_thread(self._mark, taught)
        self._done.known += sum(len(lesson.events) - len(events) for lesson, events in news)
        for lesson, events in taught:
            if lesson.subject != self._latest:
                self._done.subjects += 1
                self._latest = lesson.subject
            for event in events:
                if self._now - event.attempt.now > self._window_s:
                    self._store.release(event.attempt.decision_id)
        for failure in ends:
            if failure is not None:
                raise failure

    def _ask(self, lessons: Sequence[Lesson]) -> list[_Known]:
        """Ask what the store knows of each subject; note what was known before the first backfill."""
        keys = [self._keys.entity("s", lesson.subject) for lesson in lessons]
        with self._client.pipeline(transaction=False) as asked:
            for key, lesson in zip(keys, lessons, strict=True):
                asked.hmget(key, "core", "filled")
                asked.smismember(f"{key}:b", [_mark_of(event) for event in lesson.events])
            found = asked.execute()
        known = []
        with self._client.pipeline(transaction=False) as told:
            for key, (core, filled), taught in zip(keys, found[::2], found[1::2], strict=True):
                first, last = _span(core)
                if filled is None:
                    told.hset(key, "filled", f"{first}|{last}|{self._now}")
                    known.append(_Known(first, last, self._now, last, [bool(one) for one in taught]))
                else:
                    begun, ended, run = (float(part) for part in filled.split(b"|"))
                    known.append(_Known(begun, ended, run, last, [bool(one) for one in taught]))
            told.execute()
        return known

    def _mark(self, taught: Sequence[tuple[Lesson, list[Event]]]) -> None:
        with self._client.pipeline(transaction=False) as told:
            for lesson, events in taught:
                key = f"{self._keys.entity('s', lesson.subject)}:b"
                told.sadd(key, *[_mark_of(event) for event in events])
                told.expire(key, REMEMBERED_S)
            told.execute()

    async def _settle(self, events: Sequence[Event], settled: list[Event]) -> None:
        """Count and settle the events of one subject, in their order; `settled` takes those that are done."""
        counted: set[str] = set()
        for event in events:
            attempt = event.attempt
            if attempt.decision_id not in counted:
                counted.add(attempt.decision_id)
                (seen,) = await self._store.observe_all([attempt], outcome_window_s=self._window_s)
                if isinstance(seen, RiskdError):
                    raise seen
                if seen.history_lost:
                    raise StoreUnavailable("the store lost its history meanwhile; see `riskd store status`")
            confirmed = confirms(Reported(event.outcome), Verdict(event.verdict))
            settlement = Settlement(outcome=event.outcome, decided=event.verdict, at=event.at, confirms=confirmed)
            try:
                await self._store.settle(attempt.decision_id, settlement, self._window_s)
            except RequestError as error:  # it was counted a moment ago
                raise StoreUnavailable("the store forgets what it is told; see `riskd store status`") from error
            settled.append(event)
            if event.outcome in REPORTS:
                self._done.reports += 1
            if confirmed:
                self._done.confirmed += 1


def _span(core: bytes | None) -> tuple[float, float]:
    """Return when the first and the last confirmed success was; an empty span without one."""
    if core is None:
        return inf, -inf
    try:
        # The script keeps six values in a row, without the head of an array.
        _, first, last, *_ = msgspec.msgpack.decode(
            b"\x96" + core, type=tuple[float, float, float, float, float, float]
        )
    except msgspec.MsgspecError as error:
        raise StoreUnavailable(f"the store holds what riskd did not write ({error})") from error
    return first, last


def _mark_of(event: Event) -> bytes:
    """Return 8 bytes that stand for an outcome of a decision."""
    return blake2b(f"{event.attempt.decision_id} {event.outcome}".encode(), digest_size=8).digest()
