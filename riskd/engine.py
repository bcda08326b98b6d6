"""THE page: enrich, one store round trip, evaluate, record, answer.

Reads first, writes last, pure between. A source that is down costs its facts, never the answer.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from math import inf
from time import perf_counter
from typing import Final

import structlog
from msgspec.structs import replace

from riskd import decision_id
from riskd.budget import WithinBudget
from riskd.case import Call, Case, each
from riskd.contract import Decision, DecisionRequest, made
from riskd.counterfactual import ExplainedDecision, in_steps
from riskd.enrich.enrich import Enricher
from riskd.errors import OverdueError, StoreUnavailable, UnbackedError
from riskd.evaluation import Scorer, measure_all
from riskd.metrics import Metrics
from riskd.policy import Policy
from riskd.record.redact import Redaction
from riskd.record.writer import Writer
from riskd.store import Store
from riskd.trial import Trial

ASKED_AGAIN_S: Final = (0.01, 0.02, 0.04, 0.08, 0.16)
"""Pauses after which a repeat looks for the record of its first: longer in all than anybody waits for a slow disk."""
TAKEN_UP: Final = 4
"""How often a repeat is taken up: two are enough unless others take its first's place before it, and lose theirs."""

log = structlog.stdlib.get_logger("riskd.engine")


class Engine:
    """Judges attempts; built once, holds nothing of a request."""

    def __init__(
        self,
        *,
        enricher: Enricher,
        store: Store,
        policy: Policy,
        model: Scorer | None,
        writer: Writer,
        redaction: Redaction,
        sealer: decision_id.Sealer,
        metrics: Metrics,
        on_evidence: Callable[[Decision, datetime], None] = lambda _decision, _now: None,
        trial: Trial | None = None,
        rollout_redaction: Redaction | None = None,
    ) -> None:
        """`on_evidence` is told of each decision in which fresh evidence met a step-up: it counts as passed.

        Each policy judges what its own words let be recorded; `rollout_redaction` is that of a rollout's policy.
        """
        self.sources: dict[str, str] = {}
        """Version of each database and list in use, for the record."""
        self.policy = policy
        self.model = model
        deadlines = policy.file.deadlines
        self._outcome_window_s = int(policy.file.learning.outcome_window.total_seconds())
        self._refuse_unrecorded = policy.file.record.on_failure == "refuse"
        # The store is always given the same time: a caller's own lateness must not make a sound store look slow.
        self._longest_wait_s, self._store_budget_s = deadlines.decision.total_seconds(), deadlines.store.total_seconds()
        self._scorer = None if model is None else WithinBudget(model, deadlines.model.total_seconds())
        self._enricher = enricher
        self._store = store
        self._writer = writer
        self._redaction, self._rollout_redaction = redaction, rollout_redaction or redaction
        self._sealer = sealer
        self._metrics = metrics
        self._on_evidence = on_evidence
        self._trial = trial or Trial(policy, metrics)
        self._store_failures = metrics.store_failures.at("observe")
        stages = metrics.stage_seconds
        self._enrich_s, self._store_s = stages.at("enrich"), stages.at("store")
        self._evaluate_s, self._shadow_s = stages.at("evaluate"), stages.at("shadow")
        self._record_s = stages.at("record")

    async def decide(self, request: DecisionRequest, *, now: datetime, caller: str = "") -> Decision:
        """Judge one attempt; raises what `decide_all` would put in place of its decision."""
        call = Call(request, now, caller)
        (decision,) = await self.decide_all([call])
        if isinstance(decision, UnbackedError):
            decision = await self.again(call, decision)
        if isinstance(decision, Exception):
            raise decision
        return decision

    async def decide_all(self, calls: Sequence[Call]) -> list[Decision | Exception]:
        """Judge attempts together, each exactly as it would be judged alone, after the ones before it.

        They share one round trip, one call of the model and one write. In place of a decision stands a RequestError for
        an attempt that cannot be judged, a ConflictError for a request id used with another body, an OverdueError for
        a call past its deadline, a RecordUnavailable when the record is lost and the policy says to refuse then, and an
        UnbackedError for a repeat that no record backs: that is for `again`, which holds nobody else up.
        """
        begun = perf_counter()
        model, trial = self._scorer, self._trial
        cases = [Case(call) for call in calls]
        asking = each(cases, lambda case: self._look_up(case, begun))
        enriched = perf_counter()
        told = await self._observe(asking)
        fetched = perf_counter()
        joined = each(told, self._join)
        for case, measured in zip(joined, measure_all([case.facts for case in joined], model), strict=True):
            case.measured = measured
        judged = each(joined, lambda case: case.judge(model, self._sealer))
        evaluated = perf_counter()
        due = _to_record(judged)
        besides = trial.beside([case.facts for case in due], [case.measured for case in due], due, model)
        for case, beside in zip(due, besides, strict=True):
            case.shadow = beside
        compared = perf_counter()
        await self._record(due)
        _fail_repeats_of_the_lost(judged)
        recorded = perf_counter()
        times = len(told)
        self._enrich_s.observe(enriched - begun, times)
        self._store_s.observe(fetched - enriched, times)
        self._evaluate_s.observe(evaluated - fetched, times)
        self._shadow_s.observe(compared - evaluated, times)
        self._record_s.observe(recorded - compared, times)
        for case in judged:
            if case.failure is not None:
                continue
            self._count(case)
            if case.call.explain:
                case.decision = await _explained(case, model)
        return [case.decision if case.failure is None else case.failure for case in cases]

    async def again(self, call: Call, unbacked: UnbackedError) -> Decision | Exception:
        """Judge alone, in its time, a repeat that no record backed.

        While its first is under way it waits for the first's record, 0.3 s at most, and is answered the same. When none
        comes (the worker was killed, or could not say), or when it comes out otherwise than what was recorded (the
        policy, a list or the model changed), it takes the first's place: judged from what was counted then, and
        recorded under an id of its own. So an attempt counts once, and teaches once whichever id an outcome is reported
        on; no decision is answered that no record holds, and no two records have one id.
        """
        call = replace(call, arrived=inf)
        decision: Decision | Exception = unbacked
        for _ in range(TAKEN_UP):
            if unbacked.answered is None and await self._is_noted(unbacked):
                (decision,) = await self.decide_all([call])
            else:  # of several that take its place one does, and the others repeat that one
                (decision,) = await self.decide_all([replace(call, instead=unbacked.base)])
            if not isinstance(decision, UnbackedError):
                break
            unbacked = decision
        return decision

    async def _is_noted(self, unbacked: UnbackedError) -> bool:
        """Wait until it is noted what a request was answered; return whether it is."""
        for pause in ASKED_AGAIN_S:
            await asyncio.sleep(pause)
            try:
                if await self._store.answered(unbacked.request_key, unbacked.base) is not None:
                    return True
            except StoreUnavailable:
                return False
        return False

    def _look_up(self, case: Case, begun: float) -> None:
        if begun > case.call.arrived + self._longest_wait_s:
            raise OverdueError("the request waited past its deadline")
        case.look_up(self._enricher, self._trial)

    async def _observe(self, cases: list[Case]) -> list[Case]:
        """Ask the store; what it cannot say stays unknown. Returns the cases that it takes for what they are."""
        if not cases:
            return cases
        attempts, counts = [case.attempt for case in cases], [case.counts for case in cases]
        found = await self._store.observe_all(attempts, self._store_budget_s, self._outcome_window_s, counts)
        seen = dict(zip(cases, found, strict=True))

        def take(case: Case) -> None:
            known = seen[case]
            if isinstance(known, StoreUnavailable):
                self._store_failures.inc()
            elif isinstance(known, Exception):
                raise known
            else:
                case.take(known, self._enricher)

        return each(cases, take)

    def _join(self, case: Case) -> None:
        case.join(self._redaction if case.policy is self.policy else self._rollout_redaction, self._trial)

    async def _record(self, cases: list[Case]) -> None:
        """Write the records down; a case whose record is lost fails where the policy says so."""
        records = {}

        def compose(case: Case) -> None:
            records[case] = case.record(self.sources)

        cases = each(cases, compose)
        if not cases:
            return
        writer, written = self._writer, list(records.values())
        refusals = await writer.append_aside(written) if writer.slow else writer.append_all(written)
        for case, refusal in zip(cases, refusals, strict=True):
            if refusal is not None and self._refuse_unrecorded:
                case.failure = refusal
                self._store.disown(case.attempt)
                continue
            if case.attempt.request_id is not None:
                self._store.note_answered(case.attempt.request_id, case.base, case.answered)
            if case.is_retry:
                self._on_evidence(case.decision, case.call.now)

    def _count(self, case: Case) -> None:
        metrics = self._metrics
        if not case.repeated:
            self._trial.count(case.facts, case.policy, case.evaluation, case.call.now)
        for shadowed in case.evaluation.shadow:
            metrics.shadow_signals.at(shadowed.code, shadowed.state.value).inc()
        metrics.decided(case.decision.decision, case.call.request.action.name)
        metrics.scored(case.evaluation.anomaly, case.evaluation.score, case.evaluation.unknown)
        for hit in case.evaluation.hits:
            metrics.signal_hits.at(hit.question.code).inc()
        for code in case.evaluation.exempt:
            metrics.exempt_hits.at(code).inc()
        for source in case.evaluation.degraded:
            metrics.degraded.at(source).inc()
            if source.startswith("signal:"):
                metrics.signal_errors.at(source.removeprefix("signal:")).inc()


