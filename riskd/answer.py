"""From an evaluation to what the PEP gets: reasons in words, what a step-up must achieve, obligations."""

from datetime import datetime
from typing import Any

from riskd.contract import Decision, Outcome, Reason, StepUp, made
from riskd.decision_id import Verdict
from riskd.evaluation import Evaluation, Hit
from riskd.facts import Facts
from riskd.policy import Policy
from riskd.policy.ladder import Attack
from riskd.policy.variables import shown

GUESSING = frozenset(
    {"failed_logins", "distributed_failures", "password_spray", "success_after_failures", "leaked_credential"}
)
"""Hits that say somebody guesses or replays passwords."""
CONTACT_DISTRUST_S = 7 * 86_400.0
"""How long after a change of contact data a code sent there proves nothing: a week, within which owners notice."""


def verdict_of(evaluation: Evaluation) -> Verdict:
    """Return what was decided, as the decision id carries it."""
    return Verdict.ALLOW_BY_EVIDENCE if evaluation.evidence_met else Verdict(int(evaluation.outcome))


def answer(
    evaluation: Evaluation, facts: Facts, policy: Policy, *, decision_id: str, model_version: str | None, at: datetime
) -> Decision:
    """Compose the decision; `at` is when it was judged."""
    codes = {hit.question.code for hit in evaluation.hits}
    step_up = _step_up(evaluation, facts, policy, codes, at) if evaluation.outcome is Outcome.STEP_UP else None
    return made(
        Decision,
        decision=evaluation.outcome.word,
        score=evaluation.score,
        score_range=evaluation.score_range,
        reasons=tuple([_reason(hit, evaluation.fallen) for hit in evaluation.hits]),
        step_up=step_up,
        obligations=policy.obligations(evaluation.outcome, codes, step_up),
        exempt=evaluation.exempt,
        degraded=evaluation.degraded,
        decision_id=decision_id,
        policy_revision=policy.revision,
        model_version=model_version,
        evaluated_at=at,
    )


def _reason(hit: Hit, fallen: tuple[str, ...]) -> Reason:
    question = hit.question
    detail: dict[str, Any] = {}
    for name, value in zip(question.signal.reads, hit.inputs, strict=True):
        detail[name] = round(value, 4) if value.__class__ is float else shown(value)
    if question.floor is not Outcome.ALLOW:
        detail["floor"] = question.floor.word
    if question.code in fallen:
        detail["floor"], detail["tripped"] = Outcome.STEP_UP.word, True
    return made(Reason, code=question.code, text=question.signal.text, contribution=hit.contribution, detail=detail)


def _step_up(evaluation: Evaluation, facts: Facts, policy: Policy, codes: set[str], at: datetime) -> StepUp:
    plan, history = evaluation.plan, facts.history
    contact_age_s = None if history is None else history.contact_change_age_s
    attack = Attack(
        guessing=not GUESSING.isdisjoint(codes),
        contact_changed=contact_age_s is not None and contact_age_s < CONTACT_DISTRUST_S,
    )
    return policy.ladder.step_up(plan.level, plan.max_age, at, facts.subject.enrolled_factors, attack)
