"""Opens each part from the settings and the policy, for a worker as for the command line."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from riskd.anomaly.model import Model
from riskd.app.candidates import NONE, CandidateFiles
from riskd.app.model_source import ModelSource
from riskd.app.source import PolicySource
from riskd.contract import Decision, OutcomeReport, Reported
from riskd.engine import Engine
from riskd.enrich.enrich import Enricher
from riskd.enrich.forwarded import TrustedProxies
from riskd.enrich.geo import Geo
from riskd.enrich.held import Mirror
from riskd.enrich.identity import Keep, KeptField, Pseudonyms, load_secrets
from riskd.enrich.leaked import LeakedCredentials
from riskd.enrich.lists import NetworkLists
from riskd.enrich.named import NamedLists, hashed_by
from riskd.errors import ConfigError, ModelError, StoreUnavailable
from riskd.ledger import Ledger
from riskd.metrics import Metrics
from riskd.outcome import Outcomes
from riskd.policy import Policy
from riskd.policy.load import SHIPPED
from riskd.record.audit import Trail
from riskd.record.files import MAX_AGE
from riskd.record.redact import Redaction
from riskd.record.writer import Writer
from riskd.settings import Settings
from riskd.store import Embedded, Store, parse
from riskd.trial import Breakers, Candidates, Trial

PATIENCE_S: Final = 5.0
"""How long a command waits for the store."""

log = structlog.stdlib.get_logger("riskd.app")


def policy_path(settings: Settings) -> Path:
    """Return the policy in use: what RISKD_POLICY names, else riskd.yaml here, else the shipped default."""
    named = settings.policy
    return named if named.exists() or named != Path("riskd.yaml") else SHIPPED / "default.yaml"


def open_source(settings: Settings) -> PolicySource:
    """Return where the policy comes from, and whose signature it needs."""
    return PolicySource(policy_path(settings), settings.policy_keys, settings.data_dir)


def open_model(settings: Settings, policy: Policy) -> Model | None:
    """Load the model that CURRENT names; None where the policy lets the declared signals decide alone without one."""
    try:
        return ModelSource.of(settings).load()
    except ModelError as error:
        if policy.file.anomaly.missing == "refuse":
            raise
        log.warning("no_model", reason=str(error), consequence="the declared signals decide alone")
        return None


def open_candidates(settings: Settings, policy: Policy) -> Candidates:
    """Load what the policy names to be tried beside it; nothing, and a line in the log, when that is wrong."""
    try:
        return CandidateFiles(settings, policy_path(settings)).load(policy)
    except ConfigError as error:
        log.warning("no_candidates", reason=str(error), consequence="all is judged by the policy in use")
        return NONE


def open_geo(settings: Settings) -> Geo:
    """Open the databases; raises DataError."""
    return Geo(settings.data_dir, city=settings.geo_city, asn=settings.geo_asn, anonymous=settings.geo_anonymous)


def list_files(policy: Policy) -> tuple[str, ...]:
    """Return the files of the policy's lists, leaked credentials among them, as it names them: relative to itself."""
    lists = policy.file.lists
    named = [declared.file for declared in lists.named.values()]
    files = [*(feed.file for feed in lists.feeds), *named, lists.leaked_credentials]
    return tuple(dict.fromkeys(file for file in files if file is not None))


def open_lists(
    policy: Policy, path: Path, digests: Mapping[Path, str] | None = None, like: NetworkLists | None = None
) -> NetworkLists:
    """Load the lists of the policy at `path`, those in `digests` with that content only; raises DataError.

    What `like` has of them is shared, so that a long list is not read and held a second time.
    """
    feeds = {feed.name: path.parent / feed.file for feed in policy.file.lists.feeds}
    return NetworkLists(feeds, policy.file.lists.deny.networks, digests, like)


def open_named(
    policy: Policy,
    path: Path,
    pseudonyms: Pseudonyms,
    mirror: Mirror | None = None,
    digests: Mapping[Path, str] | None = None,
    like: NamedLists | None = None,
) -> NamedLists:
    """Load the named lists of the policy at `path`, as `open_lists` does; `mirror` has what the store holds of them."""
    return NamedLists(policy.file.lists.named, path.parent, hashed_by(pseudonyms), mirror, digests, like)


