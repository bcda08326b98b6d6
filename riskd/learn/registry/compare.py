"""Compares a candidate with the current model on the newest part of a log that neither was trained on."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.errors import ConfigError, ModelError
from riskd.features import MODEL_FEATURES
from riskd.learn.registry.gate import Verdict, verdict
from riskd.learn.registry.margins import Margins
from riskd.learn.registry.measure import measure
from riskd.learn.sources import log_sources
from riskd.learn.truth import truths_beside
from riskd.policy import Policy
from riskd.record.reader import ReadReport, read
from riskd.record.schema import DecisionRecord

SHOWN_LOGS: Final = 20


class Compared(Struct, frozen=True, kw_only=True):
    """What a comparison found."""

    current: str | None
    """None: there is none."""
    alone: bool
    """No current model could serve: the candidate is compared with the declared signals alone."""
    candidate: str
    policy: str
    """Revision of the policy that both judge under."""
    log: tuple[str, ...]
    """The first of the folders and files that were named."""
    since: datetime
    """Decisions from here on are judged: neither model was trained on them."""
    until: datetime
    """The last decision."""
    decisions: int
    judged: int
    unanswered: dict[str, int]
    """Why the others could not be judged again → how many."""
    refused_lines: dict[str, int]
    """Lines of the log that are no record, by reason."""
    differing: int
    """Decisions that one model stops and the other lets pass."""
    labels: Literal["truth", "outcomes"]
    """Where it is known from what was an attack: a simulation's truth, or what the log's outcomes say."""
    margins: Margins
    verdict: Verdict
    notes: tuple[str, ...]


def compare(
    models: Path,
    current: str | None,
    candidate: str,
    *,
    log: Sequence[Path],
    truth: Path | None,
    policy: Policy,
    known: Sequence[Policy],
    days: int,
    margins: Margins,
    now: datetime,
    tell: Callable[[int], None] = lambda _decisions: None,
) -> Compared:
    """Judge the newest `days` of a log by both models under a policy, as far as neither was trained on them.

    What the log dates after `now` is left out. `truth` defaults to the truth.jsonl that a simulation left beside its
    log. Raises ModelError for a candidate that does not load, ConfigError for a log with nothing newer than the models,
    or none at all.
    """
    challenger = load_model(models, MODEL_FEATURES, candidate)
    holder, notes = _current(models, current)
    sources = log_sources(log)
    trained_until = [model.manifest.trained_until for model in (holder, challenger) if model is not None]
    since, until = _held_out(sources, max(trained_until), days, now)
    if truth is None:
        truth = next(iter(truths_beside(log)), None)
    report = ReadReport()
    found = measure(
        sources, truth, policy, (holder, challenger), since=since, until=now, known=known, report=report, tell=tell
    )
    if not found.judged:
        why = "; ".join(f"{count:,} {reason}" for reason, count in found.unanswered.most_common(3))
        raise ConfigError(f"none of {found.decisions:,} decisions can be judged again under this policy: {why}")
    return Compared(
        current=current,
        alone=holder is None,
        candidate=candidate,
        policy=policy.revision,
        log=tuple(str(path) for path in log[:SHOWN_LOGS]),
        since=since,
        until=until,
        decisions=found.decisions,
        judged=found.judged,
        unanswered=dict(found.unanswered.most_common()),
        refused_lines=dict(report.refused.most_common()),
        differing=found.differing,
        labels="outcomes" if truth is None else "truth",
        margins=margins,
        verdict=verdict(found, margins),
        notes=tuple(notes),
    )


def _current(models: Path, current: str | None) -> tuple[Model | None, list[str]]:
    """Load the current model; where there is none that serves, the candidate must be better than none."""
    if current is None:
        return None, ["There is no current model: the candidate is compared with the declared signals alone."]
    try:
        return load_model(models, MODEL_FEATURES, current), []
    except ModelError as error:
        return None, [f"The current model cannot serve ({error}): compared with the declared signals alone."]


def _held_out(sources: Sequence[Path], trained_until: datetime, days: int, now: datetime) -> tuple[datetime, datetime]:
    """Return when the slice begins and the time of the last decision in it; what lies in the future is no decision."""
    begins = trained_until + timedelta(microseconds=1)
    last: datetime | None = None
    for record in read(sources, since=begins, until=now):
        if isinstance(record, DecisionRecord):
            last = record.when
    if last is None:
        raise ConfigError(
            f"the log holds no decision after {trained_until:%Y-%m-%d %H:%M} UTC, until when these models were "
            "trained, and on what a model was trained it always looks good: give newer logs"
        )
    return max(begins, last - timedelta(days=days)), last
