"""The words a PEP and riskd exchange: what `POST /decide` and `POST /outcome` take and answer.

Types are strict: `true` and `"1500"` are no numbers, unknown keys are refused, numbers are finite. Every optional
field that is missing is *unknown*, which is never evidence of attack. Text fields refuse control characters, so nothing
a caller sends can forge a log line.
"""

from datetime import datetime
from enum import IntEnum, StrEnum
from math import copysign
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

LAST_SECOND = 20_000_000_000
"""In the year 2603; a larger number of seconds since 1970 is one of milliseconds."""
NUMERIC = tuple("+-.0123456789")
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
Text = Annotated[str, StringConstraints(max_length=256, min_length=1, pattern=PRINTABLE)]
ShortText = Annotated[str, StringConstraints(max_length=64, min_length=1, pattern=PRINTABLE)]


def _in_seconds(value: object) -> object:
    """Let through what pydantic may read as a time; it would take `"1764000000"`, and milliseconds, as well."""
    if isinstance(value, str) and value[:1] in NUMERIC and value[4:5] != "-":
        raise ValueError("must be an RFC 3339 time or a number of seconds since 1970")
    if isinstance(value, int | float) and abs(value) > LAST_SECOND:
        raise ValueError("must be seconds since 1970, not milliseconds")
    return value


Instant = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_in_seconds)]
"""An RFC 3339 time with its offset, or seconds since 1970 as in JWT claims."""
HashPrefix = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{10,12}$")]
LongText = Annotated[str, StringConstraints(max_length=8192, pattern=PRINTABLE)]


class Outcome(IntEnum):
    """Ordered by severity, so `max()` is the only combinator anyone needs."""

    ALLOW = 0
    STEP_UP = 1
    DENY = 2

    @property
    def word(self) -> "OutcomeWord":
        """The wire word: `allow`, `step_up` or `deny`."""
        return _OUTCOME_WORDS[self]

    @classmethod
    def of(cls, word: str) -> Self:
        """Return the outcome a wire word names; raises KeyError for any other word."""
        return cls[word.upper()]


OutcomeWord = Literal["allow", "step_up", "deny"]
_OUTCOME_WORDS: tuple[OutcomeWord, ...] = ("allow", "step_up", "deny")


class Wire(BaseModel):
    """What every wire type has in common: strict, frozen, no unknown keys, no NaN."""

    # Keys only: values hardly ever come again, and the parser would keep 16,000 of them.
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, cache_strings="keys")


Made = TypeVar("Made", bound=Wire)


def made(model: type[Made], **values: Any) -> Made:  # noqa: ANN401 - the fields of any model
    """Build a wire object from values that riskd computed itself, every field given: nothing is validated again.

    A decision is built of a dozen of these; checking our own numbers would cost a fifth of it. Tests validate what is
    built here against the model.
    """
    new = model.__new__(model)
    _set(new, "__dict__", values)
    _set(new, "__pydantic_fields_set__", values.keys())
    _set(new, "__pydantic_extra__", None)
    _set(new, "__pydantic_private__", None)
    return new


_set = object.__setattr__


