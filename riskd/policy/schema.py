"""The policy file's shape: everything a user may tune. Unknown keys are mistakes.

Durations are written `30s`, `5m`, `12h`, `7d`, or as a number of seconds.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from riskd.contract import OutcomeWord, ShortText, Text
from riskd.signals import SIGNALS

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def parse_duration(value: object) -> object:
    """Turn `5m` or a number of seconds into a timedelta; leaves what it does not know to pydantic."""
    try:
        if isinstance(value, str) and (found := _DURATION.match(value.strip())):
            return timedelta(seconds=float(found[1]) * _UNIT_S[found[2]])
        if isinstance(value, int | float) and not isinstance(value, bool):
            return timedelta(seconds=value)
    except OverflowError as error:
        raise ValueError("longer than any duration") from error
    if isinstance(value, timedelta):
        return value
    raise ValueError("not a duration: write 30s, 5m, 12h or 7d")


Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(ge=timedelta(0), le=timedelta(days=3650))]
Percent = Annotated[float, Field(ge=0, le=100)]
Amounts = dict[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], Annotated[float, Field(ge=0, le=1e15)]]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Change = Literal["contact", "password", "factor", "recipient"]


class Section(BaseModel):
    """What every part of a policy has in common: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Part = TypeVar("Part", bound=Section)


def inherited(section: Part | None, beneath: Part) -> Part:
    """Return a section as it holds: what it leaves out comes from the section beneath."""
    if section is None:
        return beneath
    return beneath.model_copy(update={name: getattr(section, name) for name in section.model_fields_set})


class Thresholds(Section):
    """Scores at which the outcome changes, 0 to 100."""

    step_up: Percent = 50
    deny: Percent = 85

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if {"step_up", "deny"} <= self.model_fields_set and self.step_up > self.deny:
            raise ValueError(f"step_up ({self.step_up:g}) must not exceed deny ({self.deny:g})")
        return self


class Requires(Section):
    """What an action needs of the session before anything looks risky."""

    level: Annotated[int, Field(ge=0, le=9)] = 0
    """Assurance level that `acr` must reach (signal weak_authentication); a step-up then asks for no less."""
    max_age: Duration = timedelta(0)
    """Age that the last authentication may have (signal stale_authentication); 0 means any.

    What answers a step-up may be no older either.
    """


class SignalTuning(Section):
    """What may be tuned on every signal; its own knobs stand beside these."""

    weight: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of the score, 0 to below 1; unset keeps the default."""
    floor: OutcomeWord | None = None
    """Least outcome a hit forces."""
    enabled: bool = True


def _tuning_model(code: str) -> type[SignalTuning]:
    declared = SIGNALS[code]
    knobs: dict[str, Any] = {
        name: (_knob_type(default) | None, Field(default=None, description=f"Default: {default!r}."))
        for name, default in declared.knobs.items()
        if not isinstance(default, Mapping) and name not in BOUND_KNOBS.get(code, ())
    }
    return create_model(f"Signal_{code}", __base__=SignalTuning, __doc__=f"{declared.text} {declared.doc}", **knobs)


def _knob_type(default: object) -> Any:  # noqa: ANN401 - a type made from a value
    if isinstance(default, bool):
        return bool
    if isinstance(default, tuple):
        return tuple[Country, ...]  # the only lists among knobs are of countries
    return Annotated[float, Field(ge=0)]


BOUND_KNOBS: Mapping[str, tuple[str, ...]] = {
    "sensitive_endpoint": ("sensitive",),
    "fresh_device": ("sensitive",),
    "hosting_network": ("interactive",),
    "stale_authentication": ("max_age_minutes",),
    "weak_authentication": ("level", "levels"),
    "amount_over_limit": ("limits",),
    "cumulative_amount": ("limits",),
}
"""Knobs that other parts of the policy set: the action's class, limits and requirements."""


_TUNABLE: dict[str, Any] = {code: _tuning_model(code) for code in SIGNALS}

_FIELDS: dict[str, Any] = {
    code: (model, Field(default_factory=model, description=SIGNALS[code].text)) for code, model in _TUNABLE.items()
}
SignalsTuning = create_model("Signals", __base__=Section, __doc__="Tuning per signal, by reason code.", **_FIELDS)


