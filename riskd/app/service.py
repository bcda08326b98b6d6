"""What a worker serves: every part joined, and the work that goes on beside the requests."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

import riskd
from riskd.app.maturing import mature_allows
from riskd.app.parts import open_model, open_parts, open_source
from riskd.app.readiness import StoreState, tell
from riskd.app.reload import Loaded
from riskd.app.tally import Tally
from riskd.contract import Decision, OutcomeReport, Reported
from riskd.errors import ConfigError, RiskdError, StoreUnavailable
from riskd.http.api import Readiness, build_api
from riskd.http.door import Door
from riskd.http.front import ASGIApp, Front
from riskd.http.lists import list_routes
from riskd.http.metrics import render
from riskd.http.policy import PolicyInUse, SignedBy, policy_routes
from riskd.http.protocol import Limits
from riskd.metrics import Metrics
from riskd.record.retention import tend
from riskd.settings import Settings

REFRESH_S: Final = 1.0
"""How often files are looked at, the store is asked and metrics are written."""
TEND_LOG_S: Final = 300.0
"""How often closed log files are compressed and old ones deleted."""
MATURE_S: Final = 60.0
"""How often allows are looked for that became old enough to count as confirmed, where the policy wants that."""
MAX_EVIDENCE: Final = 1000
"""Evidence outcomes under way at once; beyond, the store is in trouble and more would only fill memory."""

log = structlog.stdlib.get_logger("riskd.service")


def create() -> "Service":
    """Make the service of a worker from its environment."""
    return Service(Settings())


def clock() -> datetime:
    """Return the aware UTC time."""
    return datetime.now(UTC)


class Service:
    """One worker's riskd: `start` opens everything and makes `app`, `stop` closes it."""

    app: ASGIApp
    spread: Callable[[], None]

    def __init__(self, settings: Settings) -> None:
        self.limits = Limits()
        self.log_level = settings.log_level
        self.drain_seconds = settings.drain_seconds
        self.metrics = Metrics()
        self._settings = settings
        self._draining = False
        self._store_state: StoreState = "starting"
        self._store_missed = False
        """Whether the store did not answer when it was asked last."""
        self._beside: set[asyncio.Task[None]] = set()
        self._told_to_look = asyncio.Event()
        self._look_again = False

    async def start(self) -> None:
        """Open every part; raises ConfigError with one line for the first that is wrong."""
        settings = self._settings
        if settings.redis_url is None:
            raise ConfigError("a worker needs RISKD_REDIS_URL; `riskd serve` sets it to the embedded store")
        source = open_source(settings)
        vouched, problem = source.load_or_kept()
        policy = vouched.policy
        model = open_model(settings, policy)
        self._url = settings.redis_url.get_secret_value()
        self._parts = open_parts(settings, self._url, policy, metrics=self.metrics, on_evidence=self._evidence)
        self._loaded = Loaded(settings, self._parts, source, vouched, model, clock(), problem)
        self._tally = Tally(settings.data_dir, self.metrics)
        door = Door(self._loaded.keys, rate=settings.rate_limit)
        self._front = Front(
            self._loaded.engine,
            self._loaded.outcomes,
            door,
            rest=build_api(
                door=door,
                clock=clock,
                readiness=self.readiness,
                metrics=lambda: render(self._tally.read()),
                more=[
                    policy_routes(door=door, clock=clock, in_use=self._policy_in_use, reload=self._reload_policy),
                    list_routes(door=door, clock=clock, ledger=self._loaded.ledger),
                ],
            ),
            clock=clock,
            refused=self.refused,
            max_in_flight=settings.max_in_flight,
        )
        self.app = self._front
        self._tell_versions()
        await self._watch_store()
        await self._follow_lists()
        self._keep(_again_and_again(REFRESH_S, self._watch_store))
        self._keep(_again_and_again(REFRESH_S, self._follow_lists))
        self._keep(_again_and_again(0.0, self._look_at_files))
        self._keep(_again_and_again(REFRESH_S, self._write_metrics))
        self._keep(_again_and_again(REFRESH_S, self._probe_log))
        self._keep(_again_and_again(TEND_LOG_S, self._tend_log))
        self._keep(_again_and_again(MATURE_S, self._mature))

    async def stop(self) -> None:
        """End the work beside the requests, then close the log and the store."""
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await asyncio.to_thread(self._tally.leave)
        await self._parts.close()

    def readiness(self) -> Readiness:
        """Tell how each part stands."""
        store = "down" if self._store_state == "ok" and not self._parts.store.available else self._store_state
        return tell(self._loaded, store, self._parts.writer, draining=self._draining)

    def ready(self) -> bool:
        """Whether /readyz answers 200."""
        return self.readiness().ready

    def drain(self) -> None:
        """Answer 503 on /readyz from now on."""
        self._draining = True

    def look(self, *, again: bool) -> None:
        """Soon take over files that changed; `again`: read them anew even if they seem unchanged."""
        self._look_again |= again
        self._told_to_look.set()

    def refused(self, status: int) -> None:
        """Count a refused request."""
        self.metrics.refused.at(str(status)).inc()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def _evidence(self, decision: Decision, now: datetime) -> None:
        """Count an allowed retry whose evidence met a step-up as a passed one, beside the answer."""
        if len(self._beside) < MAX_EVIDENCE:
            self._keep(self._report_evidence(decision.decision_id, now))
        else:
            self.metrics.store_failures.at("evidence").inc()

    async def _report_evidence(self, decision_id: str, now: datetime) -> None:
        report = OutcomeReport(decision_id=decision_id, outcome=Reported.STEP_UP_PASSED)
        try:
            await self._loaded.outcomes.report(report, now=now, source="evidence")
        except RiskdError as error:
            self.metrics.store_failures.at("evidence").inc()
            log.warning("evidence_lost", reason=str(error))

    async def _watch_store(self) -> None:
        before = self._store_state
        try:
            self._store_state = "ok" if await self._parts.store.ping() else "history_lost"
        except StoreUnavailable as error:
            self.metrics.store_failures.at("ping").inc()
            if before in {"ok", "history_lost"}:
                self._store_state = "down"
            if not self._store_missed:
                log.error("store_down", reason=str(error))  # noqa: TRY400 - the reason is the whole story
            self._store_missed = True
            return
        self._store_missed = False
        if self._store_state != before:
            log.info("store_state", state=self._store_state)

    async def _follow_lists(self) -> None:
        try:
            await self._loaded.ledger.follow(clock())
        except StoreUnavailable:
            self.metrics.store_failures.at("lists").inc()
        for name, held in self._parts.held().items():
            self.metrics.held_entries.at(name).set(held)

    async def _look_at_files(self) -> None:
        """Look at the files when told to, else every second."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._told_to_look.wait(), REFRESH_S)
        again, self._look_again = self._look_again, False
        self._told_to_look.clear()
        await self._refresh(again=again)

    async def _refresh(self, *, again: bool) -> None:
        if await self._loaded.refresh(clock(), again=again):
            self._front.engine, self._front.outcomes = self._loaded.engine, self._loaded.outcomes
            self._tell_versions()

    async def _reload_policy(self) -> ConfigError | None:
        """Read the policy anew, here and in all other workers; return why it is not in use here."""
        await self._refresh(again=True)
        self.spread()
        return self._loaded.policy_problem

    def _policy_in_use(self) -> PolicyInUse:
        loaded, statement = self._loaded, self._loaded.vouched.statement
        return PolicyInUse(
            revision=loaded.policy.revision,
            source=loaded.policy.source,
            loaded_at=loaded.policy_since,
            signed=statement and SignedBy(key=statement.key, version=statement.version, signed_at=statement.signed_at),
            problem=loaded.problems.get("policy"),
        )

    def _tell_versions(self) -> None:
        model = self._loaded.model
        judged_by = self._loaded.policy.revision, "none" if model is None else model.version
        self.metrics.info.only(riskd.__version__, *judged_by)
        self.metrics.workers.only(*judged_by)

    async def _write_metrics(self) -> None:
        self.metrics.in_flight.at().set(self._front.in_flight)
        await asyncio.to_thread(self._tally.write)

    async def _mature(self) -> None:
        policy = self._loaded.policy
        counted = await asyncio.to_thread(
            mature_allows, self._settings, self._url, policy, self._parts.pseudonyms, clock()
        )
        for name in ("outcomes", "record_written", "record_dropped", "record_failures", "record_slow"):
            for sample in getattr(counted, name).snapshot().samples:
                getattr(self.metrics, name).at(*sample.labels).inc(sample.value)

    async def _probe_log(self) -> None:
        if self._parts.writer.failing:
            await asyncio.to_thread(self._parts.writer.probe)

    async def _tend_log(self) -> None:
        retain = self._loaded.policy.file.record.retain
        keep = retain if retain > timedelta(0) else None
        tended = await asyncio.to_thread(tend, self._settings.log_dir, now=clock(), keep=keep)
        if tended.failed:
            log.warning("log_not_tended", files=tended.failed)


async def _again_and_again(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work every so often, whatever becomes of one round."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception:
            log.exception("beside_failed")
