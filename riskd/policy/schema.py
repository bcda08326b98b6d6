"""The policy file's shape: everything a user may tune. Unknown keys are mistakes.

What its parts must not say against each other is in `consistent`.

Durations are written `30s`, `5m`, `12h`, `7d`, or as a number of seconds.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, create_model

from riskd.contract import OutcomeWord, ShortText, Text
from riskd.policy.named import MAX_LISTS, ListName, NamedList
from riskd.policy.rollout import BreakerRules, Rollout, Shadow
from riskd.policy.section import Amounts, Country, Duration, Percent, Section
from riskd.policy.velocities import MAX_VELOCITIES, VelocityRules
from riskd.signals import SIGNALS


def _speakable(name: str) -> str:
    if name in {"true", "false", "null", "in"}:
        raise ValueError("is a word of CEL: choose another name")
    return name


AttributeName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"), AfterValidator(_speakable)]
AttributeKind = Literal["number", "text", "flag"]
Change = Literal["contact", "password", "factor", "recipient"]


OTHER = "other"
"""The class of all actions that a policy names in none."""


class Thresholds(Section):
    """Scores at which the outcome changes, 0 to 100."""

    step_up: Percent = 50
    deny: Percent = 85


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
    shadow: bool = False
    """Only look: it is asked, counted and recorded, but neither weighs nor forces nor degrades."""


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


def _whole_segments(glob: str) -> str:
    """Refuse a star beside a letter: an id there is masked before the rule is chosen, and the rule would not hold."""
    for segment in glob.split("/"):
        if "*" in segment and segment not in {"*", "**"}:
            raise ValueError(
                f"in {segment!r} a star stands beside other text; here it stands for a whole segment, as /*/"
            )
    return glob


EndpointGlob = Annotated[Text, AfterValidator(_whole_segments)]


class Match(Section):
    """Which attempts a resource rule is for; every part that is given must match."""

    endpoint: Annotated[tuple[EndpointGlob, ...], Field(max_length=200)] = ()
    """Globs on the normalised path: `*` one segment, `**` any number of them. A list of endpoints may also have a `*`
    within a segment."""
    method: tuple[ShortText, ...] = ()
    type: tuple[ShortText, ...] = ()
    """Resource types."""


class ResourceRules(Rules):
    """Rules for a resource; the first that matches wins over the action's."""

    name: ShortText
    match: Match


class CustomSignal(Section):
    """A signal of your own."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
    """Its reason code."""
    when: Annotated[str, Field(min_length=1, max_length=2000)]
    """When it hits: an expression in CEL over facts, features and attributes. Unknown while one of these is missing."""
    weight: Annotated[float, Field(ge=0, lt=1)]
    """Share of the score, 0 to below 1."""
    floor: OutcomeWord = "allow"
    """Least outcome a hit forces; `allow` forces nothing."""
    text: Text
    """The reason in words."""
    actions: Annotated[tuple[ShortText, ...], Field(max_length=500)] = ()
    """Classes of actions that it is for, `other` among them; empty: all."""
    shadow: bool = False
    """Only look: it is asked, counted and recorded, but neither weighs nor forces nor degrades."""
    breaker: bool = True
    """It loses the power to deny while it would stop too many established subjects; see `breaker` at the top."""


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
    """Network lists, named lists of anything, and the hashes of passwords that leaked."""

    deny: DenyList = DenyList()
    feeds: Annotated[tuple[Feed, ...], Field(max_length=50)] = ()
    named: dict[ListName, NamedList] = Field(default={}, max_length=MAX_LISTS)
    """Deny and allow lists by name. Deny goes before allow, and allow before feeds, however specific entries are."""
    leaked_credentials: Text | None = None
    """File of hashes in the format of Have I Been Pwned (signal leaked_credential), relative to the policy file: one
    SHA-1 a line, `:count` after it or nothing, ascending; hot-reloaded. Put a new file in its place, do not write into
    it; one that a signature pins is given up then, so give the new one another name, and sign the policy anew."""


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


class Kept(Section):
    """How each field is kept in the record."""

    ip: Literal["hash", "truncate", "plain"] = "hash"
    device_id: Literal["hash", "plain"] = "hash"
    attributes: Annotated[tuple[ShortText, ...], Field(max_length=64)] = ()
    """Names of the request's attributes that may be recorded beside those under `attributes`; all others are left
    out."""


class RecordRules(Section):
    """The decision record."""

    keep: Kept = Kept()
    on_failure: Literal["refuse", "count"] = "refuse"
    """When the record cannot be written: answer 503, or answer and count the loss."""
    rotate_megabytes: Annotated[float, Field(ge=1, le=10_000)] = 128
    rotate_every: Duration = timedelta(days=1)
    retain: Duration = timedelta(days=400)
    """Files older than this are deleted; 0 keeps all."""


class Learning(Section):
    """What outcomes teach."""

    mature_after: Duration | None = None
    """Age at which an allow that nobody reported on counts as a confirmed success; unset: never."""
    outcome_window: Duration = timedelta(days=7)
    """How long after a decision its outcome may be reported; a change holds for decisions from then on."""


class Anomaly(Section):
    """The anomaly model."""

    missing: Literal["refuse", "rules_only"] = "refuse"
    """At start without a usable model: refuse, or let the declared signals decide alone."""


class Deadlines(Section):
    """Time limits of one decision."""

    decision: Duration = timedelta(milliseconds=150)
    """From the request's last byte to its turn: a request that waited longer is refused (503). What the store may take
    comes on top."""
    store: Duration = timedelta(milliseconds=50)
    """Budget of the store's one round trip; beyond, the decision is degraded."""
    model: Duration = timedelta(milliseconds=20)
    """CPU time that one call of the model may take; beyond, its score is not used and the decision is degraded."""