class Rules(Section):
    """What holds for an action or resource; what is unset is inherited from the defaults."""

    thresholds: Thresholds | None = None
    fail_mode: OutcomeWord | None = None
    """Least outcome while a source is down or a signal fails; `allow` forces nothing."""
    level: Annotated[int, Field(ge=1, le=9)] | None = None
    """Assurance level that a step-up must reach."""
    requires: Requires | None = None
    sensitive: bool | None = None
    """Counts for sensitive_endpoint and sensitive_burst."""
    limits: Amounts | None = None
    """Largest amount per currency (signal amount_over_limit)."""
    daily_limits: Amounts | None = None
    """Largest sum of 24 hours per currency (signal cumulative_amount)."""
    signals: SignalsTuning = SignalsTuning()


class ActionRules(Rules):
    """One class of actions."""

    names: Annotated[tuple[ShortText, ...], Field(min_length=1, max_length=200)]
    """Action names of this class, as callers send them."""
    change: Change | None = None
    """What the action changes; takeover_sequence watches these."""
    interactive: bool = True
    """A person acts; false for machine-to-machine actions (hosting_network is clear then)."""


class Match(Section):
    """Which attempts a resource rule is for; every part that is given must match."""

    endpoint: Annotated[tuple[Text, ...], Field(max_length=200)] = ()
    """Globs on the normalised path: `*` within a segment, `**` across segments."""
    method: tuple[ShortText, ...] = ()
    type: tuple[ShortText, ...] = ()
    """Resource types."""


class ResourceRules(Rules):
    """Rules for a resource; the first that matches wins over the action's."""

    name: ShortText
    match: Match


class DenyList(Section):
    """Addresses and networks that are never welcome (signal denied_network)."""

    networks: Annotated[tuple[Text, ...], Field(max_length=100_000)] = ()
    """CIDRs, addresses and ASNs (`AS64496`)."""


class Feed(Section):
    """A threat feed or deny list in a file, hot-reloaded (signal listed_ip)."""

    name: ShortText
    file: Text
    """Path, relative to the policy file: one CIDR, address or ASN a line, `# until 2026-12-31` to expire."""


class Lists(Section):
    """Network lists."""

    deny: DenyList = DenyList()
    feeds: Annotated[tuple[Feed, ...], Field(max_length=50)] = ()


Dialect = Literal["oidc", "keycloak", "okta", "auth0", "entra", "saml"]


class Level(Section):
    """One step of the assurance ladder."""

    level: Annotated[int, Field(ge=1, le=9)]
    acr: dict[Dialect, Annotated[tuple[Text, ...], Field(max_length=20)]]
    """`acr` values that prove this level, per dialect of identity provider, preferred first."""
    amr: tuple[ShortText, ...]
    """Methods (RFC 8176) that reach this level."""
    max_age: Duration
    """How fresh a step-up to this level must be on the retry."""


class Method(Section):
    """A step-up method, in the order of preference."""

    name: ShortText
    level: Annotated[int, Field(ge=1, le=9)]
    """Highest assurance level it reaches."""
    amr: tuple[ShortText, ...]
    phishing_resistant: bool = False
    uses_contact: bool = False
    """It goes to an e-mail address or phone number: worthless just after those were changed."""
    can_be_bombed: bool = False
    """The subject only taps a prompt: last choice while somebody is guessing passwords."""


class Assurance(Section):
    """The assurance ladder: what each level is called, and how to reach it."""

    dialect: Dialect = "oidc"
    """Whose `acr` values answers carry."""
    levels: Annotated[tuple[Level, ...], Field(min_length=1, max_length=9)]
    methods: Annotated[tuple[Method, ...], Field(max_length=40)] = ()
    step_up_expires: Duration = timedelta(minutes=10)
    """How long a step-up stays worth completing."""

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        numbers = [step.level for step in self.levels]
        if numbers != sorted(set(numbers)):
            raise ValueError(f"levels must ascend without repeats, not {numbers}")
        return self


