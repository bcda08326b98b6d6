"""What a worker serves: every part joined, and the work that goes on beside the requests."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

import riskd
from riskd.anomaly.artifact import CURRENT_FILE
from riskd.app.parts import make_engine, make_store, open_enricher, open_geo, open_model, open_writer, policy_path
from riskd.app.readiness import StoreState, database_part, model_part, policy_part, record_part, store_part
from riskd.app.tally import Tally
from riskd.contract import Decision, OutcomeReport, Reported
from riskd.engine import Engine
from riskd.enrich.identity import load_secrets
from riskd.enrich.sources import sources
from riskd.errors import ConfigError, RiskdError, StoreUnavailable
from riskd.http.api import Readiness, build_api
from riskd.http.door import Door
from riskd.http.front import ASGIApp, Front
from riskd.http.metrics import render
from riskd.http.protocol import Limits
from riskd.metrics import Metrics
from riskd.outcome import Outcomes
from riskd.policy.load import load
from riskd.record.retention import tend
from riskd.settings import Settings
from riskd.tokens.keys import KeyRing

REFRESH_S: Final = 1.0
"""How often files are looked at, the store is asked and metrics are written."""
TEND_LOG_S: Final = 300.0
"""How often closed log files are compressed and old ones deleted."""
MAX_EVIDENCE: Final = 1000
"""Evidence outcomes under way at once; beyond, the store is in trouble and more would only fill memory."""

log = structlog.stdlib.get_logger("riskd.service")


def clock() -> datetime:
    """Return the aware UTC time."""
    return datetime.now(UTC)


def create() -> "Service":
    """Make the service of a worker from its environment."""
    return Service(Settings())


class Service:
    """One worker's riskd. `start` opens everything before it serves; `app` is the ASGI app."""

    app: ASGIApp

    def __init__(self, settings: Settings) -> None:
        self.limits = Limits()
        self.log_level = settings.log_level
        self.drain_seconds = settings.drain_seconds
        self.metrics = Metrics()
        self._settings = settings
        self._refused = self.metrics.refused
        self._draining = False
        self._store_state: StoreState = "starting"
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open every part; raises ConfigError with one line for the first that is wrong."""
        settings = self._settings
        if settings.redis_url is None:
            raise ConfigError("a worker needs RISKD_REDIS_URL; `riskd serve` sets it to the embedded store")
        self._policy_path = policy_path(settings)
        self._seen = _state(self._policy_path), _state(settings.models_dir / CURRENT_FILE)
        self._problems: dict[str, str] = {}
        policy = load(self._policy_path)
        model = open_model(settings, policy)
        self._pseudonyms = load_secrets(settings.data_dir)
        self._geo = open_geo(settings)
        self._enricher = open_enricher(policy, self._policy_path, self._pseudonyms, self._geo)
        self._sources = sources(self._enricher, settings.data_dir, clock())
        self._keys = KeyRing.load(settings.data_dir / "secrets" / "keys.json")
        self._writer = open_writer(settings, policy, self.metrics)
        self._store = make_store(settings, settings.redis_url.get_secret_value(), policy)
        self._outcomes = Outcomes(store=self._store, writer=self._writer, metrics=self.metrics)
        self._tally = Tally(settings.data_dir, self.metrics)
        self._engine = make_engine(
            policy,
            model,
            enricher=self._enricher,
            store=self._store,
            writer=self._writer,
            metrics=self.metrics,
            on_evidence=self._evidence,
        )
        door = Door(self._keys, clock=clock, rate=settings.rate_limit)
        self._front = Front(
            self._engine,
            self._outcomes,
            door,
            rest=build_api(door=door, readiness=self.readiness, metrics=lambda: render(self._tally.read())),
            clock=clock,
            refused=self.refused,
            max_in_flight=settings.max_in_flight,
        )
        self.app = self._front
        self._tell_versions(self._engine)
        for seconds, work in (
            (0.0, self._watch_store),
            (REFRESH_S, self._refresh),
            (REFRESH_S, self._write_metrics),
            (TEND_LOG_S, self._tend_log),
        ):
            self._keep(_again_and_again(seconds or REFRESH_S, work, at_once=not seconds))

    async def stop(self) -> None:
        """End the work beside the requests, then close the log and the store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._tally.leave)
        self._writer.close()
        await self._store.close()

    def readiness(self) -> Readiness:
        """Tell how each part stands."""
        policy, model = self._engine.policy, self._engine.model
        geo = self._enricher.geo.problems() + self._enricher.lists.problems()
        parts = {
            "store": store_part(self._store_state if self._store.available else "down"),
            "databases": database_part(self._sources, geo),
            "model": model_part(model, self._problems.get("model")),
            "policy": policy_part(policy, self._problems.get("policy")),
            "record": record_part(self._writer, refusing=policy.file.record.on_failure == "refuse"),
        }
        ready = all(part.ready for part in parts.values()) and self._store_state != "starting"
        return Readiness(ready=ready, draining=self._draining, parts=parts)

    def ready(self) -> bool:
        """Whether /readyz answers 200."""
        return self.readiness().ready and not self._draining

    def drain(self) -> None:
        """Answer 503 on /readyz from now on."""
        self._draining = True

    def refused(self, status: int) -> None:
        """Count a refused request."""
        self._refused.at(str(status)).inc()

    def _keep(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _evidence(self, decision: Decision, now: datetime) -> None:
        """Count an allowed retry whose evidence met a step-up as a passed one, beside the answer."""
        if len(self._tasks) < MAX_EVIDENCE:
            self._keep(self._report_evidence(decision.decision_id, now))
        else:
            self.metrics.store_failures.at("evidence").inc()

    async def _report_evidence(self, decision_id: str, now: datetime) -> None:
        report = OutcomeReport(decision_id=decision_id, outcome=Reported.STEP_UP_PASSED)
        try:
            await self._outcomes.report(report, now=now, source="evidence")
        except RiskdError as error:
            self.metrics.store_failures.at("evidence").inc()
            log.warning("evidence_lost", reason=str(error))

    async def _watch_store(self) -> None:
        before = self._store_state
        try:
            self._store_state = "ok" if await self._store.ping() else "history_lost"
        except StoreUnavailable as error:
            self.metrics.store_failures.at("ping").inc()
            if before != "starting":
                self._store_state = "down"
            if before in {"starting", "ok"}:
                log.warning("store_down", reason=str(error))
        if self._store_state != before:
            log.info("store_state", state=self._store_state)

    async def _refresh(self) -> None:
        """Take over keys, databases, lists, policy and model that changed; a bad one leaves the last good one."""
        await asyncio.to_thread(self._keys.refresh)
        for name, problem in (("keys", self._keys.problem), ("databases", await self._refresh_databases())):
            self._note(name, problem)
        seen = _state(self._policy_path), _state(self._settings.models_dir / CURRENT_FILE)
        if seen != self._seen:
            policy_changed, model_changed = (now != then for now, then in zip(seen, self._seen, strict=True))
            self._seen = seen
            if policy_changed:
                await self._reload("policy", self._reload_policy)
            if model_changed:
                await self._reload("model", self._reload_model)

    async def _refresh_databases(self) -> str | None:
        problems = await asyncio.to_thread(self._enricher.refresh)
        self._sources = await asyncio.to_thread(sources, self._enricher, self._settings.data_dir, clock())
        return "; ".join(problems) or None

    async def _reload(self, name: str, make: Callable[[], Engine]) -> None:
        try:
            engine = await asyncio.to_thread(make)
        except ConfigError as error:
            self._note(name, str(error))
            return
        self._note(name, None)
        self._engine = self._front.engine = engine
        self._tell_versions(engine)
        log.info(f"{name}_reloaded", policy=engine.policy.revision, model=engine.model and engine.model.version)

    def _reload_policy(self) -> Engine:
        """Build an engine by the policy file as it is now; its `record`, `deadlines` and `learning` wait for a restart."""
        policy = load(self._policy_path)
        enricher = open_enricher(policy, self._policy_path, self._pseudonyms, self._geo)
        engine = make_engine(
            policy,
            self._engine.model,
            enricher=enricher,
            store=self._store,
            writer=self._writer,
            metrics=self.metrics,
            on_evidence=self._evidence,
        )
        self._enricher = enricher
        return engine

    def _reload_model(self) -> Engine:
        return make_engine(
            self._engine.policy,
            open_model(self._settings, self._engine.policy),
            enricher=self._enricher,
            store=self._store,
            writer=self._writer,
            metrics=self.metrics,
            on_evidence=self._evidence,
        )

    def _note(self, name: str, problem: str | None) -> None:
        """Remember, and say once, why something is not in use as it stands now."""
        if problem is None:
            self._problems.pop(name, None)
        elif self._problems.get(name) != problem:
            self._problems[name] = problem
            log.error("kept_last_good", part=name, reason=problem)

    def _tell_versions(self, engine: Engine) -> None:
        model = "none" if engine.model is None else engine.model.version
        info = self.metrics.info
        info.at(riskd.__version__, engine.policy.revision, model).set(1)

    async def _write_metrics(self) -> None:
        await asyncio.to_thread(self._tally.write)

    async def _tend_log(self) -> None:
        retain = self._engine.policy.file.record.retain
        keep = retain if retain > timedelta(0) else None
        tended = await asyncio.to_thread(tend, self._settings.data_dir / "log", now=clock(), keep=keep)
        if tended.failed:
            log.warning("log_not_tended", files=tended.failed)


async def _again_and_again(seconds: float, work: Callable[[], Awaitable[None]], *, at_once: bool) -> None:
    """Do the work every so often, whatever becomes of one round."""
    if not at_once:
        await asyncio.sleep(seconds)
    while True:
        try:
            await work()
        except Exception:
            log.exception("beside_failed")
        await asyncio.sleep(seconds)


def _state(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file does; None when it is not there."""
    with contextlib.suppress(OSError):
        status = os.stat(path)
        return status.st_mtime_ns, status.st_size, status.st_ino
    return None
