"""What a replay found, side by side: what was recorded (`then`) and what would be decided (`now`).

Decisions that cannot be judged again are counted apart and stand in no other number. The log is compared with itself:
every share of *then* and of *now* is over the same decisions, so a change's interval is that of paired shares.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from riskd.contract import Outcome, Reported
from riskd.learn.replay.compare import Example
from riskd.learn.replay.labels import ATTACKS, HONEST
from riskd.learn.replay.tally import DIMENSIONS, MILDER, OUTCOMES, SEVERER, Tally, cell
from riskd.learn.replay.work import NONE, RECORDED, Order
from riskd.learn.share import Change, Share
from riskd.learn.sources import shown
from riskd.policy import Policy
from riskd.policy.load import load

SHOWN_CAUSES = 20
_AS_IT_STOOD = (
    "History and counts are taken as they stood: after another decision people would have gone on otherwise, and what "
    "was confirmed since would differ."
)
_COUNTED_OTHERWISE = (
    "The policies differ in which actions are sensitive or change contact data, a password, a factor or a payee: "
    "bursts and sequences of these were counted by the policy of the day."
)
_LABELS = (
    "Labels are what was reported. A denied attempt has none, and only who was asked can fail a step-up: the recorded "
    "outcome decided what could become known, so read the change, not the level. Attempts of one person or one "
    "attacker are not independent; the intervals take them to be."
)


class Rate(Struct, frozen=True):
    """A share of `of` decisions, with its 95 % interval after Wilson."""

    count: int
    of: int
    share: float
    interval: tuple[float, float]


class Sides(Struct, frozen=True):
    """A share then and now, and the change with its 95 % interval."""

    then: Rate
    now: Rate
    change: float
    change_interval: tuple[float, float]


class Row(Struct, frozen=True):
    """One group of decisions."""

    name: str
    decisions: int
    step_up: Sides
    deny: Sides
    severer: int
    """Decisions whose outcome becomes severer."""
    milder: int


class ReasonRow(Struct, frozen=True):
    """The decisions that one reason stands in: not the same ones then and now."""

    code: str
    then: int
    now: int
    step_up_then: Rate
    step_up_now: Rate
    deny_then: Rate
    deny_now: Rate


class LabelRow(Struct, frozen=True):
    """Decisions of which something became known, and how many of them are stopped: stepped up or denied."""

    label: str
    stopped: Sides


class Subjects(Struct, frozen=True):
    """About how many distinct subjects, by linear counting."""

    all: int
    stopped_then: int
    """Stepped up or denied at least once."""
    stopped_now: int
    newly_hit: int


class Changed(Struct, frozen=True):
    """Decisions whose outcome changes to one side."""

    decisions: int
    causes: tuple[tuple[str, int], ...]
    """What makes them severer, most frequent first; empty for the milder ones."""
    examples: tuple[Example, ...]
    """The largest changes first."""


class ShadowRow(Struct, frozen=True):
    """What a candidate would have decided that was judged beside, as recorded then."""

    name: str
    """Policy and model."""
    decisions: int
    matrix: tuple[tuple[int, ...], ...]
    """Outcome obeyed (rows) by the candidate's (columns), each allow, step_up, deny."""
    severer: int
    """Decisions in which the candidate was severer."""
    milder: int


class WatchedRow(Struct, frozen=True):
    """A signal in shadow."""

    code: str
    hits: int
    outcomes: tuple[int, ...]
    """Its hits by the outcome of the decision: allow, step_up, deny."""


