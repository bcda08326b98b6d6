"""What a file of cases holds: a user's own attempts, what came before them, and what the policy should say.

Durations are written as in a policy: `30s`, `5m`, `12h`, `7d`, or a number of seconds.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from riskd.contract import OutcomeWord, ShortText, Text
from riskd.policy.section import Duration, Percent, Section

MAX_CASES: Final = 1000
MAX_STEPS: Final = 32
MAX_TIMES: Final = 1000
USUAL_TIME: Final = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
"""When a case happens that does not say: always the same Monday noon, so that no case fails because time passed."""

Time = Annotated[
    AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2100, 1, 1, tzinfo=UTC), strict=False)
]
"""An RFC 3339 time with its offset."""
Times = Annotated[int, Field(ge=1, le=MAX_TIMES)]
Part = dict[str, Any] | None
"""One group of a request, checked when the request is whole; null takes the group away."""


def _may_differ(what: str) -> str:
    if what not in DIFFERENT and not what.startswith("attributes."):
        raise ValueError(f"must be one of {', '.join(DIFFERENT)}, attributes.<name>")
    return what


DIFFERENT: Final = ("subject", "ip", "device", "session", "recipient")
Different = Annotated[ShortText, AfterValidator(_may_differ)]

OUTCOMES: Final = ("confirmed", "failed", "tried", "reported", "fraud", "legitimate")
"""What may have become of attempts before; each is a key whose value says how many."""
REQUEST: Final = "request"
"""What a step of a history is like that repeats the case's own request."""
PARTS: Final = ("request_id", "subject", "action", "resource", "context")


class Attempt(Section):
    """A request as `POST /decide` takes it, or what differs in it from another."""

    like: ShortText | None = None
    """Name of the attempt under `attempts` that it is like but for what stands here; null here takes a field away."""
    request_id: str | None = None
    """Of the case's own request only: attempts before it have none."""
    subject: Part = None
    """`auth_time` may be written `20s ago`, as may `time` in the context."""
    action: Part = None
    resource: Part = None
    context: Part = None
    """Tell `place` and `network` here and no database is asked."""

    def own(self) -> dict[str, Any]:
        """Return what stands here of the request."""
        return {part: getattr(self, part) for part in PARTS if part in self.model_fields_set}


class Step(Attempt):
    """Attempts that came before, `like` one of the file's attempts, or `like: request`, the case's own."""

    confirmed: Times | None = None
    """So many were let in and succeeded, after a step-up where one was asked for: they are habits now."""
    failed: Times | None = None
    """So many failed: a wrong password, a step-up not passed."""
    tried: Times | None = None
    """So many were judged, and nothing more is known of them."""
    reported: Times | None = None
    """So many were reported by the subject: that was not me."""
    fraud: Times | None = None
    """So many turned out to be fraud."""
    legitimate: Times | None = None
    """So many were vouched for by an investigation."""
    ago: Duration | None = None
    """How long before the case the last of them was; with `every` it is as long as that, unless said."""
    every: Duration | None = None
    """Time from one to the next."""
    within: Duration | None = None
    """They are spread evenly over so long a time, which ends `ago`, or with the case."""
    different: tuple[Different, ...] = ()
    """What each of them has of its own: subject, ip, device, session, recipient or `attributes.<name>`, numbered."""

    @model_validator(mode="after")
    def _says_what_and_when(self) -> Self:
        if not self.like and not self.own():
            raise ValueError(f"say what they were like: an attempt's name, or {REQUEST}, the case's own")
        if sum(getattr(self, outcome) is not None for outcome in OUTCOMES) != 1:
            raise ValueError(f"say what became of them by one of {', '.join(OUTCOMES)}, and how many they were")
        if self.every is not None and self.within is not None:
            raise ValueError("every and within both say how they are spread: choose one")
        if self.ago is None and self.every is None and self.within is None:
            raise ValueError("say when: ago, every or within")
        return self

    @property
    def outcome(self) -> str:
        """What became of them: a word of OUTCOMES."""
        return next(outcome for outcome in OUTCOMES if getattr(self, outcome) is not None)

    @property
    def times(self) -> int:
        """How many they were."""
        times: int = getattr(self, self.outcome)
        return times


class WantedStepUp(Section):
    """What the step-up must be in these respects; lists in the order of the answer."""

    level: int | None = None
    acr_values: tuple[Text, ...] | None = None
    amr_values: tuple[Text, ...] | None = None
    methods: tuple[Text, ...] | None = None
    max_age: Duration | None = None


class Bounds(Section):
    """Between what the score must be, both included."""

    min: Percent = 0
    max: Percent = 100

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min ({self.min:g}) must not exceed max ({self.max:g})")
        return self


class Expectation(Section):
    """What must come out; what is not said may be anything."""

    decision: OutcomeWord | None = None
    reasons: tuple[Text, ...] = ()
    """These are among the reasons."""
    not_reasons: tuple[Text, ...] = ()
    """These are not."""
    step_up: WantedStepUp | None = None
    obligations: tuple[Text, ...] = ()
    """Ids of these are among the obligations."""
    degraded: tuple[Text, ...] | None = None
    """Exactly these sources were down; `[]` for none."""
    score: Bounds | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("expects nothing; say the decision at least")
        return self


class Case(Section):
    """One story: what came before, the attempt, what the policy should say."""

    name: Text
    """What it is about, in a sentence; no two cases of a file have the same."""
    at: Time | None = None
    """When it happens; else as the file says."""
    history: Annotated[tuple[Step, ...], Field(max_length=MAX_STEPS)] = ()
    down: tuple[Literal["store", "model"], ...] = ()
    """What is out of order when the request comes; the history was made before."""
    request: Attempt
    expect: Expectation


class CaseFile(Section):
    """A file of cases."""

    at: Time = USUAL_TIME
    """When the cases happen."""
    attempts: Annotated[dict[ShortText, Attempt], Field(max_length=MAX_CASES)] = Field(default_factory=dict)
    """Attempts to be like, by name; `request` is none, for it means the case's own."""
    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=MAX_CASES)]


__all__ = ["MAX_CASES", "OUTCOMES", "Attempt", "Bounds", "Case", "CaseFile", "Expectation", "Step", "WantedStepUp"]
