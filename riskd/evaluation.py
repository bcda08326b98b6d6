"""From facts to an outcome: `evaluate(facts, policy, model)`, one pure function.

It is the same for the live service, for a replayed log, for training and for tests: no clock, no I/O, no state.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from riskd.anomaly.model import Vector
from riskd.contract import Outcome
from riskd.facts import Facts
from riskd.features import FEATURES, MODEL_FEATURES, Extractor, Fault
from riskd.features.declared import encoded
from riskd.features.population import Population
from riskd.policy import Plan, Policy, Question, combine
from riskd.policy.decide import by_score, most_severe, with_evidence
from riskd.signals import State, answer

COARSE_PLACE_KM = 200.0
"""Accuracy radius beyond which a place is coarse: its signals then widen the score range downward."""

MODEL = "model"
"""Names the model among the sources that were down."""

_model_vector = itemgetter(*(list(FEATURES).index(name) for name in MODEL_FEATURES))
_extract_without_population = Extractor(Population())


class Hit(Struct, frozen=True):
    """A signal that hit."""

    question: Question
    strength: float
    """Share of the weight that applied, 0 to 1."""
    inputs: tuple[Any, ...]
    """What the signal read, in the order of its parameters."""
    contribution: float
    """Points of the score."""


class Shadowed(Struct, frozen=True):
    """What one signal in shadow says."""

    code: str
    state: State
    strength: float


class Measured(Struct, frozen=True):
    """What is measured of an attempt, whatever the policy: under the same model several policies may judge by it."""

    values: list[Any]
    """Features in the order of FEATURES; a Fault where one failed."""
    vector: tuple[Any, ...]
    anomaly: float | Fault | None
    faulty: bool


class Evaluation(Struct, frozen=True):
    """Everything that follows from the facts under a policy and a model; nothing else."""

    outcome: Outcome
    evidence_met: bool
    """The outcome would have been step_up, had the session's fresh evidence not met it."""
    evidence_fresh: bool
    """The session's evidence would meet a step_up, whether or not one was due."""
    floor: Outcome
    """The most severe outcome that a hit's floor or the fail mode forces, whatever the score."""
    score: float
    score_range: tuple[float, float]
    hits: tuple[Hit, ...]
    """Largest contribution first."""
    exempt: tuple[str, ...]
    """Codes of the signals that would have hit, and count nothing: an allow list or an exemption lifts them."""
    unknown: tuple[str, ...]
    """Codes of the signals with a missing input."""
    degraded: tuple[str, ...]
    """Sources that were down, and `signal:<code>` for each that failed."""
    anomaly: float | None
    vector: tuple[float | None, ...]
    """What the model read, in the order of MODEL_FEATURES."""
    plan: Plan
    shadow: tuple[Shadowed, ...] = ()
    """What signals in shadow say, which counts for nothing."""
    forcing: tuple[str, ...] = ()
    """Codes of the policy's own signals with a breaker that hit or failed where the outcome is severer than without all
    such."""
    fallen: tuple[str, ...] = ()
    """Codes of the hits and failures that would have denied, and step up at most: their breaker had tripped."""


class Scorer(Protocol):
    """What evaluation needs of a model."""

    @property
    def version(self) -> str:
        """Names the model in every decision."""

    @property
    def extract(self) -> Extractor:
        """Computes vectors with the tables that the model was trained beside."""

    def score_all(self, vectors: Sequence[Vector]) -> list[float]:
        """Anomaly scores of several vectors, each as it would be alone; raises when one cannot be scored."""


def shadow_hits(evaluation: Evaluation) -> dict[str, float]:
    """Return code and strength of each signal in shadow that hit."""
    return {said.code: said.strength for said in evaluation.shadow if said.state is State.HIT}


def evaluate(facts: Facts, policy: Policy, model: Scorer | None) -> Evaluation:
    """Judge one attempt: same facts, same policy, same model, same evaluation."""
    return evaluate_all((facts,), policy, model)[0]


