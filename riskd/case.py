"""One attempt on its way through the engine: what it becomes, step by step, and what is written down of it."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from math import inf
from typing import Final

from msgspec import Struct, msgpack
from msgspec.structs import replace

from riskd import decision_id
from riskd.answer import answer, verdict_of
from riskd.contract import Decision, DecisionRequest, Outcome
from riskd.enrich.enrich import Draft, Enricher
from riskd.evaluation import MODEL, Evaluation, Measured, Scorer, judge, shadow_hits
from riskd.facts import NOT_LISTED, Facts
from riskd.features import MODEL_FEATURES, schema_hash
from riskd.features.velocity import Counts
from riskd.policy import Plan, Policy
from riskd.record.redact import Redaction
from riskd.record.schema import DecisionRecord, ShadowRecord
from riskd.signals import CATALOGUE
from riskd.store import LIVE_S, Attempt, Observation
from riskd.trial import Trial

FEATURE_SCHEMA: Final = schema_hash(MODEL_FEATURES)
SEAL: Final = -8
"""Where the part of a decision id begins that its verdict changes."""


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
    instead: str | None = None
    """Id of a decision on the same request that no record backs, and in whose place this one stands."""


class Case:
    """One attempt on its way through the engine. Every step may raise; then the attempt has no decision."""

    __slots__ = (
        "at", "attempt", "base", "call", "counts", "decision", "draft", "evaluation", "facts", "failure", "measured",
        "policy", "seen", "shadow",
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
    measured: Measured
    """What was measured of the facts."""
    evaluation: Evaluation
    decision: Decision

    def __init__(self, call: Call) -> None:
        self.call = call
        self.seen: Observation | None = None
        self.shadow: ShadowRecord | None = None
        """What was judged beside."""
        self.failure: Exception | None = None

    @property
    def repeated(self) -> bool:
        """Whether the same request was counted before."""
        return self.seen is not None and self.seen.repeated

    def look_up(self, enricher: Enricher, trial: Trial) -> None:
        """Look up what is known without the store, and say what is to be counted there."""
        call = self.call
        self.at = call.request.context.time or call.now
        self.draft = enricher.draft(call.request, self.at, call.now)
        self.policy = trial.policy_for(partial(enricher.lot, call.request, self.draft))
        plan = _plan(self.draft, self.policy)
        self.attempt = _attempt(self.draft, plan, at=self.at, call=call)
        counted = trial.counted(plan, partial(_plan, self.draft))
        self.counts = None if counted is None else enricher.counts(self.draft, counted)
        self.base = self.attempt.decision_id

    def take(self, seen: Observation, enricher: Enricher) -> None:
        """Take what the store knew; of a repeat that is what it knew at the first, as of which it is judged."""
        self.seen = seen
        if seen.repeated or seen.took_place:
            self.base = seen.decision_id
            self.at = datetime.fromtimestamp(seen.time, UTC)
            self.draft = enricher.draft(self.call.request, self.at, self._came)

    def join(self, redaction: Redaction, trial: Trial) -> None:
        """Put the facts together, redacted: what is judged is what is recorded, and comes out the same again."""
        facts = redaction.facts(_facts(self.draft, self.seen, self.at))
        self.facts = trial.tripped(facts, self.policy, self.call.now)

    def judge(self, model: Scorer | None, sealer: decision_id.Sealer) -> None:
        """Evaluate what was measured, and compose the decision."""
        evaluation = judge(self.facts, self.policy, self.measured)
        if MODEL in evaluation.degraded and MODEL not in self.facts.down:
            # Recorded with the sources that were down, so that it is judged without the model when it is judged again.
            self.facts = replace(self.facts, down=(*self.facts.down, MODEL))
        self.evaluation = evaluation
        self.decision = answer(
            evaluation,
            self.facts,
            self.policy,
            decision_id=sealer.seal(self.base, verdict_of(evaluation)),
            model_version=None if model is None else model.version,
            at=self._came,
        )

    @property
    def _came(self) -> datetime:
        """When the attempt came, of a repeat the first."""
        return datetime.fromtimestamp(decision_id.unix_ms(self.base) / 1000, UTC)

    @property
    def answered(self) -> str:
        """What tells this answer from another to the same request, in few characters.

        The rest of the answer follows from this, from the request and from the decision's id.
        """
        made = self.decision
        reasons = [(reason.code, reason.contribution, reason.detail) for reason in made.reasons]
        duties = [(duty.id, duty.properties) for duty in made.obligations]
        told = (made.score_range, made.policy_revision, made.model_version, made.degraded, made.exempt, reasons, duties)
        digest = blake2b(msgpack.encode(told), digest_size=8).hexdigest()
        return f"{made.decision_id[SEAL:]} {made.score} {digest}"

    @property
    def is_retry(self) -> bool:
        """Whether fresh evidence met a step-up and the authentication came after the last confirmed success.

        Older evidence lets an attempt in, but answered no step-up of this attempt's: it may be a thief's who uses the
        owner's session, and must not make his device known.
        """
        age_s, history = self.facts.subject.auth_age_s, self.facts.history
        if not self.evaluation.evidence_met or age_s is None or history is None:
            return False
        return history.last_confirmed_age_s is None or age_s < history.last_confirmed_age_s

    def record(self, sources: dict[str, str]) -> DecisionRecord:
        """Return what is written down; `sources` are the versions of databases and lists in use."""
        decision, evaluation = self.decision, self.evaluation
        return DecisionRecord(
            decision_id=decision.decision_id,
            evaluated_at=decision.evaluated_at,
            request_id=self.draft.request_key,
            caller=self.call.caller or None,
            facts=self.facts,
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
            shadow=self.shadow,
            shadow_hits=shadow_hits(evaluation),
            sources=sources,
        )


def each(cases: list[Case], step: Callable[[Case], None]) -> list[Case]:
    """Take a step with each case and return those that got through it: one caller's failure is no other caller's."""
    through = []
    for case in cases:
        try:
            step(case)
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is this attempt's alone
            case.failure = failure
        else:
            through.append(case)
    return through


def _plan(draft: Draft, policy: Policy) -> Plan:
    action = draft.action
    return policy.plan(action.name, action.path, action.method, action.resource_type)


def _attempt(draft: Draft, plan: Plan, *, at: datetime, call: Call) -> Attempt:
    action, network, place, device = draft.action, draft.network, draft.place, draft.device
    # By position, as the script takes it: of so many keywords Python makes a dict, at six times the price.
    # fmt: off
    return Attempt(
        decision_id.new_base(int(call.now.timestamp() * 1000)), at.timestamp(), os.urandom(12).hex(),
        draft.request_key, draft.request_digest,
        draft.subject_key, draft.address_key, draft.network_key, draft.device_key, draft.payload_key,
        device.family, place.country, device.language, action.recipient, draft.subject.session,
        place.latitude, place.longitude, place.accuracy_km,
        bool(network.tor or network.proxy or network.relay or network.mobile), device.rtt_ms,
        action.amount, action.currency, plan.sensitive, plan.change,
        LIVE_S, LIVE_S, call.instead,
        device.client, device.os_family, device.kind, device.browser_major,
    )
    # fmt: on


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
