"""Opens each part from the settings and the policy, for a worker as for the command line."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.contract import Decision, OutcomeReport, Reported
from riskd.engine import Engine
from riskd.enrich.enrich import Enricher
from riskd.enrich.forwarded import TrustedProxies
from riskd.enrich.geo import Geo
from riskd.enrich.identity import Keep, KeptField, Pseudonyms, load_secrets
from riskd.enrich.lists import NetworkLists
from riskd.errors import ModelError
from riskd.features import MODEL_FEATURES
from riskd.metrics import Metrics
from riskd.outcome import Outcomes
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load
from riskd.record.files import MAX_AGE
from riskd.record.redact import Redaction
from riskd.record.writer import Writer
from riskd.settings import Settings
from riskd.store import Embedded, Store, parse

log = structlog.stdlib.get_logger("riskd.app")


def policy_path(settings: Settings) -> Path:
    """Return the policy in use: what RISKD_POLICY names, else riskd.yaml here, else the shipped default."""
    named = settings.policy
    return named if named.exists() or named != Path("riskd.yaml") else SHIPPED / "default.yaml"


def open_model(settings: Settings, policy: Policy) -> Model | None:
    """Load the model that CURRENT names; None where the policy lets the declared signals decide alone without one."""
    try:
        return load_model(settings.models_dir, MODEL_FEATURES)
    except ModelError as error:
        if policy.file.anomaly.missing == "refuse":
            raise
        log.warning("no_model", reason=str(error), consequence="the declared signals decide alone")
        return None


def open_geo(settings: Settings) -> Geo:
    """Open the databases; raises DataError."""
    return Geo(settings.data_dir, city=settings.geo_city, asn=settings.geo_asn, anonymous=settings.geo_anonymous)


def open_lists(policy: Policy, path: Path) -> NetworkLists:
    """Load the policy's lists, whose files are named relative to the policy at `path`; raises DataError."""
    feeds = {feed.name: path.parent / feed.file for feed in policy.file.lists.feeds}
    return NetworkLists(feeds, policy.file.lists.deny.networks)


def open_enricher(
    policy: Policy, path: Path, pseudonyms: Pseudonyms, geo: Geo, trusted: TrustedProxies = ()
) -> Enricher:
    """Build an enricher with the policy's lists."""
    kept = policy.file.record.keep
    keep: dict[KeptField, Keep] = {"ip": kept.ip, "device": kept.device_id}
    return Enricher(pseudonyms, geo, open_lists(policy, path), keep, trusted)


@dataclass(frozen=True, slots=True)
class Parts:
    """What stays open while policies and models come and go."""

    policy_path: Path
    pseudonyms: Pseudonyms
    geo: Geo
    trusted: TrustedProxies
    store: Store
    writer: Writer
    metrics: Metrics
    on_evidence: Callable[[Decision, datetime], None]
    """Told of each decision in which fresh evidence met a step-up."""

    def enricher(self, policy: Policy) -> Enricher:
        """Build an enricher by a policy; raises DataError for lists that are wrong."""
        return open_enricher(policy, self.policy_path, self.pseudonyms, self.geo, self.trusted)

    def engine(self, policy: Policy, model: Model | None, enricher: Enricher) -> Engine:
        """Join all to an engine, and let the metrics know the policy's actions."""
        self.metrics.actions = frozenset(name for rules in policy.file.actions.values() for name in rules.names)
        return Engine(
            enricher=enricher,
            store=self.store,
            policy=policy,
            model=model,
            writer=self.writer,
            redaction=policy_redaction(self.pseudonyms, policy),
            sealer=self.pseudonyms.sealer,
            metrics=self.metrics,
            on_evidence=self.on_evidence,
        )

    def outcomes(self, policy: Policy) -> Outcomes:
        """Join what takes outcome reports."""
        redaction = policy_redaction(self.pseudonyms, policy)
        return Outcomes(
            store=self.store,
            writer=self.writer,
            redaction=redaction,
            sealer=self.pseudonyms.sealer,
            metrics=self.metrics,
        )

    async def close(self) -> None:
        """Close the log and the store."""
        self.writer.close()
        await self.store.close()


def policy_store(settings: Settings, url: str, policy: Policy) -> Store:
    """Return the store behind `url`, with the policy's limits of time."""
    return Store(
        parse(url),
        settings.data_dir / "store-epoch",
        budget_s=policy.file.deadlines.store.total_seconds(),
        outcome_window_s=int(policy.file.learning.outcome_window.total_seconds()),
    )


def policy_writer(settings: Settings, policy: Policy, metrics: Metrics) -> Writer:
    """Return a writer of the decision log by the policy's rules; nothing is opened before the first record."""
    rules = policy.file.record
    return Writer(
        settings.data_dir / "log",
        on_failure=rules.on_failure,
        max_bytes=int(rules.rotate_megabytes * 2**20),
        max_age=max(timedelta(minutes=1), min(rules.rotate_every, MAX_AGE)),
        metrics=metrics,
    )


def policy_redaction(pseudonyms: Pseudonyms, policy: Policy) -> Redaction:
    """Return what the policy lets be recorded."""
    return Redaction(pseudonyms.text, attributes=policy.file.record.keep.attributes, words=policy.words)


def open_parts(
    settings: Settings,
    url: str,
    policy: Policy,
    *,
    metrics: Metrics,
    on_evidence: Callable[[Decision, datetime], None] = lambda _decision, _now: None,
) -> Parts:
    """Open databases, log and the store behind `url`; raises ConfigError with one line for the first that is wrong."""
    return Parts(
        policy_path=policy_path(settings),
        pseudonyms=load_secrets(settings.data_dir),
        geo=open_geo(settings),
        trusted=settings.trusted_proxies,
        store=policy_store(settings, url, policy),
        writer=policy_writer(settings, policy, metrics),
        metrics=metrics,
        on_evidence=on_evidence,
    )


@asynccontextmanager
async def store_url(settings: Settings) -> AsyncIterator[str]:
    """Yield where the store is; without RISKD_REDIS_URL start the embedded one, or find it where another keeps it."""
    if settings.redis_url is not None:
        yield settings.redis_url.get_secret_value()
        return
    embedded = Embedded(settings.data_dir)
    await asyncio.to_thread(embedded.start)
    try:
        yield embedded.url
    finally:
        await asyncio.to_thread(embedded.stop)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the store alone, for a command."""
    async with store_url(settings) as url:
        store = Store(parse(url), settings.data_dir / "store-epoch")
        try:
            yield store
        finally:
            await store.close()


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncIterator[Engine]:
    """Open an engine for a command: the service's own store, log, policy and model, without HTTP."""
    policy = load(policy_path(settings))
    model = open_model(settings, policy)
    met: list[tuple[Decision, datetime]] = []
    async with store_url(settings) as url:
        parts = open_parts(
            settings, url, policy, metrics=Metrics(), on_evidence=lambda decision, now: met.append((decision, now))
        )
        try:
            yield parts.engine(policy, model, parts.enricher(policy))
            outcomes = parts.outcomes(policy)
            for decision, now in met:
                report = OutcomeReport(decision_id=decision.decision_id, outcome=Reported.STEP_UP_PASSED)
                await outcomes.report(report, now=now, source="evidence")
        finally:
            await parts.close()
