"""How good decisions are, where the truth is known: whom they trouble and whom they stop.

Friction is the share of honest logins that were stepped up or denied. An attack counts as stopped when it was stepped
up or denied; one of several steps (a takeover, a payment fraud) when any step up to the payout was. Every share comes
with its 95 % interval (Wilson 1927), taken over attempts or, for attacks in steps, over victims.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from riskd.errors import ConfigError
from riskd.learn.share import Share
from riskd.learn.simulate.attempt import HONEST, KINDS, LOGIN
from riskd.learn.simulate.run import Truth
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord

_IN_STEPS = frozenset({"payment_fraud", "takeover"})
HISTORY_CLASSES = ("0", "1-4", "5+")
"""Confirmed successes before the attempt."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation found."""

    decisions: int
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

    def table(self) -> Table:
        """Return all as a table for people."""
        table = Table(title=f"{self.decisions:,} decisions", caption="95 % intervals after Wilson")
        table.add_column("what")
        table.add_column("share (interval, n)", justify="right")
        table.add_row("honest logins stepped up or denied", str(self.honest_logins))
        for name, share in self.by_history.items():
            table.add_row(f"  with {name} confirmed before", str(share))
        table.add_row("  after an attack on the account", str(self.after_attack))
        table.add_row("honest logins denied", str(self.honest_denied))
        table.add_row("honest actions stepped up or denied", str(self.honest_actions), end_section=True)
        for kind, share in self.stopped.items():
            table.add_row(f"{kind} stopped", str(share))
        return table

    def to_json(self) -> dict[str, Any]:
        """Return all as plain values, each share with value and interval."""
        return {name: _plain(value) for name, value in _fields(self).items()}


def evaluate(log: Path, truth: Path, *, since: datetime | None = None) -> Evaluated:
    """Join a decision log with its truth; decisions before `since` built up history and are not judged.

    Raises ConfigError for a truth file that is missing or damaged. Decisions without a truth are left out.
    """
    known = {line.decision_id: line for line in _truths(truth)}
    counts: Counter[tuple[str, ...]] = Counter()
    victims: dict[tuple[str, str], bool] = {}
    reasons: Counter[str] = Counter()
    attacked: set[str | None] = set()
    for record in read(log):
        if not isinstance(record, DecisionRecord) or record.decision_id not in known:
            continue
        line = known[record.decision_id]
        if line.label != HONEST and line.password_right:
            attacked.add(record.facts.subject.token)
        if since is not None and record.when < since:
            continue
        stopped = record.outcome != "allow"
        counts["decisions",] += 1
        counts["degraded",] += bool(record.degraded)
        if line.label != HONEST:
            counts["attempt", line.label] += 1
            counts["stopped", line.label] += stopped
            counts["let_in", line.label] += not stopped and line.password_right
            if line.label in _IN_STEPS and line.sequence is not None:
                victim = (line.label, line.sequence)
                victims[victim] = victims.get(victim, False) or stopped
        elif record.facts.action.name == LOGIN:
            group = _history_class(record)
            counts["login", group] += 1
            counts["login_stopped", group] += stopped
            counts["login_denied",] += record.outcome == "deny"
            if record.facts.subject.token in attacked:
                counts["after_attack",] += 1
                counts["after_attack_stopped",] += stopped
            if stopped:
                reasons.update(code for code, _ in record.reasons)
        else:
            counts["action",] += 1
            counts["action_stopped",] += stopped
    return _evaluated(counts, victims, reasons)


def _evaluated(
    counts: Counter[tuple[str, ...]], victims: dict[tuple[str, str], bool], reasons: Counter[str]
) -> Evaluated:
    by_history = {name: Share(counts["login_stopped", name], counts["login", name]) for name in HISTORY_CLASSES}
    logins = sum(share.total for share in by_history.values())
    stopped = {kind: Share(counts["stopped", kind], counts["attempt", kind]) for kind in KINDS}
    for kind in _IN_STEPS:
        ends = [end for (label, _), end in victims.items() if label == kind]
        stopped[kind] = Share(sum(ends), len(ends))
    return Evaluated(
        decisions=counts["decisions",],
        honest_logins=Share(sum(share.hits for share in by_history.values()), logins),
        honest_denied=Share(counts["login_denied",], logins),
        honest_actions=Share(counts["action_stopped",], counts["action",]),
        by_history=by_history,
        after_attack=Share(counts["after_attack_stopped",], counts["after_attack",]),
        stopped=stopped,
        let_in={kind: Share(counts["let_in", kind], counts["attempt", kind]) for kind in KINDS},
        degraded=counts["degraded",],
        honest_reasons=dict(reasons.most_common()),
    )


def _history_class(record: DecisionRecord) -> str:
    confirmed = 0 if record.facts.history is None else record.facts.history.confirmed
    return HISTORY_CLASSES[(confirmed > 0) + (confirmed > 4)]


def _truths(path: Path) -> Iterator[Truth]:
    decoder = msgspec.json.Decoder(Truth)
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise ConfigError(f"{path}: line {number}: no line of truth: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error


def _fields(result: Evaluated) -> dict[str, Any]:
    return {name: getattr(result, name) for name in result.__slots__}


def _plain(value: Any) -> Any:  # noqa: ANN401 - a walk over plain values
    if isinstance(value, Share):
        return asdict(value) | {"share": value.value, "interval": list(value.interval)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
