"""THE page: enrich, one store round trip, evaluate, record, answer.

Reads first, writes last, pure between. A source that is down costs its facts, never the answer.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from math import inf
from time import perf_counter

from msgspec import Struct
from msgspec.structs import replace

from riskd import decision_id
from riskd.answer import answer, verdict_of
from riskd.budget import WithinBudget
from riskd.contract import Decision, DecisionRequest, Outcome, made
from riskd.counterfactual import ExplainedDecision, in_steps
from riskd.enrich.enrich import Draft, Enricher
from riskd.errors import OverdueError, StoreUnavailable
from riskd.evaluation import MODEL, Evaluation, Scorer, judge, measure_all, shadow_hits
from riskd.facts import NOT_LISTED, Facts
from riskd.features import MODEL_FEATURES, schema_hash
from riskd.features.velocity import Counts
from riskd.metrics import Metrics
from riskd.policy import Plan, Policy
from riskd.record.redact import Redaction
from riskd.record.schema import DecisionRecord, ShadowRecord
from riskd.record.writer import Writer
from riskd.signals import CATALOGUE
from riskd.store import Attempt, Observation, Store
from riskd.trial import Trial

FEATURE_SCHEMA = schema_hash(MODEL_FEATURES)


class Call(Struct, frozen=True):
    """One attempt, as a caller presents it."""

    request: DecisionRequest
    now: datetime
    """When it came, aware UTC."""
    caller: str = ""
    """Name of the API key."""
    arrived: float = inf
    """When it came by `perf_counter`, for its deadline; infinite when it has none."""
    explain: bool = False
    """Say what would have turned the decision; once it is recorded, since that may take 200 evaluations."""


class Case:
    """One attempt on its way through the engine."""

    __slots__ = (
        "at", "attempt", "base", "call", "counts", "decision", "draft", "evaluation", "facts", "failure", "policy",
        "repeated", "seen", "shadow",
    )  # fmt: skip

    at: datetime
    draft: Draft
    policy: Policy
    """By which it is judged."""
    attempt: Attempt
    counts: Counts | None
    """What the policy's velocities count of it; None without any."""
    base: str
    """The decision's id without its verdict."""
    facts: Facts
    evaluation: Evaluation
    decision: Decision
    shadow: ShadowRecord | None
    """What was judged beside."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.shadow = None
        self.seen: Observation | None = None
        self.repeated = False
        self.failure: Exception | None = None

    def judge(self, facts: Facts, evaluation: Evaluation, model: Scorer | None, sealer: decision_id.Sealer) -> None:
        """Take the evaluation and compose the decision."""
        if MODEL in evaluation.degraded and MODEL not in facts.down:
            # Recorded with the sources that were down, so that it is judged without the model when it is judged again.
            facts = replace(facts, down=(*facts.down, MODEL))
        self.facts, self.evaluation = facts, evaluation
        self.decision = answer(
            evaluation,
            facts,
            self.policy,
            decision_id=sealer.seal(self.base, verdict_of(evaluation)),
            model_version=None if model is None else model.version,
            at=datetime.fromtimestamp(decision_id.unix_ms(self.base) / 1000, UTC),
        )


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
        (decision,) = await self.decide_all([Call(request, now, caller)])
        if isinstance(decision, Exception):
            raise decision
        return decision

    async def decide_all(self, calls: Sequence[Call]) -> list[Decision | Exception]:
        """Judge attempts together, each exactly as it would be judged alone, after the ones before it.

        They share one round trip, one call of the model and one write. In place of a decision stands a RequestError for
        an attempt that cannot be judged, a ConflictError for a request id used with another body, an OverdueError for
        a call past its deadline, and a RecordUnavailable when the record is lost and the policy says to refuse then.
        """
        begun = perf_counter()
        model, trial = self._scorer, self._trial
        cases = [Case(call) for call in calls]
        self._look_up(cases, begun)
        enriched = perf_counter()
        await self._observe([case for case in cases if case.failure is None])
        fetched = perf_counter()
        judged = [case for case in cases if case.failure is None]
        # Redacted before it is judged: what is judged is what is recorded, and comes out the same again.
        own, other = self._redaction, self._rollout_redaction
        drawn = [(own if case.policy is self.policy else other, case) for case in judged]
        kept = [redaction.facts(_facts(case.draft, case.seen, case.at)) for redaction, case in drawn]
        facts = [trial.tripped(known, case.policy, case.call.now) for case, known in zip(judged, kept, strict=True)]
        measured = measure_all(facts, model)
        for case, known, features in zip(judged, facts, measured, strict=True):
            case.judge(known, judge(known, case.policy, features), model, self._sealer)
        evaluated = perf_counter()
        for case, beside in zip(judged, trial.beside(facts, measured, judged, model), strict=True):
            case.shadow = beside
        compared = perf_counter()
        await self._record([case for case in judged if not case.repeated])
        _fail_repeats_of_the_lost(judged)
        recorded = perf_counter()
        times = len(judged)
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

    def _look_up(self, cases: list[Case], begun: float) -> None:
        trial = self._trial
        for case in cases:
            call = case.call
            if begun > call.arrived + self._longest_wait_s:
                case.failure = OverdueError("the request waited past its deadline")
                continue
            try:
                case.at = call.request.context.time or call.now
                case.draft = self._enricher.draft(call.request, case.at)
                case.policy = trial.policy_for(partial(self._enricher.lot, call.request, case.draft))
                plan = _plan(case.draft, case.policy)
                case.attempt = _attempt(case.draft, plan, at=case.at, now=call.now)
                counted = trial.counted(plan, partial(_plan, case.draft))
                case.counts = None if counted is None else self._enricher.counts(case.draft, counted)
                case.base = case.attempt.decision_id
            except Exception as failure:  # noqa: BLE001 - one caller's failure is no other caller's
                case.failure = failure

    async def _observe(self, cases: list[Case]) -> None:
        """Ask the store; what it cannot say stays unknown."""
        if not cases:
            return
        attempts, counts = [case.attempt for case in cases], [case.counts for case in cases]
        found = await self._store.observe_all(attempts, self._store_budget_s, self._outcome_window_s, counts)
        for case, seen in zip(cases, found, strict=True):
            if isinstance(seen, StoreUnavailable):
                self._store_failures.inc()
            elif isinstance(seen, Exception):
                case.failure = seen
            else:
                case.seen = seen
                if seen.repeated:
                    # The first answer again: judged as of the first attempt, from what the store knew then.
                    case.repeated, case.base = True, seen.decision_id
                    case.at = datetime.fromtimestamp(seen.time, UTC)
                    case.draft = self._enricher.draft(case.call.request, case.at)

    async def _record(self, cases: list[Case]) -> None:
        """Write the records down; a case whose record is lost fails where the policy says so."""
        if not cases:
            return
        records = [_record(case, self.sources) for case in cases]
        writer = self._writer
        refusals = await writer.append_aside(records) if writer.slow else writer.append_all(records)
        for case, refusal in zip(cases, refusals, strict=True):
            if refusal is not None and self._refuse_unrecorded:
                case.failure = refusal
                self._store.disown(case.attempt)
            elif case.evaluation.evidence_met and _is_retry(case.facts):
                self._on_evidence(case.decision, case.call.now)

    def _count(self, case: Case) -> None:
        metrics = self._metrics
        if not case.repeated:
            self._trial.count(case.facts, case.policy, case.evaluation, case.call.now)
        for shadowed in case.evaluation.shadow:
            metrics.shadow_signals.at(shadowed.code, shadowed.state.value).inc()
        metrics.decided(case.decision.decision, case.call.request.action.name)
        for hit in case.evaluation.hits:
            metrics.signal_hits.at(hit.question.code).inc()
        for code in case.evaluation.exempt:
            metrics.exempt_hits.at(code).inc()
        for source in case.evaluation.degraded:
            metrics.degraded.at(source).inc()
            if source.startswith("signal:"):
                metrics.signal_errors.at(source.removeprefix("signal:")).inc()


def _fail_repeats_of_the_lost(cases: list[Case]) -> None:
    """Refuse in one group with an attempt whose record is lost its repeats, which no record would back either."""
    lost = {case.base: case.failure for case in cases if case.failure is not None}
    for case in cases:
        if case.repeated and case.base in lost:
            case.failure = lost[case.base]


async def _explained(case: Case, model: Scorer | None) -> ExplainedDecision:
    """Say what would have turned a decision, a few evaluations at a time, so that others are heard in between."""
    steps = in_steps(case.facts, case.policy, model, case.evaluation)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return made(ExplainedDecision, **vars(case.decision), counterfactuals=end.value)
        await asyncio.sleep(0)


def _is_retry(facts: Facts) -> bool:
    """Return True when the authentication came after the subject's last confirmed success.

    Older evidence lets an attempt in, but answered no step-up of this attempt's: it may be a thief's who uses the
    owner's session, and must not make his device known.
    """
    age_s, history = facts.subject.auth_age_s, facts.history
    if age_s is None or history is None:
        return False
    return history.last_confirmed_age_s is None or age_s < history.last_confirmed_age_s


def _plan(draft: Draft, policy: Policy) -> Plan:
    action = draft.action
    return policy.plan(action.name, action.path, action.method, action.resource_type)


def _attempt(draft: Draft, plan: Plan, *, at: datetime, now: datetime) -> Attempt:
    action, network, place, device = draft.action, draft.network, draft.place, draft.device
    return Attempt(
        decision_id=decision_id.new_base(int(now.timestamp() * 1000)),
        now=at.timestamp(),
        token=os.urandom(12).hex(),
        request_id=draft.request_key,
        request_digest=draft.request_digest,
        subject=draft.subject_key,
        address=draft.address_key,
        network=draft.network_key,
        device=draft.device_key,
        payload=draft.payload_key,
        family=device.family,
        country=place.country,
        language=device.language,
        recipient=action.recipient,
        session=draft.subject.session,
        latitude=place.latitude,
        longitude=place.longitude,
        accuracy_km=place.accuracy_km,
        vague=bool(network.tor or network.proxy or network.relay or network.mobile),
        rtt_ms=device.rtt_ms,
        amount=action.amount,
        currency=action.currency,
        sensitive=plan.sensitive,
        change=plan.change,
    )


def _facts(draft: Draft, seen: Observation | None, at: datetime) -> Facts:
    """Join what was looked up and what the store knew."""
    known = _known(draft, seen, at)
    if draft.lists is NOT_LISTED and not draft.exempt:
        return known
    return replace(known, lists=draft.lists, exempt=draft.exempt)


def _known(draft: Draft, seen: Observation | None, at: datetime) -> Facts:
    if seen is None:
        return Facts(
            time=at,
            subject=draft.subject,
            action=draft.action,
            network=draft.network,
            place=draft.place,
            device=draft.device,
            attributes=draft.attributes,
            down=(*draft.down, "store"),
        )
    history = seen.history
    return Facts(
        time=at,
        subject=draft.subject if history is None else replace(draft.subject, token=history.token),
        action=draft.action,
        network=draft.network,
        place=draft.place,
        device=draft.device,
        history=history,
        address_counts=seen.address_counts,
        network_counts=seen.network_counts,
        device_counts=seen.device_counts,
        payload=seen.payload,
        velocities=seen.velocities,
        attributes=draft.attributes,
        down=(*draft.down, "store_history_lost") if seen.history_lost else draft.down,
    )


def _record(case: Case, sources: dict[str, str]) -> DecisionRecord:
    decision, evaluation = case.decision, case.evaluation
    return DecisionRecord(
        decision_id=decision.decision_id,
        evaluated_at=decision.evaluated_at,
        request_id=case.draft.request_key,
        caller=case.call.caller or None,
        facts=case.facts,
        vector=evaluation.vector,
        feature_schema=FEATURE_SCHEMA,
        catalogue=CATALOGUE,
        hits={hit.question.code: hit.strength for hit in evaluation.hits},
        exempt=evaluation.exempt,
        unknown=evaluation.unknown,
        errors=tuple([s.removeprefix("signal:") for s in evaluation.degraded if s.startswith("signal:")]),
        anomaly=evaluation.anomaly,
        score=evaluation.score,
        score_range=evaluation.score_range,
        outcome=decision.decision,
        reasons=tuple([(hit.question.code, hit.contribution) for hit in evaluation.hits]),
        step_up=evaluation.plan.level if evaluation.outcome is Outcome.STEP_UP else None,
        evidence_met=evaluation.evidence_met,
        degraded=decision.degraded,
        policy_revision=decision.policy_revision,
        model_version=decision.model_version,
        shadow=case.shadow,
        shadow_hits=shadow_hits(evaluation),
        sources=sources,
    )
