"""One decision as it was recorded beside what it would be: what differs, and what a person would want to see of it."""

from msgspec import Struct

from riskd.contract import Outcome
from riskd.evaluation import Evaluation, shadow_hits
from riskd.learn.replay.judge import Judged
from riskd.policy.decide import by_score
from riskd.record.schema import DecisionRecord

SHOWN_REASONS = 6


class Example(Struct, frozen=True):
    """One decision whose outcome changes."""

    decision_id: str
    time: str
    """When the attempt happened, RFC 3339."""
    action: str
    country: str | None
    device: str | None
    """Kind of device."""
    then: str
    """The recorded outcome."""
    now: str
    score_then: float
    score_now: float
    new: tuple[str, ...]
    """Reasons that it did not have."""
    gone: tuple[str, ...]
    """Reasons that it does not have any more."""
    reasons: tuple[tuple[str, float, float], ...]
    """Reason code, its points then and now; most now first."""

    @property
    def rank(self) -> tuple[int, float, str]:
        """What sorts examples: the larger change first; by severity, then by score, then by id to be repeatable."""
        then, now = Outcome.of(self.then), Outcome.of(self.now)
        return abs(now - then), abs(self.score_now - self.score_then), self.decision_id


def differing(record: DecisionRecord, evaluation: Evaluation) -> tuple[str, ...]:
    """Return the fields of a record that would be written otherwise; none means that it is reproduced exactly."""
    step_up = evaluation.plan.level if evaluation.outcome is Outcome.STEP_UP else None
    errors = tuple([s.removeprefix("signal:") for s in evaluation.degraded if s.startswith("signal:")])
    pairs = (
        ("outcome", record.outcome, evaluation.outcome.word),
        ("score", record.score, evaluation.score),
        ("score_range", record.score_range, evaluation.score_range),
        ("reasons", record.reasons, tuple([(hit.question.code, hit.contribution) for hit in evaluation.hits])),
        ("hits", record.hits, {hit.question.code: hit.strength for hit in evaluation.hits}),
        ("exempt", record.exempt, evaluation.exempt),
        ("shadow_hits", record.shadow_hits, shadow_hits(evaluation)),
        ("unknown", record.unknown, evaluation.unknown),
        ("errors", record.errors, errors),
        ("degraded", record.degraded, evaluation.degraded),
        ("anomaly", record.anomaly, evaluation.anomaly),
        ("vector", record.vector, evaluation.vector),
        ("step_up", record.step_up, step_up),
        ("evidence_met", record.evidence_met, evaluation.evidence_met),
    )
    return tuple([name for name, then, now in pairs if then != now])


def example(judged: Judged) -> Example:
    """Describe one decision whose outcome changes."""
    record, evaluation = judged.record, judged.evaluation
    facts = record.facts
    then = dict(record.reasons)
    now = {hit.question.code: hit.contribution for hit in evaluation.hits}
    codes = sorted({*then, *now}, key=lambda code: (-now.get(code, 0.0), -then.get(code, 0.0), code))
    told = [code for code in codes if then.get(code) or now.get(code) or (code in then) != (code in now)]
    return Example(
        decision_id=record.decision_id,
        time=facts.time.isoformat(timespec="seconds"),
        action=facts.action.name,
        country=facts.place.country,
        device=facts.device.kind,
        then=record.outcome,
        now=evaluation.outcome.word,
        score_then=record.score,
        score_now=evaluation.score,
        new=tuple(code for code in now if code not in then),
        gone=tuple(code for code in then if code not in now),
        reasons=tuple((code, then.get(code, 0.0), now.get(code, 0.0)) for code in told[:SHOWN_REASONS]),
    )


def cause(judged: Judged) -> str:
    """Say in a few words what makes an outcome severer: thresholds alone, else new or heavier reasons, or a floor."""
    record, evaluation = judged.record, judged.evaluation
    plan = evaluation.plan
    if by_score(record.score, plan.step_up_at, plan.deny_at) >= evaluation.outcome:
        return "other thresholds"
    then = dict(record.reasons)
    if new := sorted(hit.question.code for hit in evaluation.hits if hit.question.code not in then):
        return " + ".join(new[:SHOWN_REASONS])
    grown = [hit.question.code for hit in evaluation.hits if hit.contribution > then[hit.question.code]]
    if grown and by_score(evaluation.score, plan.step_up_at, plan.deny_at) >= evaluation.outcome:
        return f"heavier: {' + '.join(sorted(grown)[:SHOWN_REASONS])}"
    if evaluation.floor < evaluation.outcome:
        return "evidence that no longer suffices"
    floors = sorted(hit.question.code for hit in evaluation.hits if hit.question.floor >= evaluation.outcome)
    return f"floor of {' + '.join(floors[:SHOWN_REASONS])}" if floors else "the fail mode"
