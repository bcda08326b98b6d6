"""Why a decision came out as it did: every signal's state, weight and share, and what the model found odd."""

from typing import Literal

from msgspec import Struct

from riskd.anomaly.model import Model
from riskd.evaluation import Evaluation, evaluate
from riskd.facts import Facts
from riskd.features import Extractor, Fault
from riskd.features.population import Population
from riskd.policy import Policy, Question
from riskd.signals import INPUTS

TOP_FEATURES = 3
"""Ways of attributing a forest's score agree on the top three features, not on the first: so three are named."""


class SignalLine(Struct, frozen=True):
    """One signal of the explanation."""

    code: str
    state: Literal["hit", "clear", "unknown", "error"]
    weight: float
    """What the policy gives it."""
    strength: float
    """Share of the weight that applied, 0 to 1."""
    contribution: float
    """Points of the score."""
    inputs: dict[str, float | str | None]
    why: str
    """For a hit its text, for an unknown what is missing."""


class FeatureLine(Struct, frozen=True):
    """One feature that made the attempt odd."""

    feature: str
    value: float | None
    contribution: float
    """Powers of ten of the tail probability that it accounts for."""


class Explanation(Struct, frozen=True):
    """One decision, explained."""

    outcome: str
    score: float
    score_range: tuple[float, float]
    action: str
    step_up_at: float
    deny_at: float
    evidence_met: bool
    degraded: tuple[str, ...]
    signals: tuple[SignalLine, ...]
    """Hits first by contribution, then unknown, error and clear, each in order of declaration."""
    anomaly: float | None
    model_share: float
    """Points of the score that the anomaly model brought."""
    features: tuple[FeatureLine, ...]
    policy_revision: str
    model_version: str | None


_ORDER = {"hit": 0, "error": 1, "unknown": 2, "clear": 3}


def explain(facts: Facts, policy: Policy, model: Model | None) -> Explanation:
    """Judge the facts again and say how each part came about."""
    evaluation = evaluate(facts, policy, model)
    extract = model.extract if model is not None else Extractor(Population())
    values = dict(zip(INPUTS, [*extract(facts)[0], evaluation.anomaly], strict=True))
    lines = [_line(question, evaluation, values) for question in evaluation.plan.questions]
    lines.sort(key=lambda line: (_ORDER[line.state], -line.contribution))
    anomalous = [line.contribution for line in lines if line.code == "anomalous"]
    return Explanation(
        outcome=evaluation.outcome.word,
        score=evaluation.score,
        score_range=evaluation.score_range,
        action=evaluation.plan.action,
        step_up_at=evaluation.plan.step_up_at,
        deny_at=evaluation.plan.deny_at,
        evidence_met=evaluation.evidence_met,
        degraded=evaluation.degraded,
        signals=tuple(lines),
        anomaly=evaluation.anomaly,
        model_share=sum(anomalous),
        features=_features(evaluation, model, values),
        policy_revision=policy.revision,
        model_version=None if model is None else model.version,
    )


def _line(question: Question, evaluation: Evaluation, values: dict[str, float | str | None]) -> SignalLine:
    hit = next((h for h in evaluation.hits if h.question is question), None)
    inputs = {name: values[name] for name in question.signal.reads}
    state: Literal["hit", "clear", "unknown", "error"] = "clear"
    why = ""
    if hit is not None:
        state, why = "hit", question.signal.text
    elif question.code in evaluation.unknown:
        missing = [name for name, value in inputs.items() if value is None]
        state, why = "unknown", f"missing: {', '.join(missing)}"
    elif f"signal:{question.code}" in evaluation.degraded:
        state, why = "error", "the signal failed; the action's fail mode is the floor"
    return SignalLine(
        code=question.code,
        state=state,
        weight=question.weight,
        strength=0.0 if hit is None else hit.strength,
        contribution=0.0 if hit is None else hit.contribution,
        inputs={k: f"failed: {v.error}" if isinstance(v, Fault) else v for k, v in inputs.items()},
        why=why,
    )


def _features(
    evaluation: Evaluation, model: Model | None, values: dict[str, float | str | None]
) -> tuple[FeatureLine, ...]:
    if model is None or evaluation.anomaly is None:
        return ()
    top = [(name, share) for name, share in model.explain(evaluation.vector) if share > 0][:TOP_FEATURES]
    return tuple(
        FeatureLine(feature=name, value=v if isinstance(v := values[name], float) else None, contribution=share)
        for name, share in top
    )


__all__ = ["Explanation", "FeatureLine", "SignalLine", "explain"]
