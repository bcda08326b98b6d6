"""The compiled policy: per action and resource one plan, with every signal bound to its knobs."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property, lru_cache
from operator import itemgetter
from types import FunctionType
from typing import Any

from msgspec import Struct

from riskd.contract import Obligation, Outcome, StepUp
from riskd.facts import Facts
from riskd.features.velocity import Counted, Velocity
from riskd.policy.combine import evidence
from riskd.policy.custom import Declared, declared_signals
from riskd.policy.ladder import Ladder
from riskd.policy.named import NEVER_EXEMPT, exempts
from riskd.policy.schema import OTHER, ActionRules, CustomSignal, Match, PolicyFile, Requires, Rules
from riskd.policy.section import Section, inherited
from riskd.policy.variables import FEATURE, Reader, declared_variables, input_of
from riskd.policy.velocities import VelocityRules, counted, declared_velocities, limit_signals
from riskd.signals import INPUTS, SIGNALS, Signal

MAX_PLANS = 1024
"""Distinct (class of actions, resource rule) pairs kept compiled, some 30 KB each; made when first asked for."""
MAX_PATHS = 4096
"""Distinct resources whose rule is kept in mind."""
COARSE_FEATURES = frozenset({"km_from_nearest_place", "travel_speed_kmh", "country_unseen_days", "country"})
"""Features that rest on the place, and so are worth less when the place is coarse."""


class Question(Struct, frozen=True):
    """One signal, bound to its knobs and to the places of its inputs."""

    code: str
    index: tuple[int, ...]
    """Where its inputs stand in the vector."""
    ask: Callable[..., bool | float]
    weight: float
    floor: Outcome
    statistical: bool
    full_evidence: float
    """Evidence of a hit of full strength, nats: what not knowing the answer leaves open."""
    rests_on_place: bool
    dated_by: int | None
    """Where the age of the hit stands in the vector, for signals that only later evidence can answer."""
    signal: Signal
    shadow: bool = False
    """It is asked and counted, and has no say."""


class Plan(Struct, frozen=True):
    """What holds for one action on one resource."""

    action: str
    """Class of the action; `other` when the policy names it in none."""
    step_up_at: float
    deny_at: float
    fail_mode: Outcome
    level: int
    """Assurance level that a step-up must reach: never less than the action requires of every session."""
    max_age: timedelta
    """How old the authentication may be that answers a step-up."""
    sensitive: bool
    change: str | None
    counted: Counted | None
    """What the policy's velocities count of it; None without any."""
    questions: tuple[Question, ...]
    single: tuple[tuple[int, Callable[..., bool | float], Question], ...]
    """Questions that read one input: where it stands, and whom to ask."""
    several: tuple[tuple[Callable[[Any], tuple[Any, ...]], Callable[..., bool | float], Question], ...]
    """Questions that read several inputs: how to fetch them, and whom to ask."""
    custom: tuple[tuple[Callable[[Sequence[Any]], bool | None], Question], ...] = ()
    """The policy's own questions: whom to ask of everything at once; None is unknown."""
    shadow: tuple[Question, ...] = ()
    """Questions that have no say; they are among none of the above."""
    breakable: frozenset[str] = frozenset()
    """Codes of the policy's own questions that have a breaker."""