class ObligationRule(Section):
    """An obligation that a decision carries."""

    id: ShortText
    type: Literal["session_termination", "notification", "custom"]
    outcomes: Annotated[tuple[OutcomeWord, ...], Field(min_length=1)]
    signals: tuple[ShortText, ...] = ()
    """Only when one of these hit; empty: always."""
    properties: dict[ShortText, Text] = Field(default={})


class PolicyFile(Rules):
    """The whole policy file. What stands at the top level is the default for every action."""

    version: Literal[1]
    thresholds: Thresholds = Thresholds()
    fail_mode: OutcomeWord = "step_up"
    level: Annotated[int, Field(ge=1, le=9)] = 2
    requires: Requires = Requires()
    sensitive: bool = False
    limits: Amounts = Field(default={})
    daily_limits: Amounts = Field(default={})
    actions: Annotated[dict[ShortText, ActionRules], Field(max_length=500)] = Field(default={})
    """Classes of actions by name; an action of no class has the defaults, and its class is called `other`."""
    resources: Annotated[tuple[ResourceRules, ...], Field(max_length=500)] = ()
    attributes: Annotated[dict[AttributeName, AttributeKind], Field(max_length=64)] = Field(default={})
    """Attributes of the request that custom signals may read, and what each holds. They are recorded, since a record
    must be able to be judged again; what looks like an address, a card number or a token, and is not spelled in the
    policy, is masked before it is judged."""
    custom_signals: Annotated[tuple[CustomSignal, ...], Field(max_length=200)] = ()
    """Signals of your own, beside the built-in ones."""
    velocities: Annotated[tuple[VelocityRules, ...], Field(max_length=MAX_VELOCITIES)] = ()
    """Counts of your own, for signals of your own or with a limit each."""
    breaker: BreakerRules = BreakerRules()
    """Way back for signals of your own that stop too many, limits of velocities among them."""
    shadow: Shadow | None = None
    """Judged beside, on every request, and not obeyed."""
    rollout: Rollout | None = None
    """Judged by already, for a part of the subjects."""
    lists: Lists = Lists()
    assurance: Assurance
    obligations: Annotated[tuple[ObligationRule, ...], Field(max_length=50)] = ()
    record: RecordRules = RecordRules()
    learning: Learning = Learning()
    anomaly: Anomaly = Anomaly()
    deadlines: Deadlines = Deadlines()
