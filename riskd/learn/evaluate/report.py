"""What an evaluation found: whom decisions trouble and whom they stop, and what the scores behind them are worth.

Friction is the share of honest logins that were stepped up or denied. An attack counts as stopped when it was stepped
up or denied; one of several steps (a takeover, a payment fraud) when any step up to the payout was. Curves judge every
attempt by itself, whatever became of the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from riskd.learn.evaluate.curve import Curve
from riskd.learn.evaluate.importance import Importance
from riskd.learn.evaluate.resample import Estimate
from riskd.learn.evaluate.scan import printable
from riskd.learn.share import Share
from riskd.record.schema import DecisionRecord

_MOST_REASONS = 64


@dataclass(frozen=True, slots=True)
class Group:
    """Attempts that have something in common."""

    name: str
    honest: Share
    """Honest attempts stepped up or denied."""
    attacks: Share
    """Attacks stepped up or denied, attempt by attempt."""
    burden: str
    """`more` or `less` where honest attempts are stopped more or less often than all others together, beyond chance:
    the interval of the difference, over subjects, leaves out 0; `even` where it does not, or where fewer than five
    people were stopped on either side."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a tail probability of the model promises, and what happened."""

    tail: float
    """Promised share of honest attempts at least this odd."""
    observed: Share


@dataclass(frozen=True, slots=True)
class Band:
    """Attempts whose score lies in a band."""

    low: float
    high: float
    """Points, exclusive but for 100."""
    attacks: Share
    """Attacks among them, at the prevalence of the log."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A threshold set on the earlier part of the time, and what it does in the later one."""

    measure: str
    """`score` or `anomaly`."""
    target: float
    """Share of honest attempts that it may stop."""
    threshold: float
    earlier: Share
    later: Share


@dataclass(frozen=True, slots=True)
class Reauthentications:
    """How often honest subjects had to prove themselves again, over the time judged."""

    history: str
    """The most confirmed successes they had before an attempt: a class, or `all`."""
    subjects: int
    median: Estimate
    mean: Estimate
    most: dict[str, int]
    """By share of subjects, `0.9` and so on: that many had at most so many."""
    never: Share
    """Subjects who never had to."""


@dataclass(frozen=True, slots=True)
class Example:
    """One decision that was wrong."""

    decision_id: str
    time: datetime
    kind: str
    action: str
    country: str | None
    device: str | None
    confirmed: int | None
    """Confirmed successes of the subject before; None when the history is not known."""
    outcome: str
    score: float
    anomaly: float | None
    reasons: tuple[tuple[str, float], ...]
    """What spoke against it, and the points that brought."""
    unknown: int
    """Signals that could not tell."""
    evidence_met: bool
    """It was allowed for fresh enough evidence."""
    odd: tuple[tuple[str, float], ...] = ()
    """Features that the model finds oddest, and the powers of ten they add."""

    @classmethod
    def of(cls, record: DecisionRecord, kind: str, odd: tuple[tuple[str, float], ...]) -> "Example":
        """Return the example that a record is."""
        facts = record.facts
        return cls(
            decision_id=printable(record.decision_id),
            time=facts.time,
            kind=kind,
            action=printable(facts.action.name),
            country=printable(facts.place.country or "") or None,
            device=printable(facts.device.family or facts.device.kind or "").replace("|", " ") or None,
            confirmed=None if facts.history is None else facts.history.confirmed,
            outcome=record.outcome,
            score=record.score,
            anomaly=record.anomaly,
            reasons=tuple((printable(code), points) for code, points in record.reasons[:_MOST_REASONS]),
            unknown=len(record.unknown),
            evidence_met=record.evidence_met,
            odd=odd,
        )


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation found."""

    log: tuple[str, ...]
    truth: str
    """Where what is true of the decisions comes from: a file, or `outcomes`."""
    first: datetime
    last: datetime
    """The time judged."""
    decisions: int
    """Decisions judged: those of which something is known."""
    unlabelled: int
    """Decisions of the same time of which nothing is known; they stand in no other number."""
    subjects: int
    """Honest subjects."""
    prevalence: Share
    """Attacks among the decisions judged."""
    honest_logins: Share
    """Honest logins stepped up or denied, mistyped ones included."""
    honest_denied: Share
    """Honest logins denied."""
    honest_actions: Share
    """Honest other actions stepped up or denied."""
    by_history: dict[str, Share]
    """Honest logins stepped up or denied, by confirmed successes before."""
    after_attack: Share
    """Honest logins stepped up or denied on accounts whose password an attacker had used before: there a step-up is
    what one wants, and attacks are far more frequent in a simulation than in life."""
    stopped: dict[str, Share]
    """By kind of attack."""
    let_in: dict[str, Share]
    """Attempts with the right password that were allowed, of all attempts of the kind."""
    degraded: int
    """Decisions made while a source was down."""
    honest_reasons: dict[str, int]
    """Reasons of the honest logins that were stepped up or denied, most frequent first."""
    operating_point: dict[str, Share]
    """What was really decided, over all attempts: `honest` stopped, `attacks` stopped, and each kind."""
    curves: dict[str, tuple[Curve, ...]]
    """By what is thresholded, the `score` or the model's `anomaly` alone: all attacks, then each kind."""
    calibration: tuple[Calibrated, ...]
    bands: tuple[Band, ...]
    transfer: tuple[Transfer, ...]
    groups: dict[str, tuple[Group, ...]]
    """By `history`, `action`, `country` and `device`, the largest first."""
    reauthentications: tuple[Reauthentications, ...]
    importance: tuple[Importance, ...]
    importance_note: str
    """What the importance was measured with, or why it was not."""
    misses: tuple[Example, ...]
    """Attacks that came through."""
    false_alarms: tuple[Example, ...]
    """Honest attempts that were stopped."""
    models: dict[str, int]
    policies: dict[str, int]
    """Decisions of the whole log by model and by policy revision."""
    refused_lines: dict[str, int]
    notes: tuple[str, ...]

    def table(self) -> Table:
        """Return friction and catch as a table for people."""
        said = f"95 % intervals by bootstrap over subjects; prevalence: {100 * self.prevalence.value:.2f} % are attacks"
        table = Table(title=f"{self.decisions:,} decisions", caption=said)
        table.add_column("what")
        table.add_column("share (interval, n)", justify="right")
        table.add_row("honest logins stepped up or denied", str(self.honest_logins))
        for name, share in self.by_history.items():
            table.add_row(f"  with {name} confirmed before", str(share))
        table.add_row("  after an attack on the account", str(self.after_attack))
        table.add_row("honest logins denied", str(self.honest_denied))
        table.add_row("honest actions stepped up or denied", str(self.honest_actions), end_section=True)
        for kind, share in self.stopped.items():
            table.add_row(f"{escape(kind)} stopped", str(share))
        return table

    def to_json(self) -> dict[str, Any]:
        """Return all as plain values, each share and estimate with its interval."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}


def _plain(value: Any) -> Any:  # noqa: ANN401 - a walk over plain values
    if isinstance(value, Share):
        interval = [_finite(bound) for bound in value.interval]
        return {"hits": value.hits, "total": value.total, "share": value.value, "interval": interval}
    if isinstance(value, Estimate):
        return {"value": _finite(value.value), "interval": [_finite(bound) for bound in value.interval]}
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return msgspec.to_builtins(value)


def _finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if value - value == 0 else None