class Policy:
    """A policy ready to judge by; immutable, built once per revision."""

    def __init__(self, file: PolicyFile, revision: str, source: str = "") -> None:
        self.file = file
        self.revision = revision
        """First 12 hex digits of the SHA-256 over the policy's content."""
        self.source = source
        self.ladder = Ladder(file.assurance)
        self._class_of = {name: kind for kind, rules in file.actions.items() for name in rules.names}
        self._resources = tuple((_matcher(rule.match), rule) for rule in file.resources)
        self._obligations = tuple(
            (
                frozenset(Outcome.of(word) for word in rule.outcomes),
                frozenset(rule.signals),
                Obligation(id=rule.id, type=rule.type, properties=dict(rule.properties)),
            )
            for rule in file.obligations
        )
        self.custom = declared_signals(file)
        """The policy's own signals, in their order."""
        self.velocities = {velocity.name: velocity for velocity in declared_velocities(file.velocities)}
        """The policy's velocities by name."""
        limits = tuple(limit_signals(file.velocities))
        self._counted = counted(tuple(self.velocities.values()), (OTHER, *file.actions))
        self.breakable = _breakable(file)
        """The policy's own signals that have a breaker: code and declaration."""
        shadowed = [signal.code for signal in file.custom_signals if signal.shadow]
        self._shadow = frozenset(shadowed + [velocity.code for velocity in file.velocities if velocity.shadow])
        own = (*(declared.signal for declared in self.custom), *(signal for _, signal in limits))
        self.read_more = _reader(own, file.attributes, self.velocities) if own else None
        """Fetches what the policy's own signals read besides features; it stands behind what built-in ones read."""
        self.inputs: tuple[str, ...] = INPUTS if self.read_more is None else (*INPUTS, *self.read_more.names)
        """Names of everything that signals read, in the order in which an evaluation holds it."""
        self._limits = tuple((actions, _own_question(signal, self.inputs)) for actions, signal in limits)
        self._custom = tuple((declared.actions, *_custom_question(declared, self.inputs)) for declared in self.custom)
        self.codes = frozenset((*SIGNALS, *(signal.code for signal in own)))
        """Codes of all its signals, built-in ones included."""
        self._lifts = {name: exempts(declared) for name, declared in file.lists.named.items()}
        self._resource_of = lru_cache(maxsize=MAX_PATHS)(self._find_resource)
        self._plan_of = lru_cache(maxsize=MAX_PLANS)(self._compile)

    def obligations(self, outcome: Outcome, codes: set[str], step_up: StepUp | None) -> tuple[Obligation, ...]:
        """Return what the PEP must do besides: achieve the step-up, and what the policy adds for these hits."""
        due: list[Obligation] = []
        if step_up is not None:
            due.append(self._step_up_obligation(step_up.acr_values, step_up.amr_values, step_up.max_age))
        due.extend(
            obligation
            for outcomes, signals, obligation in self._obligations
            if outcome in outcomes and (not signals or not signals.isdisjoint(codes))
        )
        return tuple(due)

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word that the policy itself spells and a caller may send: names, acr, amr, methods, path segments."""
        file = self.file
        found: set[str] = set(self._class_of)
        for step in file.assurance.levels:
            found.update(step.amr, *step.acr.values())
        for method in file.assurance.methods:
            found.update((method.name, *method.amr))
        for rule in file.resources:
            found.update(rule.match.type, rule.match.method)
            found.update(segment for glob in rule.match.endpoint for segment in glob.split("/"))
        for declared_list in file.lists.named.values():
            if declared_list.of == "endpoint":
                found.update(segment for glob in declared_list.entries for segment in glob.split("/"))
        for declared in self.custom:
            texts = declared.expression.texts
            found.update(texts, *(text.split("/") for text in texts))
        return frozenset(found)

    @cached_property
    def recorded_attributes(self) -> frozenset[str]:
        """Names of the request's attributes that are recorded: those the policy keeps, and those it declares."""
        return frozenset(self.file.record.keep.attributes).union(self.file.attributes)

    def lifted(self, facts: Facts) -> frozenset[str]:
        """Return the codes of signals that exemptions of the subject and allow lists let count nothing."""
        of_subject = frozenset(facts.exempt).difference(NEVER_EXEMPT)
        return of_subject.union(*[self._lifts.get(name, ()) for name in facts.lists.allowed])

    def lists_lifting(self, code: str, facts: Facts) -> tuple[str, ...]:
        """Return the names of the allow lists by which a signal counts nothing for an attempt."""
        return tuple(name for name in facts.lists.allowed if code in self._lifts.get(name, ()))

    def plan(self, action: str, path: str | None, method: str | None, resource_type: str | None) -> Plan:
        """Return the plan of an attempt: its action's class under the first resource rule that matches."""
        number = self._resource_of(path, method, resource_type) if self._resources else -1
        return self._plan_of(self._class_of.get(action, OTHER), number)

    def resource(self, path: str | None, method: str | None, resource_type: str | None) -> int | None:
        """Return the number, in the file, of the first resource rule that matches an attempt; None without one."""
        number = self._resource_of(path, method, resource_type) if self._resources else -1
        return None if number < 0 else number

    def _find_resource(self, path: str | None, method: str | None, resource_type: str | None) -> int:
        for number, (matches, _) in enumerate(self._resources):
            if matches(path, method, resource_type):
                return number
        return -1

    def _compile(self, kind: str, number: int) -> Plan:
        action = self.file.actions.get(kind)
        layers: list[Rules] = [self.file]
        if action is not None:
            layers.append(action)
        if number >= 0:
            layers.append(self._resources[number][1])
        rules = _inherited(layers)
        requires: Requires = rules["requires"]
        level = max(rules["level"], requires.level)
        max_age = self.ladder.max_age(level)
        interactive = action.interactive if action is not None else True
        bound: dict[str, dict[str, Any]] = {
            "sensitive_endpoint": {"sensitive": rules["sensitive"]},
            "fresh_device": {"sensitive": rules["sensitive"]},
            "hosting_network": {"interactive": interactive},
            "stale_authentication": {"max_age_minutes": requires.max_age.total_seconds() / 60},
            "weak_authentication": {"level": requires.level, "levels": self.ladder.level_of},
            "amount_over_limit": {"limits": rules["limits"]},
            "cumulative_amount": {"limits": rules["daily_limits"]},
        }
        questions = tuple(q for code in SIGNALS if (q := _question(code, layers, bound.get(code, {}))) is not None)
        shadow = [q for q in questions if q.shadow]
        questions = tuple(q for q in questions if not q.shadow)
        limits = [q for actions, q in self._limits if not actions or kind in actions]
        own = tuple((over, q) for actions, over, q in self._custom if not actions or kind in actions)
        shadow += [q for q in (*limits, *[q for _, q in own]) if q.code in self._shadow]
        questions += tuple(q for q in limits if q.code not in self._shadow)
        custom = tuple((over, q) for over, q in own if q.code not in self._shadow)
        return Plan(
            action=kind,
            step_up_at=rules["thresholds"].step_up,
            deny_at=rules["thresholds"].deny,
            fail_mode=Outcome.of(rules["fail_mode"]),
            level=level,
            max_age=min(max_age, requires.max_age) if requires.max_age else max_age,
            sensitive=rules["sensitive"],
            change=action.change if isinstance(action, ActionRules) else None,
            counted=self._counted[kind],
            questions=(*questions, *[question for _, question in custom]),
            single=tuple((q.index[0], q.ask, q) for q in questions if len(q.index) == 1),
            several=tuple((itemgetter(*q.index), q.ask, q) for q in questions if len(q.index) > 1),
            custom=custom,
            shadow=tuple(shadow),
            breakable=frozenset(self.breakable).intersection(q.code for q in (*limits, *[q for _, q in own])),
        )

    @staticmethod
    @lru_cache(maxsize=256)
    def _step_up_obligation(acr_values: tuple[str, ...], amr_values: tuple[str, ...], max_age: int) -> Obligation:
        """Say the step-up in the form of the AuthZEN obligations profile: one acr value, and the methods."""
        properties: dict[str, str | int | list[str]] = {"amr_values": list(amr_values), "max_age": max_age}
        if acr_values:
            properties = {"acr_value": acr_values[0], **properties}
        return Obligation(id="step-up", type="step-up", properties=properties)