def evaluate_all(many: Sequence[Facts], policy: Policy, model: Scorer | None) -> list[Evaluation]:
    """Judge several attempts, each exactly as it would be judged alone; the model scores them in one call."""
    return [judge(facts, policy, measured) for facts, measured in zip(many, measure_all(many, model), strict=True)]


def measure_all(many: Sequence[Facts], model: Scorer | None) -> list[Measured]:
    """Measure several attempts, each exactly as it would be measured alone; the model scores them in one call."""
    if not many:  # nothing to ask the model, which would count it as its own failure
        return []
    extract = _extract_without_population if model is None else model.extract
    extracted = [extract(facts) for facts in many]
    vectors = [_model_vector(values) for values, _ in extracted]
    read: list[tuple[Any, ...]] = vectors
    if model is not None and (more := model.extract.declared):
        read = [(*vector, *encoded(more, facts)) for vector, facts in zip(vectors, many, strict=True)]
    anomalies = [None] * len(many) if model is None else _anomalies(many, read, model)
    return [
        Measured(values, vector, anomaly, faulty)
        for (values, faulty), vector, anomaly in zip(extracted, vectors, anomalies, strict=True)
    ]


_FAILED = Fault(feature="anomaly", error="model")


def _anomalies(many: Sequence[Facts], vectors: list[tuple[Any, ...]], model: Scorer) -> Sequence[float | Fault | None]:
    """Score what may be scored: a record in which the model was down is judged again without it."""
    down = [MODEL in facts.down for facts in many]
    try:
        if not any(down):
            return model.score_all(vectors)
    except Exception:  # noqa: BLE001 - one bad vector must not cost the others their scores
        if len(vectors) == 1:
            return [_FAILED]
    return [_FAILED if is_down else _alone(vector, model) for vector, is_down in zip(vectors, down, strict=True)]


def _alone(vector: tuple[Any, ...], model: Scorer) -> float | Fault:
    try:
        return model.score_all((vector,))[0]
    except Exception:  # noqa: BLE001 - whatever the runtime raises, the declared signals still decide
        return _FAILED


def judge(facts: Facts, policy: Policy, measured: Measured) -> Evaluation:
    """Judge one attempt by what was measured of these very facts."""
    vector, anomaly, faulty = measured.vector, measured.anomaly, measured.faulty
    action = facts.action
    plan = policy.plan(action.name, action.path, action.method, action.resource_type)
    degraded = list(facts.down)
    if isinstance(anomaly, Fault):
        anomaly = None
        if MODEL not in degraded:
            degraded.append(MODEL)
    values = [*measured.values, anomaly]
    if faulty:  # what the model could not read is recorded as unknown
        vector = tuple([None if value.__class__ is Fault else value for value in vector])
    if policy.read_more is not None:
        more, wrong_kind = policy.read_more(facts)
        values += more
        faulty |= wrong_kind

    asked = _ask_guarded(plan, values) if faulty else _ask(plan, values)
    hits, unknown, failed = asked
    degraded.extend([f"signal:{question.code}" for question in failed])
    exempt: tuple[str, ...] = ()
    held_back = unknown
    if facts.exempt or facts.lists.allowed:
        lifted = policy.lifted(facts)
        exempt = tuple([q.code for q, _ in hits if q.code in lifted])
        hits = [hit for hit in hits if hit[0].code not in lifted]
        held_back = [q for q in unknown if q.code not in lifted]

    weighed = _weigh(plan, hits, failures=len(degraded))
    forcing: tuple[str, ...] = ()
    fallen: list[tuple[Question, float]] = []
    fallen_codes: tuple[str, ...] = ()
    if plan.breakable and weighed.demanded is not Outcome.ALLOW:
        forcing = _forcing(plan, hits, failed, len(degraded), weighed.demanded)
        if facts.tripped and forcing and weighed.demanded is Outcome.DENY:
            fallen = [hit for hit in hits if hit[0].code in facts.tripped and _breaks(plan, hit[0])]
            failing = [code for code in _failing(plan, failed) if code in facts.tripped]
            fallen_codes = (*[q.code for q, _ in fallen], *failing)
    if fallen_codes:
        hits = [hit for hit in hits if hit not in fallen]
        failures = len(degraded) - (len(fallen_codes) - len(fallen))
        weighed = _weigh(plan, hits, failures, least=Outcome.STEP_UP)
    total, score, demanded = weighed.total, weighed.score, weighed.demanded
    fresh = _fresh_evidence(facts, policy, plan, hits + fallen, values)
    return Evaluation(
        with_evidence(demanded, fresh=fresh),  # by position: of more than 15 keywords Python makes a dict
        fresh and demanded is Outcome.STEP_UP,
        evidence_fresh=fresh,
        floor=weighed.floor,
        score=score,
        score_range=_range(facts, total, hits, held_back),
        hits=_shares(hits, weighed, values) + tuple([_hit(q, s, values, 0.0) for q, s in fallen]),
        exempt=exempt,
        unknown=tuple([q.code for q in unknown]),
        degraded=tuple(degraded),
        anomaly=anomaly,
        vector=vector,
        plan=plan,
        shadow=_in_shadow(plan, values) if plan.shadow else (),
        forcing=forcing,
        fallen=fallen_codes,
    )


