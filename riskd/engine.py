"""THE page: enrich, one store round trip, evaluate, record, answer.

Reads first, writes last, pure between. A source that is down costs its facts, never the answer.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

from msgspec.structs import replace

from riskd import decision_id
from riskd.anomaly.model import Model
from riskd.answer import answer, verdict_of
from riskd.contract import Decision, DecisionRequest, Outcome
from riskd.enrich.enrich import Draft, Enricher
from riskd.errors import StoreUnavailable
from riskd.evaluation import Evaluation, evaluate
from riskd.facts import Facts
from riskd.features import MODEL_FEATURES, schema_hash
from riskd.metrics import Metrics
from riskd.policy import Policy
from riskd.record.redact import Redaction
from riskd.record.schema import DecisionRecord
from riskd.record.writer import Writer
from riskd.signals import CATALOGUE
from riskd.store import Attempt, Observation, Store

FEATURE_SCHEMA = schema_hash(MODEL_FEATURES)


class Engine:
    """Judges attempts; built once, holds nothing of a request."""

    def __init__(
        self,
        *,
        enricher: Enricher,
        store: Store,
        policy: Policy,
        model: Model | None,
        writer: Writer,
        redaction: Redaction,
        sealer: decision_id.Sealer,
        metrics: Metrics,
        on_evidence: Callable[[Decision, datetime], None] = lambda _decision, _now: None,
    ) -> None:
        """`on_evidence` is told of each decision in which fresh evidence met a step-up: it counts as passed."""
        self.sources: dict[str, str] = {}
        """Version of each database and list in use, for the record."""
        self.policy = policy
        self.model = model
        self._enricher = enricher
        self._store = store
        self._writer = writer
        self._redaction = redaction
        self._sealer = sealer
        self._metrics = metrics
        self._on_evidence = on_evidence
        self._store_failures = metrics.store_failures.at("observe")
        stages = metrics.stage_seconds
        self._enrich_s, self._store_s = stages.at("enrich"), stages.at("store")
        self._evaluate_s, self._record_s = stages.at("evaluate"), stages.at("record")

    async def decide(self, request: DecisionRequest, *, now: datetime, digest: str = "", caller: str = "") -> Decision:
        """Judge one attempt at `now` (aware UTC).

        `digest` tells two bodies under one request id apart, `caller` names the API key. Raises RequestError for an
        attempt that cannot be judged, ConflictError for a request id used with another body, and RecordUnavailable when
        the record is lost and the policy says to refuse then.
        """
        begun = perf_counter()
        policy, model = self.policy, self.model
        at = request.context.time or now
        draft = self._enricher.draft(request, at)
        attempt = _attempt(draft, policy, at=at, now=now, digest=digest)
        enriched = perf_counter()
        try:
            seen: Observation | None = await self._store.observe(attempt)
        except StoreUnavailable:
            self._store_failures.inc()
            seen = None
        fetched = perf_counter()

        base_id, repeated = attempt.decision_id, False
        if seen is not None and seen.repeated:
            # The first answer again: judged as of the first attempt, from what the store knew then.
            base_id, repeated = seen.decision_id, True
            at = datetime.fromtimestamp(seen.time, UTC)
            draft = self._enricher.draft(request, at)
        # Redacted before it is judged: what is judged is what is recorded, and comes out the same again.
        facts = self._redaction.facts(_facts(draft, seen, at))
        evaluation = evaluate(facts, policy, model)
        decision = answer(
            evaluation,
            facts,
            policy,
            decision_id=self._sealer.seal(base_id, verdict_of(evaluation)),
            model_version=None if model is None else model.version,
            at=datetime.fromtimestamp(decision_id.unix_ms(base_id) / 1000, UTC),
        )
        evaluated = perf_counter()

        if not repeated:
            self._writer.append(_record(decision, evaluation, facts, draft.request_key, caller, self.sources))
            if evaluation.evidence_met and _is_retry(facts):
                self._on_evidence(decision, now)
        recorded = perf_counter()
        self._enrich_s.observe(enriched - begun)
        self._store_s.observe(fetched - enriched)
        self._evaluate_s.observe(evaluated - fetched)
        self._record_s.observe(recorded - evaluated)
        self._count(decision, evaluation, request.action.name)
        return decision

    def _count(self, decision: Decision, evaluation: Evaluation, action: str) -> None:
        metrics = self._metrics
        metrics.decided(decision.decision, action)
        for hit in evaluation.hits:
            metrics.signal_hits.at(hit.question.code).inc()
        for source in evaluation.degraded:
            metrics.degraded.at(source).inc()
            if source.startswith("signal:"):
                metrics.signal_errors.at(source.removeprefix("signal:")).inc()


def _is_retry(facts: Facts) -> bool:
    """Return True when the authentication came after the subject's last confirmed success.

    Older evidence lets an attempt in, but answered no step-up of this attempt's: it may be a thief's who uses the
    owner's session, and must not make his device known.
    """
    age_s, history = facts.subject.auth_age_s, facts.history
    if age_s is None or history is None:
        return False
    return history.last_confirmed_age_s is None or age_s < history.last_confirmed_age_s


def _attempt(draft: Draft, policy: Policy, *, at: datetime, now: datetime, digest: str) -> Attempt:
    action, network, place, device = draft.action, draft.network, draft.place, draft.device
    plan = policy.plan(action.name, action.path, action.method, action.resource_type)
    return Attempt(
        decision_id=decision_id.new_base(int(now.timestamp() * 1000)),
        now=at.timestamp(),
        token=os.urandom(12).hex(),
        request_id=draft.request_key,
        request_digest=digest,
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
        attributes=draft.attributes,
        down=(*draft.down, "store_history_lost") if seen.history_lost else draft.down,
    )


def _record(
    decision: Decision,
    evaluation: Evaluation,
    facts: Facts,
    request_key: str | None,
    caller: str,
    sources: dict[str, str],
) -> DecisionRecord:
    return DecisionRecord(
        decision_id=decision.decision_id,
        evaluated_at=decision.evaluated_at,
        request_id=request_key,
        caller=caller or None,
        facts=facts,
        vector=evaluation.vector,
        feature_schema=FEATURE_SCHEMA,
        catalogue=CATALOGUE,
        hits={hit.question.code: hit.strength for hit in evaluation.hits},
        unknown=evaluation.unknown,
        errors=tuple(s.removeprefix("signal:") for s in evaluation.degraded if s.startswith("signal:")),
        anomaly=evaluation.anomaly,
        score=evaluation.score,
        score_range=evaluation.score_range,
        outcome=decision.decision,
        reasons=tuple((hit.question.code, hit.contribution) for hit in evaluation.hits),
        step_up=evaluation.plan.level if evaluation.outcome is Outcome.STEP_UP else None,
        evidence_met=evaluation.evidence_met,
        degraded=decision.degraded,
        policy_revision=decision.policy_revision,
        model_version=decision.model_version,
        sources=sources,
    )
