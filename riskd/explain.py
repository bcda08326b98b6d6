"""Why a decision came out as it did: every signal's state, weight and share, and what the model found odd."""

from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from riskd.anomaly.model import Model
from riskd.counterfactual import Counterfactual, counterfactuals
from riskd.evaluation import Evaluation, Shadowed, evaluate
from riskd.facts import Facts
from riskd.features import Extractor, Fault
from riskd.features.declared import encoded
from riskd.features.population import Population
from riskd.policy import Policy, Question
from riskd.policy.variables import shown
from riskd.signals import INPUTS

TOP_FEATURES = 3
"""Ways of attributing a forest's score agree on the top three features, not on the first: so three are named."""


State = Literal["hit", "clear", "unknown", "error", "exempt"]


class SignalLine(Struct, frozen=True):
    """One signal of the explanation."""

    code: str
    state: State
    """`exempt`: it would have hit, but an allow list or an exemption lifts it."""
    weight: float
    """What the policy gives it."""
    strength: float
    """Share of the weight that applied, 0 to 1."""
    contribution: float
    """Points of the score."""
    inputs: dict[str, float | str | None]
    why: str
    """For a hit its text, for an unknown what is missing, for an exempt one what lifts it."""
    shadow: bool = False
    """It is only looked at: it counted nothing."""


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
    """Hits first by contribution, then exempt, error, unknown and clear, each in order of declaration."""
    anomaly: float | None
    model_share: float
    """Points of the score that the anomaly model brought."""
    features: tuple[FeatureLine, ...]
    counterfactuals: tuple[Counterfactual, ...]
    """The smallest changes that would have made the outcome milder; empty for an allow, and when none would have."""
    policy_revision: str
    model_version: str | None


_ORDER = {"hit": 0, "exempt": 1, "error": 2, "unknown": 3, "clear": 4}


def explain(facts: Facts, policy: Policy, model: Model | None) -> Explanation:
    """Judge the facts again and say how each part came about."""
    evaluation = evaluate(facts, policy, model)
    extract = model.extract if model is not None else Extractor(Population())
    values: list[float | str | None] = [*extract(facts)[0], evaluation.anomaly]
    if policy.read_more is not None:
        values += policy.read_more(facts)[0]
    lines = [_line(question, evaluation, values) for question in evaluation.plan.questions]
    lines = [_exempt(line, facts, policy) if line.code in evaluation.exempt else line for line in lines]
    asked = {question.code: question for question in evaluation.plan.shadow}
    lines += [_shadowed(said, asked[said.code], values) for said in evaluation.shadow]
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
        features=_features(evaluation, model, facts, dict(zip(INPUTS, values, strict=False))),
        counterfactuals=counterfactuals(facts, policy, model, evaluation),
        policy_revision=policy.revision,
        model_version=None if model is None else model.version,
    )


def _line(question: Question, evaluation: Evaluation, values: list[float | str | None]) -> SignalLine:
    hit = next((h for h in evaluation.hits if h.question is question), None)
    inputs = _inputs(question, values)
    state: State = "clear"
    why = ""
    if hit is not None:
        state, why = "hit", question.signal.text
        if question.code in evaluation.fallen:
            why = f"{why} Its breaker had tripped: it steps up at most, and weighs nothing."
    elif question.code in evaluation.unknown:
        missing = [name for name, value in inputs.items() if value is None]
        state, why = "unknown", f"missing: {', '.join(missing)}"
    elif f"signal:{question.code}" in evaluation.degraded:
        state, why = "error", "the signal failed; the action's fail mode is the floor"
        if question.code in evaluation.fallen:
            why = f"{why}. Its breaker had tripped: that is step_up at most."
    return SignalLine(
        code=question.code,
        state=state,
        weight=question.weight,
        strength=0.0 if hit is None else hit.strength,
        contribution=0.0 if hit is None else hit.contribution,
        inputs=_told(inputs),
        why=why,
    )


def _shadowed(said: Shadowed, question: Question, values: list[float | str | None]) -> SignalLine:
    return SignalLine(
        code=said.code,
        state=said.state.value,
        weight=question.weight,
        strength=said.strength,
        contribution=0.0,
        inputs=_told(_inputs(question, values)),
        why="in shadow: counts nothing",
        shadow=True,
    )


def _inputs(question: Question, values: list[float | str | None]) -> dict[str, Any]:
    return {name: values[at] for name, at in zip(question.signal.reads, question.index, strict=True)}


def _told(inputs: dict[str, Any]) -> dict[str, float | str | None]:
    return {k: f"failed: {v.error}" if isinstance(v, Fault) else shown(v) for k, v in inputs.items()}


def _exempt(line: SignalLine, facts: Facts, policy: Policy) -> SignalLine:
    lists, exemption = policy.lists_lifting(line.code, facts), facts.exempt.get(line.code)
    lifts = [f"allow list {name}" for name in lists] + ([] if exemption is None else [f"exemption {exemption}"])
    return replace(line, state="exempt", why=f"counts nothing: {', '.join(lifts)}")


def _features(
    evaluation: Evaluation, model: Model | None, facts: Facts, values: dict[str, float | str | None]
) -> tuple[FeatureLine, ...]:
    if model is None or evaluation.anomaly is None:
        return ()
    more = model.extract.declared
    vector = (*evaluation.vector, *encoded(more, facts))
    values |= {one.label: one.read(facts) for one in more}
    top = [(name, share) for name, share in model.explain(vector) if share > 0][:TOP_FEATURES]
    return tuple(
        FeatureLine(feature=name, value=v if isinstance(v := values[name], float) else None, contribution=share)
        for name, share in top
    )


__all__ = ["Explanation", "FeatureLine", "SignalLine", "explain"]