class Subject(Wire):
    """Who attempts something."""

    id: Text | None = None
    """The caller's stable id of the account; None for an anonymous attempt (no subject history)."""
    type: ShortText = "user"
    session_id: Text | None = None
    """The caller's id of the login session; stored and recorded only as a keyed hash."""
    account_age_days: Annotated[float, Field(ge=0, le=100_000)] | None = None
    email_domain: Annotated[str, StringConstraints(max_length=253, min_length=1, pattern=PRINTABLE)] | None = None
    acr: Text | None = None
    """Authentication context class that the session holds now (OIDC `acr`)."""
    amr: Annotated[tuple[ShortText, ...], Field(max_length=16, fail_fast=True)] | None = None
    """Authentication methods used (RFC 8176), e.g. `["pwd", "otp"]`."""
    auth_time: Instant | None = None
    """When the subject last actively authenticated (OIDC `auth_time`): seconds since 1970 or an RFC 3339 time."""
    enrolled_factors: Annotated[tuple[ShortText, ...], Field(max_length=32, fail_fast=True)] | None = None
    """Step-up methods the subject has enrolled, e.g. `["webauthn", "totp"]`."""
    leaked_credential: bool | None = None
    """The caller knows that the password used is in a breach corpus, or that it is not."""
    credential_hash_prefix: HashPrefix | None = Field(default=None, repr=False)
    """First 10 to 12 hexadecimal digits of the SHA-1 of the password used, looked up in the policy's
    `lists.leaked_credentials` when `leaked_credential` is not said. 10 digits hit by chance once in 1,100 times among
    a thousand million hashes, and 6,000 passwords of 8 characters share them; 12 digits once in 281,000 times, and 24.
    Kept nowhere."""


class Action(Wire):
    """What is attempted."""

    name: ShortText
    """E.g. `login`, `transfer`, `change_email`; the policy says which class each name belongs to."""
    amount: Annotated[float, Field(ge=0, le=1e15)] | None = None
    """Amount of money in major units of `currency`."""
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    """ISO 4217 code."""
    recipient: Text | None = None
    """Who is paid: an IBAN, account or payee id; stored and recorded only as a keyed hash."""

    @model_validator(mode="after")
    def _amount_has_a_currency(self) -> Self:
        if self.amount is not None and self.currency is None:
            raise ValueError("amount needs a currency (ISO 4217, e.g. EUR)")
        if self.amount == 0 and copysign(1.0, self.amount) < 0:
            raise ValueError("amount must not be negative, minus zero included")
        return self


class Endpoint(Wire):
    """The HTTP endpoint that is called, raw as received: riskd normalises the path itself."""

    path: Annotated[str, StringConstraints(max_length=4096, min_length=1, pattern=PRINTABLE)]
    method: Annotated[str, StringConstraints(max_length=16, pattern=r"^[A-Z]+$")] = "GET"


class Resource(Wire):
    """What the action is on."""

    type: ShortText | None = None
    id: Text | None = None
    endpoint: Endpoint | None = None


class ClientHints(Wire):
    """User-agent client hints, each the raw value of the header it is named after."""

    sec_ch_ua: Annotated[str, StringConstraints(max_length=1024, pattern=PRINTABLE)] | None = None
    sec_ch_ua_full_version_list: Annotated[str, StringConstraints(max_length=1024, pattern=PRINTABLE)] | None = None
    sec_ch_ua_platform: ShortText | None = None
    sec_ch_ua_platform_version: ShortText | None = None
    sec_ch_ua_mobile: Literal["?0", "?1"] | None = None
    sec_ch_ua_model: Annotated[str, StringConstraints(max_length=128, pattern=PRINTABLE)] | None = None


class Screen(Wire):
    """Screen size in CSS pixels."""

    width: Annotated[int, Field(ge=1, le=100_000)]
    height: Annotated[int, Field(ge=1, le=100_000)]