def open_leaked(
    policy: Policy, path: Path, digests: Mapping[Path, str] | None = None, like: LeakedCredentials | None = None
) -> LeakedCredentials:
    """Open the hashes of leaked passwords of the policy at `path`, as `open_lists` does.

    `like` stays in use if it is the same: to tell whether a set of 40 GB is the one in `digests` takes minutes.
    """
    named = policy.file.lists.leaked_credentials
    file = None if named is None else path.parent / named
    digest = None if file is None or digests is None else digests.get(file)
    if like is not None and (like.path, like.digest) == (file, digest):
        return like
    return LeakedCredentials(file, digest)


def open_enricher(
    policy: Policy,
    path: Path,
    pseudonyms: Pseudonyms,
    geo: Geo,
    trusted: TrustedProxies = (),
    *,
    mirror: Mirror | None = None,
    digests: Mapping[Path, str] | None = None,
    like: Enricher | None = None,
) -> Enricher:
    """Build an enricher with the policy's lists; those that another has open already are shared with it."""
    kept = policy.file.record.keep
    keep: dict[KeptField, Keep] = {"ip": kept.ip, "device": kept.device_id}
    lists = open_lists(policy, path, digests, None if like is None else like.lists)
    leaked = open_leaked(policy, path, digests, None if like is None else like.leaked)
    named = open_named(policy, path, pseudonyms, mirror, digests, None if like is None else like.named)
    return Enricher(pseudonyms, geo, lists, keep, trusted, leaked, named)


@dataclass(frozen=True, slots=True)
class Parts:
    """What stays open while policies and models come and go."""

    policy_path: Path
    pseudonyms: Pseudonyms
    geo: Geo
    trusted: TrustedProxies
    store: Store
    mirror: Mirror | None
    """What is known of the entries that the store holds; None takes them to be none."""
    trail: Trail
    writer: Writer
    metrics: Metrics
    on_evidence: Callable[[Decision, datetime], None]
    """Told of each decision in which fresh evidence met a step-up."""

    def enricher(
        self, policy: Policy, digests: Mapping[Path, str] | None = None, like: Enricher | None = None
    ) -> Enricher:
        """Build an enricher by a policy; raises DataError for lists that are wrong. See `open_enricher`."""
        return open_enricher(
            policy,
            self.policy_path,
            self.pseudonyms,
            self.geo,
            self.trusted,
            mirror=self.mirror,
            digests=digests,
            like=like,
        )

    def engine(
        self,
        policy: Policy,
        model: Model | None,
        enricher: Enricher,
        candidates: Candidates = NONE,
        breakers: Breakers | None = None,
    ) -> Engine:
        """Join all to an engine, and let the metrics know the actions of the policy and its candidates.

        Breakers that are handed on go on counting; without them the engine has its own.
        """
        policies = (policy, *candidates.policies)
        actions = [rules for one in policies for rules in one.file.actions.values()]
        self.metrics.actions = frozenset(name for rules in actions for name in rules.names)
        return Engine(
            enricher=enricher,
            store=self.store,
            policy=policy,
            model=model,
            writer=self.writer,
            redaction=policy_redaction(self.pseudonyms, policy, candidates.policies),
            rollout_redaction=policy_redaction(self.pseudonyms, candidates.rollout or policy, policies),
            sealer=self.pseudonyms.sealer,
            metrics=self.metrics,
            on_evidence=self.on_evidence,
            trial=Trial(policy, self.metrics, candidates, breakers),
        )

    def outcomes(self, policy: Policy) -> Outcomes:
        """Join what takes outcome reports."""
        return policy_outcomes(policy, self.store, self.writer, self.pseudonyms, self.metrics)

    def ledger(self, policy: Policy, named: NamedLists) -> Ledger:
        """Join what changes lists and exemptions, and follows them; `named` are the lists of the policy."""
        return Ledger(
            entries=self.store.entries,
            mirror=self.mirror or Mirror(),
            trail=self.trail,
            pseudonyms=self.pseudonyms,
            policy=policy,
            named=named,
        )

    def held(self) -> dict[str, int]:
        """Return how many entries this process knows of each list in the store."""
        followed = {} if self.mirror is None else self.mirror.followed()
        return {name: len(held) for name, held in followed.items()}

    def obey(self, policy: Policy) -> None:
        """Let what stays open keep to another policy's limits; what is under way goes on as it began."""
        self.store.keep_to(_store_budget_s(policy))
        self.writer.rotate(*_rotation(policy))

    async def close(self) -> None:
        """Close the log and the store."""
        self.writer.close()
        await self.store.close()