class _Weighed(NamedTuple):
    """What hits come to together."""

    declared: list[float]
    statistical: list[float]
    total: float
    score: float
    floor: Outcome
    demanded: Outcome


def _weigh(plan: Plan, hits: list[tuple[Question, float]], failures: int, least: Outcome = Outcome.ALLOW) -> _Weighed:
    """Weigh hits together; `failures` is how many sources and signals failed."""
    declared: list[float] = []
    statistical: list[float] = []
    for q, s in hits:
        (statistical if q.statistical else declared).append(combine.evidence(q.weight * s))
    total = combine.total_evidence(declared, statistical)
    score = combine.score_of(total)
    floors = [q.floor for q, _ in hits]
    if failures:
        floors.append(plan.fail_mode)
    floor = most_severe(least, floors)
    demanded = max(by_score(score, plan.step_up_at, plan.deny_at), floor)
    return _Weighed(declared, statistical, total, score, floor, demanded)


def _forcing(
    plan: Plan, hits: list[tuple[Question, float]], failed: list[Question], failures: int, demanded: Outcome
) -> tuple[str, ...]:
    """Name the hits and failures with a breaker where without all of them the outcome would be milder.

    Without all, not without each: of two signals that each deny everybody, neither would be missed alone.
    """
    own = [q.code for q, _ in hits if _breaks(plan, q)]
    failing = _failing(plan, failed)
    if not own and not failing:
        return ()
    others = [hit for hit in hits if hit[0].code not in plan.breakable]
    return (*own, *failing) if _weigh(plan, others, failures - len(failing)).demanded < demanded else ()


def _breaks(plan: Plan, q: Question) -> bool:
    """Return True for a signal with a breaker whose hit counts for anything."""
    return q.code in plan.breakable and (q.weight > 0 or q.floor is not Outcome.ALLOW)


def _failing(plan: Plan, failed: list[Question]) -> list[str]:
    """Name the signals with a breaker that failed where that counts for anything."""
    return [] if plan.fail_mode is Outcome.ALLOW else [q.code for q in failed if q.code in plan.breakable]


def _in_shadow(plan: Plan, values: list[Any]) -> tuple[Shadowed, ...]:
    return tuple(Shadowed(q.code, *answer(q.ask, [values[i] for i in q.index], {})) for q in plan.shadow)


Asked = tuple[list[tuple[Question, float]], list[Question], list[Question]]
"""Hits with their strength, unknown, failed."""


