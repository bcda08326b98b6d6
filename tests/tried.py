"""An engine on real parts that tries something beside its policy, for tests."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from riskd.app.candidates import NONE
from riskd.contract import Decision, DecisionRequest, OutcomeReport, Reported
from riskd.engine import Engine
from riskd.enrich.enrich import Enricher
from riskd.enrich.geo import Geo
from riskd.evaluation import Scorer
from riskd.metrics import Metrics
from riskd.outcome import Outcomes
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load
from riskd.record.reader import read
from riskd.record.redact import Redaction
from riskd.record.schema import DecisionRecord
from riskd.record.writer import Writer
from riskd.store import Store, parse
from riskd.trial import Breakers, Candidates, Trial
from tests.conftest import CHROME, IDENTITY, NOON


@dataclass
class Tried:
    """The engine, and what a test wants to look at."""

    engine: Engine
    outcomes: Outcomes
    metrics: Metrics
    log: Path
    again: Callable[[Policy, Candidates], Engine]
    """Makes an engine of another policy that goes on with the same breakers."""
    settling: Engine
    """One by the shipped policy, for what went before."""

    def records(self) -> list[DecisionRecord]:
        """Decisions in the log."""
        return [record for record in read(self.log) if isinstance(record, DecisionRecord)]

    async def settle(self, people: list[str], at: datetime = NOON - timedelta(days=2)) -> None:
        """Give people a confirmed login each, from a device and an address of their own."""
        for who in people:
            decision = await self.settling.decide(login(who), now=at)
            report = OutcomeReport(decision_id=decision.decision_id, outcome=Reported.CONFIRMED_LEGITIMATE)
            await self.outcomes.report(report, now=at)

    async def log_in(self, people: list[str], at: datetime = NOON, **context: object) -> list[Decision]:
        """Let people log in one after the other, a second apart."""
        later = ((at + timedelta(seconds=number), who) for number, who in enumerate(people))
        return [await self.engine.decide(login(who, **context), now=now) for now, who in later]


@asynccontextmanager
async def tried(
    url: str,
    folder: Path,
    policy: Policy,
    candidates: Candidates = NONE,
    model: Scorer | None = None,
) -> AsyncIterator[Tried]:
    """Open an engine on a store of its own."""
    metrics, store = Metrics(), Store(parse(url), folder / "epoch", budget_s=2.0, prefix=f"t{uuid.uuid4().hex[:8]}")
    log, breakers = folder / "log", Breakers(metrics)
    writer = Writer(log, metrics=metrics)

    def engine(by: Policy, beside: Candidates) -> Engine:
        policies = (by, *beside.policies)
        attributes = frozenset[str]().union(*[one.recorded_attributes for one in policies])
        words = frozenset[str]().union(*[one.words for one in policies])
        return Engine(
            enricher=Enricher(IDENTITY, Geo(folder)),
            store=store,
            policy=by,
            model=model,
            writer=writer,
            redaction=Redaction(IDENTITY.text, attributes=attributes, words=words),
            sealer=IDENTITY.sealer,
            metrics=metrics,
            trial=Trial(by, metrics, beside, breakers),
        )

    redaction = Redaction(IDENTITY.text)
    outcomes = Outcomes(store=store, writer=writer, redaction=redaction, sealer=IDENTITY.sealer, metrics=metrics)
    settling = engine(load(SHIPPED / "default.yaml"), NONE)
    try:
        yield Tried(engine(policy, candidates), outcomes, metrics, log, engine, settling)
    finally:
        await store.close()
        writer.close()


def login(who: str | None, **context: object) -> DecisionRequest:
    """Build a login of somebody, or of nobody known, at the own laptop in London; `context` says otherwise."""
    body: dict[str, Any] = {
        "subject": {"id": who},
        "action": {"name": "login"},
        "context": {
            "ip": "81.2.69.142",
            "user_agent": CHROME,
            "device_id": f"laptop of {who}",
            "accept_language": "en-GB",
            "utc_offset_minutes": 0,
            **context,
        },
    }
    return DecisionRequest.model_validate(body)