class Report(Struct, frozen=True):
    """All that a replay found."""

    made: datetime
    policy: str
    """File."""
    revision: str
    model: str
    """A version, `recorded` (each decision with the model it was made with) or `none`."""
    log: tuple[str, ...]
    """Folders and files that were named."""
    since: datetime | None
    until: datetime | None
    first: datetime | None
    """When the first and the last decision were made."""
    last: datetime | None
    revisions_then: dict[str, int]
    """Policy revision → decisions made under it."""
    models_then: dict[str, int]
    decisions: int
    outcomes: int
    refused_lines: dict[str, int]
    """Lines of the log that are no record, by reason."""
    judged: int
    not_judgeable: dict[str, int]
    """Why decisions cannot be judged again → how many."""
    identical: int
    """Decisions that come out exactly as recorded: outcome, score, reasons, vector and all."""
    differing: dict[str, int]
    """Field of the record → decisions in which it comes out otherwise."""
    matrix: tuple[tuple[int, ...], ...]
    """Recorded outcome (rows) by outcome now (columns), each allow, step_up, deny."""
    step_up: Sides
    deny: Sides
    degraded: tuple[int, int]
    """Degraded decisions then and now."""
    subjects: Subjects
    newly_hit: Changed
    let_go: Changed
    by: dict[str, tuple[Row, ...]]
    """Dimension → its groups: action, country and device with most decisions first, days in their order."""
    reasons: tuple[ReasonRow, ...]
    shadows: tuple[ShadowRow, ...]
    """Candidates that were judged beside, the most frequent first."""
    watched: tuple[WatchedRow, ...]
    """Signals that were in shadow, the most frequent hits first."""
    scores_then: tuple[int, ...]
    """Decisions by whole points of score, 0 to 100."""
    scores_now: tuple[int, ...]
    catch: Sides
    """Of all attempts labelled an attack, those stopped."""
    friction: Sides
    """Of all attempts labelled honest, those stopped."""
    attacks: tuple[LabelRow, ...]
    honest: tuple[LabelRow, ...]
    notes: tuple[str, ...]
    """What to bear in mind."""


def report_of(
    tally: Tally,
    labels: Mapping[Reported, Sequence[int]],
    subjects: Sequence[int],
    order: Order,
    log: Sequence[str | Path],
    *,
    now: datetime,
) -> Report:
    """Make the report of what was counted; `labels` holds the matrix's cells per label, `subjects` by group."""
    matrix = tally.matrix
    attacks = tuple(LabelRow(label.value, _stopped(labels[label])) for label in ATTACKS)
    honest = tuple(LabelRow(label.value, _stopped(labels[label])) for label in HONEST)
    return Report(
        made=now,
        policy=str(order.policy),
        revision=order.revision,
        model=order.model,
        log=tuple(map(shown, log)),
        since=order.since,
        until=order.until,
        first=tally.first,
        last=tally.last,
        revisions_then=dict(tally.policies.most_common()),
        models_then=dict(tally.models.most_common()),
        decisions=tally.decisions,
        outcomes=tally.outcomes,
        refused_lines=dict(tally.refused.most_common()),
        judged=sum(matrix),
        not_judgeable=dict(tally.not_judgeable.most_common()),
        identical=tally.identical,
        differing=dict(tally.differing.most_common()),
        matrix=_matrix(matrix),
        step_up=_sides(matrix, Outcome.STEP_UP),
        deny=_sides(matrix, Outcome.DENY),
        degraded=(tally.degraded[0], tally.degraded[1]),
        subjects=Subjects(*subjects),
        newly_hit=Changed(
            sum(matrix[at] for at in SEVERER), tuple(tally.causes.most_common(SHOWN_CAUSES)), tuple(tally.hit)
        ),
        let_go=Changed(sum(matrix[at] for at in MILDER), (), tuple(tally.freed)),
        by={dimension: _rows(tally.groups[dimension], in_order=dimension == "day") for dimension in DIMENSIONS},
        reasons=_reasons(tally.reasons),
        shadows=_shadows(tally.shadows),
        watched=tuple(
            WatchedRow(code, sum(counts), tuple(counts))
            for code, counts in sorted(tally.watched.items(), key=lambda item: (-sum(item[1]), item[0]))
        ),
        scores_then=tuple(tally.scores[0]),
        scores_now=tuple(tally.scores[1]),
        catch=_stopped(_sum(labels, ATTACKS)),
        friction=_stopped(_sum(labels, HONEST)),
        attacks=tuple(row for row in attacks if row.stopped.then.of),
        honest=tuple(row for row in honest if row.stopped.then.of),
        notes=_notes(tally, order, has_labels=any(map(any, labels.values()))),
    )