class Kept(Section):
    """How each field is kept in the record."""

    ip: Literal["hash", "truncate", "plain"] = "hash"
    device_id: Literal["hash", "plain"] = "hash"
    attributes: Annotated[tuple[ShortText, ...], Field(max_length=64)] = ()
    """Names of the request's attributes that may be recorded; all others are left out."""


class RecordRules(Section):
    """The decision record. All but `keep` takes effect when the service starts anew (HUP)."""

    keep: Kept = Kept()
    on_failure: Literal["refuse", "count"] = "refuse"
    """When the record cannot be written: answer 503, or answer and count the loss."""
    rotate_megabytes: Annotated[float, Field(ge=1, le=10_000)] = 128
    rotate_every: Duration = timedelta(days=1)
    retain: Duration = timedelta(days=400)
    """Files older than this are deleted; 0 keeps all."""


class Learning(Section):
    """What outcomes teach; taken over when the service starts anew (HUP)."""

    mature_after: Duration | None = None
    """Age at which an allow that nobody reported on counts as a confirmed success; unset: never."""
    outcome_window: Duration = timedelta(days=7)
    """How long after a decision its outcome may be reported."""


class Anomaly(Section):
    """The anomaly model."""

    missing: Literal["refuse", "rules_only"] = "refuse"
    """At start without a usable model: refuse, or let the declared signals decide alone."""


class Deadlines(Section):
    """Time limits of one decision; taken over when the service starts anew (HUP)."""

    store: Duration = timedelta(milliseconds=50)
    """Budget of the store's one round trip; beyond, the decision is degraded."""


class ObligationRule(Section):
    """An obligation that a decision carries."""

    id: ShortText
    type: Literal["session_termination", "notification", "custom"]
    outcomes: Annotated[tuple[OutcomeWord, ...], Field(min_length=1)]
    signals: tuple[str, ...] = ()
    """Only when one of these hit; empty: always."""
    properties: dict[ShortText, Text] = {}

    @model_validator(mode="after")
    def _signals_exist(self) -> Self:
        for code in self.signals:
            if code not in SIGNALS:
                raise ValueError(f"no such signal: {code!r}")
        return self


class PolicyFile(Rules):
    """The whole policy file. What stands at the top level is the default for every action."""

    version: Literal[1]
    thresholds: Thresholds = Thresholds()
    fail_mode: OutcomeWord = "step_up"
    level: Annotated[int, Field(ge=1, le=9)] = 2
    requires: Requires = Requires()
    sensitive: bool = False
    limits: Amounts = {}
    daily_limits: Amounts = {}
    actions: dict[ShortText, ActionRules] = {}
    """Classes of actions by name; an action of no class has the defaults."""
    resources: Annotated[tuple[ResourceRules, ...], Field(max_length=500)] = ()
    lists: Lists = Lists()
    assurance: Assurance
    obligations: Annotated[tuple[ObligationRule, ...], Field(max_length=50)] = ()
    record: RecordRules = RecordRules()
    learning: Learning = Learning()
    anomaly: Anomaly = Anomaly()
    deadlines: Deadlines = Deadlines()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        seen: dict[str, str] = {}
        for kind, rules in self.actions.items():
            for name in rules.names:
                if name in seen:
                    raise ValueError(f"action {name!r} is in two classes: {seen[name]} and {kind}")
                seen[name] = kind
        after = self.learning.mature_after
        if after is not None and after >= self.learning.outcome_window:
            raise ValueError("learning: mature_after must be shorter than outcome_window, after which nothing is known")
        steps = {step.level for step in self.assurance.levels}
        places: list[tuple[str, Rules]] = [("defaults", self), *self.actions.items()]
        places.extend((rule.name, rule) for rule in self.resources)
        for where, place in places:
            at = inherited(place.thresholds, self.thresholds)
            if at.step_up > at.deny:
                raise ValueError(f"{where}: step_up ({at.step_up:g}) must not exceed the deny it gets ({at.deny:g})")
            required = None if place.requires is None else place.requires.level or None
            for level in (place.level, required):
                if level is not None and level not in steps:
                    raise ValueError(f"{where}: level {level} is not on the assurance ladder ({sorted(steps)})")
        return self
