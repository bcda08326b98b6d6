"""A real front, door, API and protocol around the smallest engine, for real workers to serve in tests."""

import asyncio
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

from riskd.case import Call
from riskd.contract import Decision, OutcomeReceipt, OutcomeReport
from riskd.counterfactual import ExplainedDecision
from riskd.errors import ConfigError, ConflictError, RecordUnavailable, RequestError, UnbackedError
from riskd.http.api import Part, Readiness, build_api
from riskd.http.door import Door
from riskd.http.front import Front
from riskd.http.protocol import Limits

KEYS = {
    b"rk_all": SimpleNamespace(name="all", scopes=frozenset({"decide", "outcome", "admin"})),
    b"rk_decide": SimpleNamespace(name="pep", scopes=frozenset({"decide"})),
    b"rk_outcome": SimpleNamespace(name="idp", scopes=frozenset({"outcome"})),
}


def clock() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Keys:
    """The three keys of `KEYS`."""

    def verify(self, presented: bytes, *, now: datetime) -> SimpleNamespace | None:
        """Return whose key it is."""
        del now
        return KEYS.get(presented)


class EchoEngine:
    """Allows everything; the action's name asks for delays and failures."""

    async def again(self, call: Call, unbacked: UnbackedError) -> Decision | Exception:
        """Judge a repeat after a while."""
        await asyncio.sleep(float(unbacked.request_key))
        return self._allow(call)

    async def decide_all(self, calls: Sequence[Call]) -> list[Decision | Exception]:
        """Judge each on its own."""
        decided = await asyncio.gather(*(self._decide(call) for call in calls), return_exceptions=True)
        return [one if isinstance(one, Exception) else cast("Decision", one) for one in decided]

    async def _decide(self, call: Call) -> Decision:
        """Return an allow whose ids tell what was received."""
        word = call.request.action.name
        if word.startswith("sleep_"):
            await asyncio.sleep(float(word.removeprefix("sleep_")))
        elif word == "refuse":
            raise RequestError("context.ip is no IP address")
        elif word == "conflict":
            raise ConflictError("this request id was used with another body")
        elif word == "unrecorded":
            raise RecordUnavailable("the disk is full")
        elif word == "crash":
            raise RuntimeError("secret of the house")
        elif word.startswith("repeat_"):
            raise UnbackedError(word.removeprefix("repeat_"), "", None)
        return self._allow(call)

    def _allow(self, call: Call) -> Decision:
        decision = Decision(
            decision="allow",
            score=0.0,
            score_range=(0.0, 0.0),
            reasons=(),
            decision_id=call.request.request_id or "none",
            policy_revision=call.caller,
            model_version=str(os.getpid()),
            evaluated_at=call.now,
        )
        return ExplainedDecision(**vars(decision), counterfactuals=()) if call.explain else decision

    async def report(self, report: OutcomeReport, *, now: datetime, caller: str) -> OutcomeReceipt:
        """Accept the report, unless its id ends in zeros."""
        del now, caller
        if report.decision_id.endswith("000000000000"):
            raise RequestError("no such decision", status=404)
        return OutcomeReceipt(decision_id=report.decision_id, outcome=report.outcome, status="accepted")


class EchoService:
    """What a worker serves."""

    log_level = "info"

    def __init__(self) -> None:
        self.limits = Limits(**json.loads(os.environ.get("ECHO_LIMITS", "{}")))
        self.drain_seconds = float(os.environ.get("ECHO_DRAIN", "0.3"))
        self.statuses: dict[int, int] = {}
        self._draining = False
        door = Door(Keys(), rate=float(os.environ.get("ECHO_RATE", "0")))
        self.api = build_api(
            door=door, clock=clock, readiness=self.readiness, metrics=lambda: repr(self.statuses).encode()
        )
        self.app = Front(
            EchoEngine(),
            EchoEngine(),
            door,
            rest=self.api,
            clock=clock,
            refused=self.refused,
            max_in_flight=int(os.environ.get("ECHO_IN_FLIGHT", "128")),
        )

    async def start(self) -> None:
        """Refuse to start when the test wants so."""
        if wrong := os.environ.get("ECHO_WRONG"):
            raise ConfigError(wrong)

    async def stop(self) -> None:
        """Nothing to close."""

    def readiness(self) -> Readiness:
        """Tell about one part."""
        parts = {"policy": Part(ready=True, state="ok", revision="r1")}
        return Readiness(ready=True, draining=self._draining, parts=parts)

    def ready(self) -> bool:
        """Be ready at once."""
        return True

    def drain(self) -> None:
        """Say 503 on /readyz."""
        self._draining = True

    def look(self, *, again: bool) -> None:
        """Nothing is read from files."""

    def refused(self, status: int) -> None:
        """Count."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
