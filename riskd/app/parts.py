"""Opens each part from the settings and the policy, for a worker as for the command line."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.contract import Decision
from riskd.engine import Engine
from riskd.enrich.enrich import Enricher
from riskd.enrich.geo import Geo
from riskd.enrich.identity import Keep, KeptField, Pseudonyms, load_secrets
from riskd.enrich.lists import NetworkLists
from riskd.errors import ModelError
from riskd.features import MODEL_FEATURES
from riskd.metrics import Metrics
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load
from riskd.record.files import MAX_AGE
from riskd.record.writer import Writer
from riskd.settings import Settings
from riskd.store import Embedded, Store, parse


def policy_path(settings: Settings) -> Path:
    """Return the policy in use: what RISKD_POLICY names, else riskd.yaml here, else the shipped default."""
    named = settings.policy
    return named if named.exists() or named != Path("riskd.yaml") else SHIPPED / "default.yaml"


def open_model(settings: Settings, policy: Policy) -> Model | None:
    """Load the model that CURRENT names; None where the policy lets the declared signals decide alone without one."""
    try:
        return load_model(settings.models_dir, MODEL_FEATURES)
    except ModelError:
        if policy.file.anomaly.missing == "refuse":
            raise
        return None


def open_geo(settings: Settings) -> Geo:
    """Open the databases; raises DataError."""
    return Geo(settings.data_dir, city=settings.geo_city, asn=settings.geo_asn, anonymous=settings.geo_anonymous)


def open_enricher(policy: Policy, path: Path, pseudonyms: Pseudonyms, geo: Geo) -> Enricher:
    """Build an enricher with the policy's lists, whose files are named relative to the policy at `path`."""
    feeds = {feed.name: path.parent / feed.file for feed in policy.file.lists.feeds}
    kept = policy.file.record.keep
    keep: dict[KeptField, Keep] = {"ip": kept.ip, "device": kept.device_id}
    return Enricher(pseudonyms, geo, NetworkLists(feeds, policy.file.lists.deny.networks), keep)


def open_writer(settings: Settings, policy: Policy, metrics: Metrics) -> Writer:
    """Return the writer of this process's decision log; nothing is opened before the first record."""
    rules = policy.file.record
    return Writer(
        settings.data_dir / "log",
        on_failure=rules.on_failure,
        max_bytes=int(rules.rotate_megabytes * 2**20),
        max_age=max(timedelta(minutes=1), min(rules.rotate_every, MAX_AGE)),
        metrics=metrics,
    )


def make_store(settings: Settings, url: str, policy: Policy | None) -> Store:
    """Return the store behind `url`; without a policy its time limits are the defaults."""
    marker = settings.data_dir / "store-epoch"
    if policy is None:
        return Store(parse(url), marker)
    return Store(
        parse(url),
        marker,
        budget_s=policy.file.deadlines.store.total_seconds(),
        outcome_window_s=int(policy.file.learning.outcome_window.total_seconds()),
    )


def make_engine(  # noqa: PLR0913 - it is the sum of all parts
    policy: Policy,
    model: Model | None,
    *,
    enricher: Enricher,
    store: Store,
    writer: Writer,
    metrics: Metrics,
    on_evidence: Callable[[Decision, datetime], None],
) -> Engine:
    """Join the parts; lets the metrics know the policy's actions."""
    metrics.actions = frozenset(name for rules in policy.file.actions.values() for name in rules.names)
    return Engine(
        enricher=enricher,
        store=store,
        policy=policy,
        model=model,
        writer=writer,
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
    """Open the store for a command."""
    async with store_url(settings) as url:
        store = make_store(settings, url, None)
        try:
            yield store
        finally:
            await store.close()


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncIterator[Engine]:
    """Open an engine for a command: the service's own store, log, policy and model, without HTTP."""
    path = policy_path(settings)
    policy = load(path)
    model = open_model(settings, policy)
    enricher = open_enricher(policy, path, load_secrets(settings.data_dir), open_geo(settings))
    metrics = Metrics()
    async with store_url(settings) as url:
        store = make_store(settings, url, policy)
        writer = open_writer(settings, policy, metrics)
        try:
            yield make_engine(
                policy,
                model,
                enricher=enricher,
                store=store,
                writer=writer,
                metrics=metrics,
                on_evidence=lambda _decision, _now: None,
            )
        finally:
            writer.close()
            await store.close()