def _ask(plan: Plan, values: list[Any]) -> Asked:
    """Ask every signal; the fast way, for vectors without a fault."""
    hits: list[tuple[Question, float]] = []
    unknown: list[Question] = []
    failed: list[Question] = []
    for i, ask, question in plan.single:
        value = values[i]
        if value is None:
            unknown.append(question)
            continue
        try:
            strength = ask(value)
        except Exception:  # noqa: BLE001 - a failing signal is an error of that signal
            failed.append(question)
            continue
        if strength > 0:
            hits.append((question, min(1.0, strength)))
    for read, ask, question in plan.several:
        inputs = read(values)
        if None in inputs:
            unknown.append(question)
            continue
        try:
            strength = ask(*inputs)
        except Exception:  # noqa: BLE001
            failed.append(question)
            continue
        if strength > 0:
            hits.append((question, min(1.0, strength)))
    if plan.custom:
        _ask_custom(plan, values, (hits, unknown, failed))
    return hits, unknown, failed


def _ask_custom(plan: Plan, values: list[Any], asked: Asked) -> None:
    """Ask the policy's own signals, each of all values at once."""
    hits, unknown, failed = asked
    for ask, question in plan.custom:
        try:
            holds = ask(values)
        except Exception:  # noqa: BLE001 - as for the built-in ones
            failed.append(question)
            continue
        if holds:
            hits.append((question, 1.0))
        elif holds is None:
            unknown.append(question)


def _ask_guarded(plan: Plan, values: list[Any]) -> Asked:
    """Ask every signal when some feature failed: those that read it are in error."""
    hits: list[tuple[Question, float]] = []
    unknown: list[Question] = []
    failed: list[Question] = []
    # In the order of `_ask`: that a signal in shadow reads a fault must not even change how points are rounded.
    in_order = [one[-1] for one in plan.single] + [one[-1] for one in plan.several] + [one[-1] for one in plan.custom]
    for question in in_order:
        state, strength = answer(question.ask, [values[i] for i in question.index], {})
        if state is State.HIT:
            hits.append((question, strength))
        elif state is State.UNKNOWN:
            unknown.append(question)
        elif state is State.ERROR:
            failed.append(question)
    return hits, unknown, failed


def _fresh_evidence(
    facts: Facts, policy: Policy, plan: Plan, hits: list[tuple[Question, float]], values: list[Any]
) -> bool:
    """Return True when the session already proves what a step-up would ask for.

    After a hit that a thief of the session would cause, only authentication later than the hit counts.
    """
    auth_age_s = facts.subject.auth_age_s
    if not policy.ladder.satisfied(facts.subject.acr, auth_age_s, plan.level, plan.max_age):
        return False
    ages = [values[q.dated_by] for q, _ in hits if q.dated_by is not None]
    return auth_age_s is not None and all(auth_age_s < age for age in ages)


def _range(
    facts: Facts, total: float, hits: list[tuple[Question, float]], unknown: list[Question]
) -> tuple[float, float]:
    accuracy_km = facts.place.accuracy_km
    coarse = 0.0
    if accuracy_km is not None and accuracy_km > COARSE_PLACE_KM:
        coarse = sum(combine.evidence(q.weight * s) for q, s in hits if q.rests_on_place)
    return combine.score_range(total, coarse, [q.full_evidence for q in unknown])


def _hit(q: Question, strength: float, values: list[Any], contribution: float) -> Hit:
    return Hit(q, float(strength), tuple([values[i] for i in q.index]), contribution)


def _shares(hits: list[tuple[Question, float]], weighed: _Weighed, values: list[Any]) -> tuple[Hit, ...]:
    if not hits:
        return ()
    if len(hits) == 1:  # the usual case: the whole score is its share
        ((q, s),) = hits
        return (_hit(q, s, values, weighed.score),)
    of_declared, of_statistical = (iter(part) for part in combine.contributions(weighed.declared, weighed.statistical))
    shares = [_hit(q, s, values, next(of_statistical if q.statistical else of_declared)) for q, s in hits]
    shares.sort(key=lambda hit: (-hit.contribution, hit.question.code))
    return tuple(shares)
