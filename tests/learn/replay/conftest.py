"""A decision log written by the real engine on a real store with a real model, in good days and in bad."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from riskd.anomaly.load import current_version, load_model
from riskd.anomaly.model import Model
from riskd.case import Call
from riskd.contract import Decision, DecisionRequest, OutcomeReport, Reported
from riskd.engine import Engine
from riskd.enrich.enrich import Enricher
from riskd.enrich.geo import Geo
from riskd.errors import ModelError
from riskd.evaluation import Scorer
from riskd.features import MODEL_FEATURES
from riskd.learn.replay.work import Order
from riskd.metrics import Metrics
from riskd.outcome import Outcomes
from riskd.policy.load import SHIPPED, load
from riskd.record.redact import Redaction
from riskd.record.writer import Writer
from riskd.store import Store, parse
from tests.conftest import CHROME, IDENTITY, NOON

MODELS = Path(__file__).parents[3] / "models"
POLICY = SHIPPED / "default.yaml"
HOMES = ("81.2.69.142", "2.125.160.216", "89.160.20.128", "67.43.156.1")


class Flaky:
    """The real model, whose runtime fails while `failing`."""

    def __init__(self, model: Model) -> None:
        self.version, self.extract = model.version, model.extract
        self.failing = False
        self._model = model

    def score_all(self, vectors: Sequence[Sequence[float | None]]) -> list[float]:
        """Score, or fail."""
        if self.failing:
            raise ModelError("the runtime failed")
        return self._model.score_all(vectors)


@dataclass(frozen=True)
class Logged:
    """What the engine wrote."""

    log: Path
    decisions: tuple[Decision, ...]
    outcomes: int


def attempt(number: int, **more: Any) -> DecisionRequest:  # noqa: ANN401 - parts of a request
    """One of forty people at home on a device of theirs; `more` changes parts."""
    person = number % 40
    body: dict[str, Any] = {
        "subject": {"id": f"person-{person}", "session_id": f"s-{person}"},
        "action": {"name": "login"},
        "context": {
            "ip": HOMES[person % len(HOMES)],
            "user_agent": CHROME,
            "device_id": f"device-{person}",
            "accept_language": "en-GB",
            "utc_offset_minutes": 0,
        },
    }
    for part, value in more.items():
        body[part] = {**body.get(part, {}), **value}
    return DecisionRequest.model_validate_json(DecisionRequest.model_validate(body, strict=False).model_dump_json())


class Player:
    """Asks the engine, reports outcomes, and lets time pass."""

    def __init__(self, url: str, out: Path) -> None:
        policy = load(POLICY)
        metrics = Metrics()
        prefix = f"t{uuid.uuid4().hex[:8]}"
        self.at = NOON
        self.log = out / "log"
        self.flaky = Flaky(load_model(MODELS, MODEL_FEATURES))
        self._store = Store(parse(url), out / "epoch", budget_s=2.0, prefix=prefix)
        self._nowhere = Store(parse("redis://127.0.0.1:1"), out / "epoch-of-none", budget_s=0.05, prefix=prefix)
        self._writer = Writer(self.log, metrics=metrics, max_age=timedelta(hours=6))
        redaction = Redaction(IDENTITY.text, words=policy.words)

        def engine(store: Store, model: Scorer | None) -> Engine:
            return Engine(
                enricher=Enricher(IDENTITY, Geo(out)),
                store=store,
                policy=policy,
                model=model,
                writer=self._writer,
                redaction=redaction,
                sealer=IDENTITY.sealer,
                metrics=metrics,
            )

        self.usual = engine(self._store, self.flaky)
        self.without_store = engine(self._nowhere, self.flaky)
        self.without_model = engine(self._store, None)
        self._outcomes = Outcomes(
            store=self._store, writer=self._writer, redaction=redaction, sealer=IDENTITY.sealer, metrics=metrics
        )
        self.decisions: list[Decision] = []
        self.reported = 0

    async def decide(self, engine: Engine, *requests: DecisionRequest) -> list[Decision]:
        """Judge attempts together, five minutes later."""
        self.at += timedelta(minutes=5)
        answers = await engine.decide_all([Call(request, self.at) for request in requests])
        decisions = [answer for answer in answers if isinstance(answer, Decision)]
        assert len(decisions) == len(requests), answers
        self.decisions += decisions
        return decisions

    async def report(self, decision: Decision, outcome: Reported) -> None:
        """Say what became of a decision, a minute later."""
        self.at += timedelta(minutes=1)
        report = OutcomeReport(decision_id=decision.decision_id, outcome=outcome)
        assert (await self._outcomes.report(report, now=self.at)).status == "accepted"
        self.reported += 1

    async def close(self) -> None:
        """Close everything."""
        self._writer.close()
        await self._store.close()
        await self._nowhere.close()


async def _play(player: Player) -> None:
    for number in range(80):  # two logins of everybody, so that devices and places become known
        (decision,) = await player.decide(player.usual, attempt(number))
        await player.report(decision, Reported.LOGIN_SUCCEEDED if decision.decision == "allow" else _PASSED)
    await player.decide(player.usual, *(attempt(number) for number in range(16)))
    for number in range(24):  # strangers' devices far from home
        strange = {"ip": HOMES[(number + 2) % 4], "device_id": f"new-{number}", "accept_language": "ru"}
        (decision,) = await player.decide(player.usual, attempt(number, context=strange))
        if decision.decision == "step_up":
            await player.report(decision, Reported.STEP_UP_FAILED if number % 3 else _PASSED)
    for number in range(30, 36):  # thieves who came through, and were found out later
        (decision,) = await player.decide(player.usual, attempt(number))
        await player.report(decision, Reported.LOGIN_SUCCEEDED)
        await player.report(decision, Reported.REPORTED_BY_USER if number % 2 else Reported.CONFIRMED_FRAUD)
    for number in range(12):  # fresh evidence meets what would be a step-up
        strange = {"ip": HOMES[(number + 1) % 4], "device_id": f"proved-{number}", "accept_language": "de"}
        just_now = (player.at + timedelta(seconds=290)).isoformat()
        proof = {"acr": "mfa", "amr": ["pwd", "otp"], "auth_time": just_now}
        await player.decide(player.usual, attempt(number, context=strange, subject=proof, action=_PAYMENT))
    for number in range(10):  # hopeless ones
        bot = {"user_agent": "curl/8.1", "ip": HOMES[3], "device_id": "bot"}
        await player.decide(player.usual, attempt(number, context=bot, subject={"leaked_credential": True}))
    for number in range(6):  # words that are masked, payments, things unknown
        odd = {"name": f"x9-{number}zz", "amount": 12_000.5, "currency": "EUR", "recipient": f"IBAN{number}"}
        await player.decide(player.usual, attempt(number, action=odd, resource=_ENDPOINT), attempt(number, action=odd))
    await player.decide(player.usual, DecisionRequest.model_validate({"action": {"name": "login"}}))
    for number in range(8):
        await player.decide(player.without_store, attempt(number, action=_PAYMENT), attempt(number + 8))
        await player.decide(player.without_model, attempt(number, action=_PAYMENT))
    player.flaky.failing = True
    for number in range(4):
        await player.decide(player.usual, attempt(number), attempt(number + 20, action=_PAYMENT))
    player.flaky.failing = False


_PASSED = Reported.STEP_UP_PASSED
_PAYMENT = {"name": "transfer", "amount": 820.0, "currency": "EUR", "recipient": "DE00"}
_ENDPOINT = {"endpoint": {"path": "/api/v1/export/4711abc", "method": "POST"}}


@pytest.fixture(scope="session")
def logged(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Logged:
    """A log with everything in it: known people, strangers, evidence, batches, and each source down in turn."""

    async def play() -> Logged:
        player = Player(valkey, tmp_path_factory.mktemp("logged"))
        try:
            await _play(player)
        finally:
            await player.close()
        return Logged(player.log, tuple(player.decisions), player.reported)

    return asyncio.run(play())


def order(policy: Path = POLICY, **more: Any) -> Order:  # noqa: ANN401 - as `Order.of`
    """What the tests ask for unless they say otherwise: the shipped models, the shipped policy known."""
    return Order.of(policy, **{"known": (POLICY,), "models": MODELS, **more})


@pytest.fixture(scope="session")
def version() -> str:
    """Version of the shipped model."""
    return current_version(MODELS)


def amended(to: Path, *changes: tuple[str, str]) -> Path:
    """Write the shipped policy with parts of its text replaced, each of which must be there once."""
    text = POLICY.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = to / "new.yaml"
    path.write_text(text, encoding="utf-8")
    return path


__all__ = ["MODELS", "POLICY", "Logged", "amended", "attempt", "datetime", "order"]