def _matrix(cells: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(cells[cell(then, 0) : cell(then, OUTCOMES)]) for then in range(OUTCOMES))


def _shadows(shadows: Mapping[str, Sequence[int]]) -> tuple[ShadowRow, ...]:
    rows = [
        ShadowRow(
            name=name,
            decisions=sum(cells),
            matrix=_matrix(cells),
            severer=sum(cells[at] for at in SEVERER),
            milder=sum(cells[at] for at in MILDER),
        )
        for name, cells in shadows.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.decisions, row.name)))


def _rate(hits: int, total: int) -> Rate:
    share = Share(hits, total)
    return Rate(hits, total, share.value, share.interval)


def _paired(cells: Sequence[int], then: set[int], now: set[int]) -> Sides:
    """Compare shares over one matrix: `then` and `now` are the outcomes that count."""
    count = {(a, b): cells[cell(a, b)] for a in range(OUTCOMES) for b in range(OUTCOMES)}
    total = sum(cells)
    change = Change(
        gained=sum(n for (a, b), n in count.items() if a not in then and b in now),
        lost=sum(n for (a, b), n in count.items() if a in then and b not in now),
        total=total,
    )
    return Sides(
        then=_rate(sum(n for (a, _), n in count.items() if a in then), total),
        now=_rate(sum(n for (_, b), n in count.items() if b in now), total),
        change=change.value,
        change_interval=change.interval,
    )


def _sides(cells: Sequence[int], outcome: Outcome) -> Sides:
    return _paired(cells, {int(outcome)}, {int(outcome)})


def _stopped(cells: Sequence[int]) -> Sides:
    stopped = {int(Outcome.STEP_UP), int(Outcome.DENY)}
    return _paired(cells, stopped, stopped)


def _sum(labels: Mapping[Reported, Sequence[int]], chosen: Sequence[Reported]) -> list[int]:
    return [sum(column) for column in zip(*(labels[label] for label in chosen), strict=True)]


def _rows(groups: Mapping[str, Sequence[int]], *, in_order: bool) -> tuple[Row, ...]:
    rows = [
        Row(
            name=name,
            decisions=sum(cells),
            step_up=_sides(cells, Outcome.STEP_UP),
            deny=_sides(cells, Outcome.DENY),
            severer=sum(cells[at] for at in SEVERER),
            milder=sum(cells[at] for at in MILDER),
        )
        for name, cells in groups.items()
    ]
    rows.sort(key=lambda row: row.name if in_order else (-row.decisions, row.name))
    return tuple(rows)


def _reasons(reasons: Mapping[str, Sequence[int]]) -> tuple[ReasonRow, ...]:
    rows = []
    for code, counts in reasons.items():
        then, now = counts[:OUTCOMES], counts[OUTCOMES:]
        rows.append(
            ReasonRow(
                code=code,
                then=sum(then),
                now=sum(now),
                step_up_then=_rate(then[Outcome.STEP_UP], sum(then)),
                step_up_now=_rate(now[Outcome.STEP_UP], sum(now)),
                deny_then=_rate(then[Outcome.DENY], sum(then)),
                deny_now=_rate(now[Outcome.DENY], sum(now)),
            )
        )
    return tuple(sorted(rows, key=lambda row: (-max(row.then, row.now), row.code)))


def _notes(tally: Tally, order: Order, *, has_labels: bool) -> tuple[str, ...]:
    notes = [_AS_IT_STOOD]
    policy = load(order.policy)
    if any(_counts(load(path)) != _counts(policy) for path in order.known):
        notes.append(_COUNTED_OTHERWISE)
    if order.model not in {RECORDED, NONE} and set(tally.models) - {order.model}:
        notes.append(f"All decisions are judged with model {order.model}, also those made with another.")
    if has_labels:
        notes.append(_LABELS)
    return tuple(notes)


def _counts(policy: Policy) -> tuple[object, ...]:
    """Return what a policy says that the store counts by."""
    file = policy.file
    actions = {kind: (rules.names, rules.sensitive, rules.change) for kind, rules in file.actions.items()}
    return file.sensitive, actions, [(rule.match, rule.sensitive) for rule in file.resources]