def _to_record(judged: list[Case]) -> list[Case]:
    """Return the cases to be recorded: all but repeats, which fail unless a record, there or due, says the same."""
    due = [case for case in judged if not case.repeated]
    bases = {case.base for case in due}
    for case in judged:
        seen = case.seen
        if seen is None or not seen.repeated or case.base in bases or seen.answered == case.answered:
            continue
        case.failure = UnbackedError(case.attempt.request_id or "", case.base, seen.answered)
    return due


def _fail_repeats_of_the_lost(cases: list[Case]) -> None:
    """Refuse in one group with an attempt whose record is lost its repeats, which no record would back either."""
    lost = {case.base: case.failure for case in cases if case.failure is not None}
    for case in cases:
        if case.repeated and case.base in lost:
            case.failure = lost[case.base]


async def _explained(case: Case, model: Scorer | None) -> ExplainedDecision:
    """Say what would have turned a decision, a few evaluations at a time, so that others are heard in between."""
    found = None
    try:
        steps = in_steps(case.facts, case.policy, model, case.evaluation)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found = end.value
                break
            await asyncio.sleep(0)
    except Exception:
        # The decision is made and recorded: what cannot be explained is answered all the same.
        log.exception("explanation_failed", decision_id=case.decision.decision_id)
    return made(ExplainedDecision, **vars(case.decision), counterfactuals=found)
