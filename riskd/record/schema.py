"""The decision record: one JSON line per decision and per outcome.

A decision's line holds all that a later policy or model needs to judge the attempt again: facts and vector come back
bit for bit (floats are written in their shortest exact form; a vector holds finite numbers and None only). Every line
names its schema version `v`; this release reads and writes version 1 and refuses every other.

Optional fields at their default are left out of the line. A decision takes 1 to 3 KB; none takes more than
`MAX_LINE` bytes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from riskd.contract import OutcomeWord, Reported
from riskd.facts import Facts

VERSION: Literal[1] = 1
MAX_LINE = 65_536
"""Bytes of the longest line that is written or read, newline included."""

Id = Annotated[str, Meta(max_length=64)]
Instant = Annotated[datetime, Meta(tz=True)]


def _version() -> Literal[1]:
    return VERSION


class Recorded(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="record"):
    """What every record has in common."""

    # A factory, because `omit_defaults` would leave a plain default out of the line.
    v: Literal[1] = field(default_factory=_version)
    decision_id: Id
    """UUIDv7; its time is when the decision was made."""


class ShadowRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a candidate would have decided on the same facts; all else follows from them, as for the decision."""

    policy_revision: str
    model_version: str | None = None
    outcome: OutcomeWord
    score: float
    """0 to 100."""
    new: tuple[str, ...] = ()
    """Codes that hit here, and not in the decision."""
    gone: tuple[str, ...] = ()
    """Codes that hit in the decision, and not here."""
    errors: tuple[str, ...] = ()
    """Signals that failed here."""


class DecisionRecord(Recorded, frozen=True, kw_only=True, omit_defaults=True, tag="decision"):
    """One decision, with what it was made from."""

    evaluated_at: Instant
    """When it was judged, aware UTC; `facts.time` is when the attempt happened."""
    request_id: str | None = None
    """Keyed hash of the caller's request id."""
    caller: str | None = None
    """Name of the API key that asked."""
    facts: Facts
    vector: tuple[float | None, ...]
    """The features in the order of `feature_schema`; None is unknown."""
    feature_schema: str
    """Hash of the features' names and order."""
    catalogue: str
    """Revision of the signal catalogue: a signal in none of the next four fields was clear."""
    hits: dict[str, float] = {}
    """Reason code → strength 0..1 of each signal that hit."""
    exempt: tuple[str, ...] = ()
    """Signals that would have hit, and counted nothing: an allow list or an exemption lifted them."""
    unknown: tuple[str, ...] = ()
    """Signals that could not tell, because a feature they read was None."""
    errors: tuple[str, ...] = ()
    """Signals that failed."""
    anomaly: float | None = None
    """The model's 0..1; None without a model."""
    score: float
    """0 to 100."""
    score_range: tuple[float, float]
    outcome: OutcomeWord
    reasons: tuple[tuple[str, float], ...] = ()
    """Reason code and the points it brought, largest first."""
    step_up: int | None = None
    """Level of the step-up that was asked for; None for allow and deny."""
    evidence_met: bool = False
    """Fresh enough evidence lowered a step-up to allow."""
    degraded: tuple[str, ...] = ()
    policy_revision: str
    model_version: str | None = None
    shadow: ShadowRecord | None = None
    """What was judged beside; None where nothing was, or it failed."""
    shadow_hits: dict[str, float] = {}
    """Reason code → strength of each signal in shadow that hit: it counted nothing."""
    sources: dict[str, str] = {}
    """Data source → version of the databases and lists the facts were looked up in."""

    @property
    def when(self) -> datetime:
        """The time this record is filed under."""
        return self.evaluated_at


class OutcomeRecord(Recorded, frozen=True, kw_only=True, omit_defaults=True, tag="outcome"):
    """What became of a decision: the label that training and tuning learn from."""

    recorded_at: Instant
    """When riskd learnt of it, aware UTC; what the record is filed under."""
    at: Instant
    """When it happened, aware UTC."""
    subject: str | None = None
    """Token of the subject."""
    outcome: Reported
    source: Literal["reported", "evidence", "matured"]
    """A caller said so · a retry's verified evidence met the step-up · the policy's time passed without a report."""
    decided: OutcomeWord | None = None
    """What the decision was; None when it is no longer known."""
    confirms: bool = False
    """Device, place, network, amount and recipient of the attempt became known by it."""
    acr: str | None = None
    amr: tuple[str, ...] | None = None
    method: str | None = None
    caller: str | None = None

    @property
    def when(self) -> datetime:
        """The time this record is filed under."""
        return self.recorded_at


Record = DecisionRecord | OutcomeRecord

_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""Record → JSON bytes without newline; raises UnicodeEncodeError for a lone surrogate."""
encode_lines = _encoder.encode_lines
"""Records → their lines, each with its newline; raises as `encode` does."""

_decode = msgspec.json.Decoder(Record).decode


class _Envelope(Struct):
    v: int


# Not JSON or another shape · bytes that are no UTF-8 · nested deeper than the stack.
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)

_decode_envelope = msgspec.json.Decoder(_Envelope).decode


class LineError(ValueError):
    """A line that is no record; `reason` is one of a few fixed words."""

    def __init__(self, reason: Literal["too_long", "version", "damaged"], detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}" if detail else reason)


def decode(line: bytes) -> Record:
    """Return the record on a line; raises LineError for anything else, however hostile."""
    if len(line) > MAX_LINE:
        raise LineError("too_long")
    try:
        record: Record = _decode(line)
    except _UNREADABLE as failure:
        raise LineError(_why(line), str(failure)) from None
    if type(record) is DecisionRecord and record.facts.time.tzinfo is None:
        raise LineError("damaged", "facts.time has no offset")
    return record


def decode_all(lines: Iterable[bytes], refused: Counter[str]) -> Iterator[Record]:
    """Yield the records of lines; those that are none are counted by reason."""
    for line in lines:
        try:
            yield decode(line)
        except LineError as failure:
            refused[failure.reason] += 1


def _why(line: bytes) -> Literal["version", "damaged"]:
    try:
        return "damaged" if _decode_envelope(line).v == VERSION else "version"
    except _UNREADABLE:
        return "damaged"
