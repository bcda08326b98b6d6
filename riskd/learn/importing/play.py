"""Judges the rows with the real engine, on an embedded store, in the order of time, and reports what became of them.

So histories build up as they would have, had riskd been asked, and the log is like any other. What is reported follows
the source: it was not protected by riskd, so an attempt that riskd would have denied has an outcome all the same. Only
what riskd would have allowed, or what its source vouches for where riskd would have stepped up, becomes known.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from riskd.anomaly.model import Model
from riskd.contract import Decision, DecisionRequest, OutcomeReport, Reported
from riskd.decision_id import base_of
from riskd.engine import Engine
from riskd.enrich.identity import Pseudonyms
from riskd.errors import ConfigError, RequestError
from riskd.learn.importing.order import in_order, scratch_folder
from riskd.learn.importing.row import Reading, Row
from riskd.learn.importing.subjects import SUBJECTS_FILE, held, write_subjects
from riskd.learn.importing.told import ToldEnricher
from riskd.learn.offline import offline
from riskd.outcome import Outcomes
from riskd.policy import Policy
from riskd.settings import LOG_FOLDER
from riskd.store import Store

FRAUD_TOLD: Final = timedelta(days=1)
"""So long after an attack that succeeded it is reported: at once, riskd would have known it before the owner did."""
_LOGINS: Final = frozenset({"login", "sign_in", "authenticate"})


class Imported(Struct):
    """What an import left behind."""

    log: Path
    """A decision log like any other."""
    subjects: Path
    """Which token is whose, by the keyed hash of the id."""
    reading: Reading
    decisions: int = 0
    first: datetime | None = None
    last: datetime | None = None
    judged: dict[str, Counter[str]] = field(default_factory=dict)
    """`succeeded`, `failed`, `unknown` or `fraud` → allow, step_up, deny → how many."""


def play(
    rows: Iterable[Row],
    reading: Reading,
    out: Path,
    *,
    policy: Policy,
    model: Model | None,
    enricher: ToldEnricher,
    pseudonyms: Pseudonyms,
    tell: Callable[[int], None] = lambda _decisions: None,
) -> Imported:
    """Judge the rows of one reading; write `out/log/` and `out/subjects.jsonl`.

    `pseudonyms` are those of the service that shall know the histories; `tell` hears of the decisions made so far.
    Raises ConfigError when `out` holds an import already or no row could be used.
    """
    done = Imported(out / LOG_FOLDER, out / SUBJECTS_FILE, reading)
    if done.log.exists() or done.subjects.exists():
        raise ConfigError(f"{out}: holds a log already; name another folder with --out, or delete it")
    with scratch_folder("import") as temporary:
        ordered = in_order(rows, temporary)
        first = next(ordered, None)
        if first is None:
            raise ConfigError(_nothing(reading))
        out.mkdir(parents=True, exist_ok=True)
        done.first = done.last = instant(first.time)
        asyncio.run(_judge(temporary, first, ordered, done, policy, model, enricher, pseudonyms, tell))
    return done


def _nothing(reading: Reading) -> str:
    why = ", ".join(f"{count:,} {reason}" for reason, count in reading.unusable.most_common(5))
    return f"no attempt among {reading.lines:,} lines" + (f" ({why})" if why else "")


async def _judge(
    state: Path,
    first: Row,
    rest: Iterator[Row],
    done: Imported,
    policy: Policy,
    model: Model | None,
    enricher: ToldEnricher,
    pseudonyms: Pseudonyms,
    tell: Callable[[int], None],
) -> None:
    async with offline(state, done.log, policy, model, enricher, pseudonyms) as riskd:
        past = _Past(riskd.engine, riskd.outcomes, riskd.store, enricher, done)
        await past.attempt(first)
        for row in rest:
            await past.attempt(row)
            if done.decisions % 500 == 0:
                tell(done.decisions)
        await past.report_due(None)
        await asyncio.to_thread(write_subjects, done.subjects, held(riskd.url), pseudonyms)


class _Past:
    """What happened, told to riskd in its order."""

    def __init__(
        self, engine: Engine, outcomes: Outcomes, store: Store, enricher: ToldEnricher, done: Imported
    ) -> None:
        self._engine = engine
        self._outcomes = outcomes
        self._store = store
        self._enricher = enricher
        self._done = done
        self._due: list[tuple[float, str]] = []
        """Frauds to be reported: when, of which decision."""

    async def attempt(self, row: Row) -> None:
        await self.report_due(row.time)
        request = DecisionRequest.model_validate_json(row.request)
        self._enricher.device = row.device
        now = instant(row.time)
        try:
            decision = await self._engine.decide(request, now=now)
            outcome = _outcome(row, decision, request.action.name)
            if outcome is not None:
                await self._report(decision.decision_id, outcome, now)
        except RequestError:  # all else was checked when it was read
            self._done.reading.rows -= 1
            self._done.reading.unusable["request_id: used before"] += 1
            return
        self._count(row, decision, now)
        if row.fraud:
            heapq.heappush(self._due, (row.time + FRAUD_TOLD.total_seconds(), decision.decision_id))
        else:
            self._store.release(base_of(decision.decision_id))

    async def report_due(self, until: float | None) -> None:
        """Report the frauds whose time has come; None: all that are left."""
        while self._due and (until is None or self._due[0][0] <= until):
            at, decision_id = heapq.heappop(self._due)
            await self._report(decision_id, Reported.CONFIRMED_FRAUD, instant(at))
            self._store.release(base_of(decision_id))

    async def _report(self, decision_id: str, outcome: Reported, at: datetime) -> None:
        await self._outcomes.report(OutcomeReport(decision_id=decision_id, outcome=outcome), now=at)

    def _count(self, row: Row, decision: Decision, now: datetime) -> None:
        done = self._done
        done.decisions += 1
        done.last = now
        words = {True: "succeeded", False: "failed", None: "unknown"}
        what = "fraud" if row.fraud else words[row.succeeded]
        done.judged.setdefault(what, Counter())[decision.decision] += 1


def _outcome(row: Row, decision: Decision, action: str) -> Reported | None:
    """Return what is reported of an attempt at once."""
    login = action in _LOGINS
    if row.succeeded is None:
        return None
    if not row.succeeded:
        return Reported.LOGIN_FAILED if login else Reported.ACTION_FAILED
    if row.vouched and decision.decision != "allow":
        return Reported.CONFIRMED_LEGITIMATE
    return Reported.LOGIN_SUCCEEDED if login else Reported.ACTION_COMPLETED


def instant(time: float) -> datetime:
    """Return seconds since 1970 as a time, aware UTC."""
    return datetime.fromtimestamp(time, UTC)
