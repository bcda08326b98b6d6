"""Drives a real engine with the simulated attempts, reports what became of each, and keeps the truth beside the log.

The PEP that is played asks before it checks the password. What it reports follows from the decision: a wrong password
fails, an owner passes a step-up, an attacker fails it, and what is denied goes no further. An attacker who is stopped
gives up, and owners report some of what got through hours or days later.
"""

import asyncio
import heapq
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from riskd.anomaly.model import Model
from riskd.contract import Decision, OutcomeReport, Reported
from riskd.engine import Engine
from riskd.enrich.enrich import Enricher
from riskd.enrich.geo import Geo
from riskd.enrich.identity import load_secrets
from riskd.learn.offline import offline
from riskd.learn.simulate.attackers import AttackRates
from riskd.learn.simulate.attempt import LOGIN, TRANSFER, Attempt
from riskd.learn.simulate.people import Habits
from riskd.learn.simulate.stream import Size, simulate_stream
from riskd.learn.truth import HONEST, TRUTH_FILE, Truth
from riskd.outcome import Outcomes
from riskd.policy import Policy
from riskd.settings import LOG_FOLDER

_CAMPAIGNS = frozenset({"stuffing", "spray"})


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation left behind."""

    log: Path
    """An ordinary decision log."""
    truth: Path
    decisions: int
    begins: datetime
    ends: datetime


def simulate(
    out: Path,
    size: Size,
    policy: Policy,
    model: Model | None = None,
    habits: Habits | None = None,
    *,
    rates: AttackRates | None = None,
) -> Simulated:
    """Play `size` against an engine with this policy and model; write `out/log/` and `out/truth.jsonl`.

    The engine is the real one, on an embedded store in a temporary directory. The same size, habits and
    rates give the same attempts; without `rates` those attack whom the shipped model's card tells of.
    Raises FileExistsError when `out` holds a simulation already, ValueError for an impossible size.
    """
    stream = simulate_stream(size, habits, rates)
    truth = out / TRUTH_FILE
    if truth.exists() or (out / LOG_FOLDER).exists():
        raise FileExistsError(f"{out} holds a simulation already")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="riskd-simulate-") as temporary:
        decisions = asyncio.run(_with_engine(Path(temporary), out, policy, model, stream))
    return Simulated(out / LOG_FOLDER, truth, decisions, size.start, size.end)


async def _with_engine(state: Path, out: Path, policy: Policy, model: Model | None, stream: Iterable[Attempt]) -> int:
    pseudonyms = load_secrets(state)
    enricher = Enricher(pseudonyms, Geo(state))
    async with offline(state, out / LOG_FOLDER, policy, model, enricher, pseudonyms) as riskd:
        play = _Play(riskd.engine, riskd.outcomes)
        with (out / TRUTH_FILE).open("wb") as truth:
            for attempt in stream:
                known = await play.attempt(attempt)
                if known is not None:
                    truth.write(msgspec.json.encode(known) + b"\n")
    return play.decisions


class _Play:
    """The PEP, its users and its attackers."""

    def __init__(self, engine: Engine, outcomes: Outcomes) -> None:
        self.decisions = 0
        self._engine = engine
        self._outcomes = outcomes
        self._ended: set[str] = set()
        """Sessions that never began and sequences that were stopped."""
        self._proved: dict[str, float] = {}
        """Session → when its second factor was shown."""
        self._due: list[tuple[float, str, Reported]] = []
        """What owners will report: when, of which decision, what."""

    async def attempt(self, attempt: Attempt) -> Truth | None:
        """Play one attempt; None when it never happens, because an earlier one was stopped."""
        while self._due and self._due[0][0] <= attempt.time:
            at, decision_id, outcome = heapq.heappop(self._due)
            await self._report(decision_id, outcome, at)
        chained = attempt.label not in _CAMPAIGNS
        if attempt.session in self._ended or (chained and attempt.sequence in self._ended):
            return None
        proved_at = None if attempt.session is None else self._proved.get(attempt.session)
        request = attempt.request(f"attempt-{self.decisions}", proved_at=proved_at if attempt.label == HONEST else None)
        decision = await self._engine.decide(request, now=_instant(attempt.time))
        self.decisions += 1
        await self._what_became_of(attempt, decision)
        return Truth(decision.decision_id, attempt.label, attempt.sequence, attempt.password_right)

    async def _what_became_of(self, attempt: Attempt, decision: Decision) -> None:
        outcome = _outcome(attempt, decision)
        if outcome is not None:
            await self._report(decision.decision_id, outcome, attempt.time)
        through = outcome in {Reported.LOGIN_SUCCEEDED, Reported.ACTION_COMPLETED, Reported.STEP_UP_PASSED}
        if attempt.session is not None and outcome is Reported.STEP_UP_PASSED:
            self._proved[attempt.session] = attempt.time
        if not through:
            if attempt.label != HONEST and attempt.sequence is not None:
                self._ended.add(attempt.sequence)
            elif attempt.session is not None and attempt.action == LOGIN:
                self._ended.add(attempt.session)
        elif attempt.disowned_after_s is not None:
            word = Reported.CONFIRMED_FRAUD if attempt.action == TRANSFER else Reported.REPORTED_BY_USER
            heapq.heappush(self._due, (attempt.time + attempt.disowned_after_s, decision.decision_id, word))

    async def _report(self, decision_id: str, outcome: Reported, at: float) -> None:
        await self._outcomes.report(OutcomeReport(decision_id=decision_id, outcome=outcome), now=_instant(at))


def _outcome(attempt: Attempt, decision: Decision) -> Reported | None:
    """Return what the PEP reports; None after a deny."""
    if decision.decision == "deny":
        return None
    if attempt.action == LOGIN and not attempt.password_right:
        return Reported.LOGIN_FAILED
    if decision.decision == "step_up":
        return Reported.STEP_UP_PASSED if attempt.passes_step_up else Reported.STEP_UP_FAILED
    return Reported.LOGIN_SUCCEEDED if attempt.action == LOGIN else Reported.ACTION_COMPLETED


def _instant(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)
