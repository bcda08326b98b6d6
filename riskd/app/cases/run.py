"""Judges cases by the engine that serves, on a store of their own that ends with them.

What came before is not made up but lived through: each attempt of a history is judged and its outcome reported, at the
time the case says. So whatever a policy declares works here as it does live.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final, Literal

from pydantic import ValidationError

from riskd.anomaly.model import Model
from riskd.app.cases.compare import Difference, differences
from riskd.app.cases.load import Ready
from riskd.app.cases.past import Moment, differing, is_the_same_at_all_times, moments, request_at
from riskd.app.parts import Parts, open_geo, open_parts
from riskd.contract import DecideRequest, Decision, OutcomeReport, Reported
from riskd.engine import Engine
from riskd.enrich.path import normalise_path
from riskd.errors import RiskdError
from riskd.metrics import Metrics
from riskd.outcome import Outcomes
from riskd.policy import Plan, Policy
from riskd.policy.schema import Deadlines
from riskd.settings import Settings
from riskd.store import Embedded, Store, parse

CALLER: Final = "riskd test"
PATIENCE: Final = timedelta(seconds=30)
"""In place of a policy's own deadlines: a case must not fail because the machine that tests is slow."""

_REPORTED: Final = {
    "reported": Reported.REPORTED_BY_USER,
    "fraud": Reported.CONFIRMED_FRAUD,
    "legitimate": Reported.CONFIRMED_LEGITIMATE,
}


class Impossible(Exception):
    """A history that cannot have been."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case."""

    case: Ready
    plan: Plan
    """What the policy says of the case's action."""
    seconds: float
    decision: Decision | None
    differences: tuple[Difference, ...] = ()
    trouble: str = ""
    """Why it could not be judged."""

    @property
    def status(self) -> Literal["passed", "failed", "error"]:
        """`failed` when something came out otherwise, `error` when the case could not be judged."""
        if self.trouble:
            return "error"
        return "failed" if self.differences else "passed"


class Rehearsal:
    """Judges cases one after the other, each with a history of its own."""

    def __init__(self, parts: Parts, target: str, policy: Policy, model: Model | None, folder: Path) -> None:
        self._parts = parts
        self._target = parse(target)
        self._policy = _in_time(policy, PATIENCE)
        self._model = model
        self._folder = folder
        self._enricher = parts.enricher(policy)
        self._judged = 0

    async def judge(self, case: Ready) -> Result:
        """Live through the history of a case, then judge it."""
        begun = perf_counter()
        plan, decision, trouble = _plan(self._policy, case.request), None, ""
        try:
            decision = await self._decide(case)
        except (RiskdError, ValidationError, Impossible) as error:
            trouble = " ".join(str(error).split())
        differs = () if decision is None else differences(case.expect, decision)
        return Result(case, plan, perf_counter() - begun, decision, differs, trouble)

    async def _decide(self, case: Ready) -> Decision:
        if "model" in case.down and self._model is None:
            raise Impossible("down: there is no model that could be out of order")
        self._judged += 1
        name = f"case-{self._judged}"
        store = Store(self._target, self._folder / name, budget_s=PATIENCE.total_seconds(), prefix=name)
        gone = Store(parse(f"unix://{self._folder / 'gone'}"), self._folder / f"{name}-gone")
        met: list[Decision] = []
        parts = replace(self._parts, store=store, on_evidence=lambda decision, _now: met.append(decision))
        try:
            engine, outcomes = parts.engine(self._policy, self._model, self._enricher), parts.outcomes(self._policy)
            await _live_through(case, engine, outcomes, met)
            if case.down:
                parts = replace(parts, store=gone if "store" in case.down else store)
                policy = self._impatient if "model" in case.down else self._policy
                engine = parts.engine(policy, self._model, self._enricher)
            return await engine.decide(case.request, now=case.at, caller=CALLER)
        finally:
            await gone.close()
            await store.close()

    @cached_property
    def _impatient(self) -> Policy:
        """The policy of which no model is fast enough."""
        return _in_time(self._policy, timedelta(0))


async def _live_through(case: Ready, engine: Engine, outcomes: Outcomes, met: list[Decision]) -> None:
    """Judge each attempt of a history at its time, and report what became of it as its caller would.

    `met` is where the engine leaves a decision in which fresh evidence met a step-up: that counts as passed.
    """
    requests: dict[int, DecideRequest] = {}
    for moment in moments(case.history, case.at):
        past, now = moment.past, moment.at
        request = requests.get(id(past))
        if request is None:
            request = request_at(differing(past, moment.number), now)
            if is_the_same_at_all_times(past):
                requests[id(past)] = request
        met.clear()
        decision = await engine.decide(request, now=now, caller=CALLER)
        if met:
            report = OutcomeReport(decision_id=decision.decision_id, outcome=Reported.STEP_UP_PASSED)
            await outcomes.report(report, now=now, source="evidence")
        outcome = _outcome(moment, decision, request.action.name)
        if outcome is not None:
            report = OutcomeReport(decision_id=decision.decision_id, outcome=outcome)
            await outcomes.report(report, now=now, caller=CALLER)


def _in_time(policy: Policy, model: timedelta) -> Policy:
    """Return the policy with deadlines for a test."""
    deadlines = Deadlines(decision=PATIENCE, store=PATIENCE, model=model)
    return Policy(policy.file.model_copy(update={"deadlines": deadlines}), policy.revision, policy.source)


def _plan(policy: Policy, request: DecideRequest) -> Plan:
    endpoint = request.resource.endpoint
    path, method = (None, None) if endpoint is None else (normalise_path(endpoint.path).path, endpoint.method)
    return policy.plan(request.action.name, path, method, request.resource.type)


def _outcome(moment: Moment, decision: Decision, action: str) -> Reported | None:
    """Return what is reported of an attempt."""
    step = moment.past.step
    word, login = step.outcome, action == "login"
    if word == "tried":
        return None
    if word == "failed":
        return Reported.LOGIN_FAILED if login else Reported.ACTION_FAILED
    if word != "confirmed":
        return _REPORTED[word]
    if decision.decision == "deny":
        reasons = ", ".join(reason.code for reason in decision.reasons[:5])
        raise Impossible(
            f"history: number {moment.number} of {step.times} confirmed attempts, at {moment.at:%Y-%m-%d %H:%M:%S}, "
            f"is denied (score {decision.score:g}: {reasons}), so it cannot have been confirmed"
        )
    if decision.decision == "step_up":
        return Reported.STEP_UP_PASSED
    return Reported.LOGIN_SUCCEEDED if login else Reported.ACTION_COMPLETED


@asynccontextmanager
async def open_rehearsal(
    settings: Settings, policy: Policy, path: Path, model: Model | None
) -> AsyncIterator[Rehearsal]:
    """Open what judges cases of the policy at `path`: the databases of `settings`, and an embedded store of its own.

    Nothing of it touches the store, log or secrets that the service has. Raises ConfigError.
    """
    with TemporaryDirectory(prefix="riskd-test-") as name:
        folder = Path(name)
        embedded = Embedded(folder)
        await asyncio.to_thread(embedded.start)
        try:
            own = settings.model_copy(update={"data_dir": folder, "policy": path, "redis_url": None})
            parts = open_parts(own, embedded.url, policy, metrics=Metrics())
            try:
                parts = replace(parts, geo=open_geo(settings), mirror=None)
                yield Rehearsal(parts, embedded.url, policy, model, folder)
            finally:
                await parts.close()
        finally:
            await asyncio.to_thread(embedded.stop)