def policy_store(settings: Settings, url: str, policy: Policy) -> Store:
    """Return the store behind `url`, with the policy's budget."""
    return Store(parse(url), settings.data_dir / "store-epoch", budget_s=_store_budget_s(policy))


def policy_writer(settings: Settings, policy: Policy, metrics: Metrics) -> Writer:
    """Return a writer of the decision log that rotates by the policy's rules.

    It tells of every lost record; engine and outcomes know what their policy does then.
    """
    max_bytes, max_age = _rotation(policy)
    return Writer(settings.log_dir, max_bytes=max_bytes, max_age=max_age, metrics=metrics)


def policy_redaction(pseudonyms: Pseudonyms, policy: Policy, beside: Sequence[Policy] = ()) -> Redaction:
    """Return what a policy lets be recorded, with the attributes that those beside it read.

    Which words are masked is the policy's own to say, or a candidate's words would change what it answers.
    """
    attributes = policy.recorded_attributes.union(*[other.recorded_attributes for other in beside])
    return Redaction(pseudonyms.text, attributes=attributes, words=policy.words)


def policy_outcomes(policy: Policy, store: Store, writer: Writer, pseudonyms: Pseudonyms, metrics: Metrics) -> Outcomes:
    """Join what takes outcome reports by a policy."""
    return Outcomes(
        store=store,
        writer=writer,
        redaction=policy_redaction(pseudonyms, policy),
        sealer=pseudonyms.sealer,
        metrics=metrics,
        outcome_window=policy.file.learning.outcome_window,
        refuse_unrecorded=policy.file.record.on_failure == "refuse",
    )


def _store_budget_s(policy: Policy) -> float:
    return policy.file.deadlines.store.total_seconds()


def _rotation(policy: Policy) -> tuple[int, timedelta]:
    """Return after how many bytes and what time a log file ends; files of seconds would be too many."""
    rules = policy.file.record
    return int(rules.rotate_megabytes * 2**20), max(timedelta(minutes=1), min(rules.rotate_every, MAX_AGE))


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
        mirror=Mirror(),
        trail=Trail(settings.data_dir / "audit"),
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
async def open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """Open what changes lists and exemptions, for a command; running services follow within about a second."""
    policy = open_source(settings).load().policy
    pseudonyms = load_secrets(settings.data_dir)
    mirror = Mirror()
    named = open_named(policy, policy_path(settings), pseudonyms, mirror)
    async with open_store(settings) as store:
        store.keep_to(PATIENCE_S)
        trail = Trail(settings.data_dir / "audit")
        ledger = Ledger(
            entries=store.entries, mirror=mirror, trail=trail, pseudonyms=pseudonyms, policy=policy, named=named
        )
        await ledger.follow(datetime.now(UTC))
        yield ledger


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncIterator[Engine]:
    """Open an engine for a command: the service's own store, log, policy and model, without HTTP."""
    source = open_source(settings)
    vouched = source.load()
    policy = vouched.policy
    model = open_model(settings, policy)
    met: list[tuple[Decision, datetime]] = []
    async with store_url(settings) as url:
        parts = open_parts(
            settings, url, policy, metrics=Metrics(), on_evidence=lambda decision, now: met.append((decision, now))
        )
        try:
            enricher = parts.enricher(policy, vouched.digests(source.path.parent))
            source.remember(vouched)
            with suppress(StoreUnavailable):  # its decisions tell
                await parts.ledger(policy, enricher.named).follow(datetime.now(UTC))
            yield parts.engine(policy, model, enricher, open_candidates(settings, policy))
            outcomes = parts.outcomes(policy)
            for decision, now in met:
                report = OutcomeReport(decision_id=decision.decision_id, outcome=Reported.STEP_UP_PASSED)
                await outcomes.report(report, now=now, source="evidence")
        finally:
            await parts.close()
