"""The real engine, for attempts of another time or an invented one: on an embedded store, with time for every answer.

What is played to it builds up histories as it would have in service, and the log it leaves is like any other.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

from riskd.anomaly.model import Model
from riskd.engine import Engine
from riskd.enrich.enrich import Enricher
from riskd.enrich.identity import Pseudonyms
from riskd.metrics import Metrics
from riskd.outcome import Outcomes
from riskd.policy import Policy
from riskd.record.files import MAX_AGE
from riskd.record.redact import Redaction
from riskd.record.writer import Writer
from riskd.store import Embedded, Store, parse

_PATIENCE: Final = timedelta(seconds=30)
"""Every answer is wanted, however long the machine takes."""


class Offline(NamedTuple):
    """The parts that attempts and outcomes are told to."""

    engine: Engine
    outcomes: Outcomes
    store: Store
    url: str
    """Of the store."""


@asynccontextmanager
async def offline(
    state: Path, log: Path, policy: Policy, model: Model | None, enricher: Enricher, pseudonyms: Pseudonyms
) -> AsyncIterator[Offline]:
    """Open an engine that keeps its store below `state`, for as long as the block, and writes its records to `log`."""
    embedded = Embedded(state)
    await asyncio.to_thread(embedded.start)
    policy, metrics = _patient(policy), Metrics()
    store = Store(parse(embedded.url), state / "epoch", budget_s=_PATIENCE.total_seconds())
    writer = Writer(log, max_age=MAX_AGE, metrics=metrics)
    redaction = Redaction(pseudonyms.text, attributes=policy.recorded_attributes, words=policy.words)
    try:
        engine = Engine(
            enricher=enricher,
            store=store,
            policy=policy,
            model=model,
            writer=writer,
            redaction=redaction,
            sealer=pseudonyms.sealer,
            metrics=metrics,
        )
        outcomes = Outcomes(
            store=store,
            writer=writer,
            redaction=redaction,
            sealer=pseudonyms.sealer,
            metrics=metrics,
            outcome_window=policy.file.learning.outcome_window,
        )
        yield Offline(engine, outcomes, store, embedded.url)
    finally:
        writer.close()
        await store.close()
        await asyncio.to_thread(embedded.stop)


def _patient(policy: Policy) -> Policy:
    """Return the policy with time for every answer: deadlines decide nothing but whether there is one."""
    deadlines = policy.file.deadlines.model_copy(update={"store": _PATIENCE, "model": _PATIENCE})
    file = policy.file.model_copy(update={"deadlines": deadlines})
    return Policy(file, policy.revision, policy.source)