_INHERITED = ("thresholds", "fail_mode", "level", "requires", "sensitive", "limits", "daily_limits")


def _inherited(layers: list[Rules]) -> dict[str, Any]:
    """Take each rule from the most specific layer that sets it, and each threshold and requirement on its own."""
    found: dict[str, Any] = {}
    for layer in layers:
        for name in _INHERITED:
            value = getattr(layer, name)
            if value is not None:
                beneath = found.get(name)
                found[name] = inherited(value, beneath) if isinstance(beneath, Section) else value
    return found


def _question(code: str, layers: list[Rules], bound: Mapping[str, Any]) -> Question | None:
    declared = SIGNALS[code]
    settings: dict[str, Any] = {
        "weight": declared.weight,
        "floor": declared.floor.word,
        "enabled": True,
        "shadow": False,
    }
    knobs = dict(declared.knobs)
    for layer in layers:
        tuning = getattr(layer.signals, code)
        for name in tuning.model_fields_set:
            value = getattr(tuning, name)
            if value is not None:
                (settings if name in settings else knobs)[name] = value
    if not settings["enabled"]:
        return None
    knobs.update(bound)
    return Question(
        code=code,
        index=tuple(INPUTS.index(name) for name in declared.reads),
        ask=_bind(declared.ask, knobs),
        weight=settings["weight"],
        floor=Outcome.of(settings["floor"]),
        statistical=declared.statistical,
        full_evidence=evidence(settings["weight"]),
        rests_on_place=not COARSE_FEATURES.isdisjoint(declared.reads),
        dated_by=None if declared.dated_by is None else INPUTS.index(declared.dated_by),
        signal=declared,
        shadow=settings["shadow"],
    )


