"""Parts that many tests share, all of them real: a Valkey server, the built-in databases, the shipped policy."""

import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from riskd.contract import DecideRequest
from riskd.engine import Engine
from riskd.enrich.enrich import Enricher
from riskd.enrich.geo import Geo
from riskd.enrich.identity import Pseudonyms
from riskd.evaluation import Scorer
from riskd.metrics import Metrics
from riskd.outcome import Outcomes
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load
from riskd.record.redact import Redaction
from riskd.record.writer import Writer
from riskd.store import Embedded, Store, parse

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)
IDENTITY = Pseudonyms(b"k" * 32)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Valkey server that lives as long as the test run."""
    server = Embedded(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def default_policy() -> Policy:
    """The policy that riskd ships."""
    return load(SHIPPED / "default.yaml")


@dataclass
class Live:
    """An engine on real parts, and what a test wants to look at."""

    engine: Engine
    outcomes: Outcomes
    store: Store
    metrics: Metrics
    writer: Writer
    log: Path
    evidence: list[str]
    with_model: Callable[..., Engine]
    """Makes an engine like this one with another model, and another policy when one is given."""


@pytest.fixture
async def live(valkey: str, default_policy: Policy, tmp_path: Path) -> AsyncIterator[Live]:
    """An engine with the shipped policy on a store of its own, writing its records below `tmp_path`."""
    metrics = Metrics()
    store = Store(parse(valkey), tmp_path / "epoch", budget_s=2.0, prefix=f"t{uuid.uuid4().hex[:8]}")
    log = tmp_path / "log"
    writer = Writer(log, metrics=metrics)
    redaction = Redaction(IDENTITY.text, attributes=default_policy.recorded_attributes, words=default_policy.words)
    evidence: list[str] = []

    def with_model(model: Scorer | None, policy: Policy = default_policy) -> Engine:
        engine = Engine(
            enricher=Enricher(IDENTITY, Geo(tmp_path)),
            store=store,
            policy=policy,
            model=model,
            writer=writer,
            redaction=redaction,
            sealer=IDENTITY.sealer,
            metrics=metrics,
            on_evidence=lambda decision, _now: evidence.append(decision.decision_id),
        )
        engine._store_budget_s = 5.0  # the store is real and the machine may be busy: that is no fault here
        return engine

    outcomes = Outcomes(store=store, writer=writer, redaction=redaction, sealer=IDENTITY.sealer, metrics=metrics)
    yield Live(with_model(None), outcomes, store, metrics, writer, log, evidence, with_model)
    await store.close()
    writer.close()


@pytest.fixture
def make_request() -> Callable[..., DecideRequest]:
    """Build a request of alice on her laptop in London; keyword arguments change parts of it."""

    def make(**changes: object) -> DecideRequest:
        body: dict[str, Any] = {
            "subject": {"id": "alice", "session_id": "s1"},
            "action": {"name": "login"},
            "context": {
                "ip": "81.2.69.142",
                "user_agent": CHROME,
                "device_id": "laptop",
                "accept_language": "en-GB",
                "utc_offset_minutes": 0,
            },
        }
        for part, value in changes.items():
            body[part] = {**body.get(part, {}), **value} if isinstance(value, dict) else value
        return DecideRequest.model_validate_json(json.dumps(body))

    return make
