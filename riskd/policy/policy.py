"""The compiled policy: per action and resource one plan, with every signal bound to its knobs."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property, lru_cache
from operator import itemgetter
from types import FunctionType
from typing import Any

from msgspec import Struct

from riskd.contract import Obligation, Outcome, StepUp
from riskd.policy.combine import evidence
from riskd.policy.ladder import Ladder
from riskd.policy.schema import ActionRules, Match, PolicyFile, Requires, Rules, Section, inherited
from riskd.signals import INPUTS, SIGNALS, Signal

MAX_PLANS = 4096
"""Distinct (action, resource rule) pairs kept compiled; actions the policy does not name share one plan."""
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
    questions: tuple[Question, ...]
    single: tuple[tuple[int, Callable[..., bool | float], Question], ...]
    """Questions that read one input: where it stands, and whom to ask."""
    several: tuple[tuple[Callable[[Any], tuple[Any, ...]], Callable[..., bool | float], Question], ...]
    """Questions that read several inputs: how to fetch them, and whom to ask."""


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
        self._plans: dict[tuple[str, int], Plan] = {}
        self._obligations = tuple(
            (
                frozenset(Outcome.of(word) for word in rule.outcomes),
                frozenset(rule.signals),
                Obligation(id=rule.id, type=rule.type, properties=dict(rule.properties)),
            )
            for rule in file.obligations
        )
        self._resource_of = lru_cache(maxsize=MAX_PLANS)(self._find_resource)
        for kind in ("other", *file.actions):
            for number in range(-1, len(self._resources)):
                self._plans[kind, number] = self._compile(kind, number)

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
        return frozenset(found)

    def plan(self, action: str, path: str | None, method: str | None, resource_type: str | None) -> Plan:
        """Return the plan of an attempt: its action's class under the first resource rule that matches."""
        number = self._resource_of(path, method, resource_type) if self._resources else -1
        return self._plans[self._class_of.get(action, "other"), number]

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
        return Plan(
            action=kind,
            step_up_at=rules["thresholds"].step_up,
            deny_at=rules["thresholds"].deny,
            fail_mode=Outcome.of(rules["fail_mode"]),
            level=level,
            max_age=min(max_age, requires.max_age) if requires.max_age else max_age,
            sensitive=rules["sensitive"],
            change=action.change if isinstance(action, ActionRules) else None,
            questions=questions,
            single=tuple((q.index[0], q.ask, q) for q in questions if len(q.index) == 1),
            several=tuple((itemgetter(*q.index), q.ask, q) for q in questions if len(q.index) > 1),
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
    settings: dict[str, Any] = {"weight": declared.weight, "floor": declared.floor.word, "enabled": True}
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
    )


def _bind(ask: Callable[..., bool | float], knobs: dict[str, Any]) -> Callable[..., bool | float]:
    """Copy a signal's function with other keyword defaults: calling the copy costs no more than the original."""
    if not isinstance(ask, FunctionType):
        raise TypeError(f"{ask!r} is not a plain function")
    copy = FunctionType(ask.__code__, ask.__globals__, ask.__name__, ask.__defaults__, ask.__closure__)
    copy.__kwdefaults__ = knobs or None
    return copy


def _matcher(match: Match) -> Callable[[str | None, str | None, str | None], bool]:
    patterns = [re.compile(glob_to_regex(glob)) for glob in match.endpoint]
    methods, types = frozenset(match.method), frozenset(match.type)

    def matches(path: str | None, method: str | None, resource_type: str | None) -> bool:
        if patterns and (path is None or not any(p.match(path) for p in patterns)):
            return False
        if methods and method not in methods:
            return False
        return not types or resource_type in types

    return matches


def glob_to_regex(glob: str) -> str:
    """Translate an endpoint glob: `*` stays within a segment, `**` crosses segments, all else is literal."""
    parts = re.split(r"(\*\*|\*)", glob)
    body = "".join(".*" if p == "**" else "[^/]*" if p == "*" else re.escape(p) for p in parts)
    return rf"(?s:{body})\Z"


__all__ = ["Plan", "Policy", "Question", "glob_to_regex"]