def _custom_question(
    declared: Declared, inputs: Sequence[str]
) -> tuple[Callable[[Sequence[Any]], bool | None], Question]:
    question = _own_question(declared.signal, inputs)
    return declared.expression.over(question.index), question


def _own_question(signal: Signal, inputs: Sequence[str]) -> Question:
    return Question(
        code=signal.code,
        index=tuple([_index(name, inputs) for name in signal.reads]),
        ask=signal.ask,
        weight=signal.weight,
        floor=signal.floor,
        statistical=False,
        full_evidence=evidence(signal.weight),
        rests_on_place=any(
            name.startswith("place.") or name.removeprefix(FEATURE) in COARSE_FEATURES for name in signal.reads
        ),
        dated_by=None,
        signal=signal,
    )


def _breakable(file: PolicyFile) -> dict[str, str]:
    """Return the policy's own signals that have a breaker, each as it is declared.

    One without weight and floor has it, too: where it fails, the fail mode may deny.
    """
    own: list[CustomSignal | VelocityRules] = [*file.custom_signals]
    own += [velocity for velocity in file.velocities if velocity.limit is not None]
    return {rule.code: rule.model_dump_json() for rule in own if rule.breaker and not rule.shadow}


def _reader(own: Iterable[Signal], attributes: Mapping[str, str], velocities: Mapping[str, Velocity]) -> Reader:
    names = (name for signal in own for name in signal.reads if input_of(name) is None)
    kinds = declared_variables(attributes, velocities)
    return Reader(names, kinds, {name: velocity.key for name, velocity in velocities.items()})


def _index(name: str, inputs: Sequence[str]) -> int:
    at = input_of(name)
    return inputs.index(name) if at is None else at


def _bind(ask: Callable[..., bool | float], knobs: dict[str, Any]) -> Callable[..., bool | float]:
    """Copy a signal's function with other keyword defaults: calling the copy costs no more than the original."""
    if not isinstance(ask, FunctionType):
        raise TypeError(f"{ask!r} is not a plain function")
    copy = FunctionType(ask.__code__, ask.__globals__, ask.__name__, ask.__defaults__, ask.__closure__)
    copy.__kwdefaults__ = knobs or None
    return copy


def _matcher(match: Match) -> Callable[[str | None, str | None, str | None], bool]:
    on_path = _path_matcher(match.endpoint)
    methods, types = frozenset(match.method), frozenset(match.type)

    def matches(path: str | None, method: str | None, resource_type: str | None) -> bool:
        if on_path is not None and (path is None or not on_path(path)):
            return False
        if methods and method not in methods:
            return False
        return not types or resource_type in types

    return matches


def _path_matcher(globs: Sequence[str]) -> Callable[[str], bool] | None:
    """Compile globs; the usual two kinds, a plain path and `/all/beneath/**`, need no regular expression."""
    if not globs:
        return None
    plain, beneath, patterns = set(), [], []
    for glob in globs:
        if "*" not in glob:
            plain.add(glob)
        elif glob.endswith("**") and "*" not in glob[:-2]:
            beneath.append(glob[:-2])
        else:
            patterns.append(glob_matcher(glob))
    starts = tuple(beneath)
    return lambda path: path in plain or path.startswith(starts) or any(matches(path) for matches in patterns)


def glob_matcher(glob: str) -> Callable[[str], object]:
    """Compile an endpoint glob to what matches whole paths, in linear time whatever glob and path are.

    `*` stays within a segment, `**` crosses segments, all else is literal.
    """
    import re2  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - many policies have no such glob

    parts = re.split(r"(\*\*|\*)", glob)
    body = "".join(".*" if p == "**" else "[^/]*" if p == "*" else re.escape(p) for p in parts)
    return re2.compile(f"(?s:{body})").fullmatch  # type: ignore[no-any-return]


__all__ = ["OTHER", "Plan", "Policy", "Question", "glob_matcher"]