class Place(Wire):
    """Where the caller knows the attempt to come from; stands in for the GeoIP lookup."""

    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    """ISO 3166-1 alpha-2."""
    city: Text | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    accuracy_km: Annotated[float, Field(ge=0, le=20_100)] | None = None
    """Radius around the coordinates that holds the true place; missing means 50 km."""

    @model_validator(mode="after")
    def _coordinates_come_in_pairs(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude come together")
        return self


NetworkKind = Literal["residential", "mobile", "business", "education", "hosting", "vpn", "proxy", "tor", "relay"]


class Network(Wire):
    """What the caller knows of the network; stands in for the ASN and list lookups."""

    asn: Annotated[int, Field(ge=1, le=4_294_967_295)] | None = None
    organization: Text | None = None
    kind: NetworkKind | None = None


MAX_ATTRIBUTES = 64
AttributeValue = Annotated[str, StringConstraints(max_length=1024, pattern=PRINTABLE)] | bool | int | float


class Context(Wire):
    """The circumstances of the attempt."""

    ip: Annotated[str, StringConstraints(max_length=64, min_length=2, pattern=PRINTABLE)] | None = None
    """The client's IPv4 or IPv6 address, without port. IPv4-mapped IPv6 counts as the IPv4 address in it."""
    forwarded_for: Annotated[str, StringConstraints(max_length=4096, pattern=PRINTABLE)] | None = None
    """The X-Forwarded-For header as your server received it; `ip` is then the peer that sent it. Believed only from
    the right and through `RISKD_TRUSTED_PROXIES`: what a client wrote into it itself counts for nothing."""
    user_agent: LongText | None = None
    client_hints: ClientHints | None = None
    device_id: Text | None = None
    """The caller's stable id of the device (cookie, keychain or attestation id)."""
    device_digest: Text | None = None
    """Digest of a device payload that is fresh for each attempt; seen twice from elsewhere, it was replayed."""
    platform: ShortText | None = None
    """What the client itself says it runs on, e.g. `navigator.platform`: `Win32`, `MacIntel`, `iPhone`."""
    screen: Screen | None = None
    accept_language: Annotated[str, StringConstraints(max_length=512, pattern=PRINTABLE)] | None = None
    utc_offset_minutes: Annotated[int, Field(ge=-840, le=840)] | None = None
    """The client's offset from UTC, east positive (JavaScript's getTimezoneOffset with the sign turned)."""
    rtt_ms: Annotated[float, Field(ge=0, le=600_000)] | None = None
    time: Instant | None = None
    """When the attempt happened; missing means now. `/decide` refuses times far from its own clock."""
    place: Place | None = None
    network: Network | None = None
    attributes: Annotated[dict[ShortText, AttributeValue], Field(max_length=MAX_ATTRIBUTES)] | None = None
    """Free facts for custom signals and models: at most 64, each a text of up to 1,024 characters, number or flag."""

    @field_validator("attributes", mode="before")
    @classmethod
    def _few_enough_to_look_at(cls, value: object) -> object:
        # The length of a dict is checked last: 100,000 wrong values would first become 400,000 mistakes.
        if isinstance(value, dict) and len(value) > MAX_ATTRIBUTES:
            raise ValueError(f"at most {MAX_ATTRIBUTES} attributes")
        return value

    @field_validator("attributes")
    @classmethod
    def _numbers_are_bounded(cls, value: dict[str, AttributeValue] | None) -> dict[str, AttributeValue] | None:
        for name, item in (value or {}).items():
            if isinstance(item, int) and abs(item) > 2**53:
                raise ValueError(f"attribute {name!r} is beyond ±2^53")
        return value


class DecisionRequest(Wire):
    """One attempt to be judged. The engine itself takes an unknown IP and an anonymous subject."""

    request_id: Annotated[str, StringConstraints(max_length=128, min_length=1, pattern=r"^[\x21-\x7e]+$")] | None = None
    """The caller's id of this attempt. The same id with the same content gets the same answer and counts nothing; with
    other content it is a conflict (409)."""
    subject: Subject = Subject()
    action: Action
    resource: Resource = Resource()
    context: Context = Context()


class IdentifiedSubject(Subject):
    """A subject with an id, as `/decide` requires it."""

    id: Text


class LocatedContext(Context):
    """A context with an IP, as `/decide` requires it."""

    ip: Annotated[str, StringConstraints(max_length=64, min_length=2, pattern=PRINTABLE)]


class DecideRequest(DecisionRequest):
    """The body of `POST /decide`: subject id, action name and IP are required, all else is optional."""

    subject: IdentifiedSubject
    context: LocatedContext


class DecideBatchRequest(Wire):
    """The body of `POST /decide/batch`: up to 100 attempts, judged in order."""

    requests: Annotated[tuple[DecideRequest, ...], Field(min_length=1, max_length=100, fail_fast=True)]


class Reason(Wire):
    """One hit and what it added."""

    code: str
    """Stable reason code: the name of the signal."""
    text: str
    """The reason in words, for a person."""
    contribution: float
    """Points of the score that this reason brings, 0 to 100; the contributions add up to the score."""
    detail: dict[str, str | float | int | bool | None] = {}
    """What the signal read, e.g. `{"travel_speed_kmh": 2140.0}`; `floor` names an outcome it forced."""


class StepUp(Wire):
    """What a step-up must achieve."""

    level: int
    """Level on the policy's assurance ladder."""
    acr_values: tuple[str, ...]
    """Acceptable `acr` values, preferred first (RFC 9470)."""
    amr_values: tuple[str, ...]
    """Acceptable methods (RFC 8176), preferred first."""
    methods: tuple[str, ...]
    """Step-up methods, best first: ranked by what the subject has enrolled and what the attack looks like."""
    max_age: int
    """Seconds that may lie between the authentication and the retry."""
    expires_at: datetime
    """Until when the step-up is worth completing."""


class Obligation(Wire):
    """What the PEP must do; one it cannot execute means deny (AuthZEN obligations profile)."""

    id: str
    type: str
    properties: dict[str, str | int | list[str]] = {}


class Decision(Wire):
    """What the PEP gets."""

    decision: OutcomeWord
    score: float
    """Risk, 0 to 100, higher is riskier."""
    score_range: tuple[float, float]
    """Where the score would lie were the missing and coarse inputs known; wider with less known."""
    reasons: tuple[Reason, ...]
    """Largest contribution first."""
    step_up: StepUp | None = None
    """Present exactly when `decision` is `step_up`."""
    obligations: tuple[Obligation, ...] = ()
    exempt: tuple[str, ...] = ()
    """Codes of signals that would have hit but count nothing, since an allow list or an exemption lifts them."""
    degraded: tuple[str, ...] = ()
    """Sources that were down or late, and signals that failed; empty when all was well."""
    decision_id: str
    """UUIDv7; names this decision in `/outcome`, `riskd explain` and the record."""
    policy_revision: str
    model_version: str | None
    evaluated_at: datetime


class DecideBatchResponse(Wire):
    """The answer of `POST /decide/batch`: one entry per request, in order."""

    decisions: tuple[Decision, ...]


class Reported(StrEnum):
    """What became of an attempt."""

    LOGIN_SUCCEEDED = "login_succeeded"
    LOGIN_FAILED = "login_failed"
    ACTION_COMPLETED = "action_completed"
    ACTION_FAILED = "action_failed"
    STEP_UP_PASSED = "step_up_passed"
    STEP_UP_FAILED = "step_up_failed"
    STEP_UP_ABANDONED = "step_up_abandoned"
    CONFIRMED_FRAUD = "confirmed_fraud"
    CONFIRMED_LEGITIMATE = "confirmed_legitimate"
    REPORTED_BY_USER = "reported_by_user"


class OutcomeReport(Wire):
    """The body of `POST /outcome`: what became of a decision. Reporting the same outcome twice changes nothing."""

    decision_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    outcome: Reported
    acr: Text | None = None
    amr: Annotated[tuple[ShortText, ...], Field(max_length=16, fail_fast=True)] | None = None
    method: ShortText | None = None
    """The step-up method that was used, e.g. `webauthn`."""
    at: Instant | None = None
    """When it happened; missing means now."""


class OutcomeReceipt(Wire):
    """The answer of `POST /outcome`."""

    decision_id: str
    outcome: Reported
    status: Literal["accepted", "repeated"]
    """`repeated`: this outcome of this decision was known already, nothing changed."""
