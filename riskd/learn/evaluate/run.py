"""Evaluates a decision log: one reading for the counts, one for the few decisions that are shown whole.

Between them everything is joined part by part on disk, so memory does not grow with the log.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain, islice, zip_longest
from pathlib import Path

from riskd.anomaly.model import Model
from riskd.errors import ConfigError, ModelError
from riskd.facts import Facts
from riskd.learn.blocks import HERE, Engine, Log
from riskd.learn.evaluate import compute
from riskd.learn.evaluate.gather import Gathered
from riskd.learn.evaluate.importance import LEAST, Importance, importance, vector_of
from riskd.learn.evaluate.labelled import HONEST_KIND, TRUE, Kinds, joined, true_of, truths
from riskd.learn.evaluate.pick import pick
from riskd.learn.evaluate.report import Evaluated, Example
from riskd.learn.evaluate.resample import Resampling
from riskd.learn.evaluate.spill import Spill
from riskd.learn.evaluate.tally import ACTED, DIMENSIONS, HISTORY_CLASSES, SAMPLED, STEP, Ids, Tally
from riskd.learn.replay.labels import ATTACKS
from riskd.learn.simulate.attempt import IN_STEPS, KINDS, MORE_KINDS
from riskd.learn.sources import shown as named
from riskd.learn.sources import sources
from riskd.record.schema import DecisionRecord

_ODDEST = 3
"""Features told of an example."""
FROM_OUTCOMES = "outcomes"
NO_MODEL = "no model was given"


def evaluate(
    log: str | Path | Sequence[str | Path],
    truth: Path | Sequence[Path] | None,
    *,
    since: datetime | None = None,
    last: timedelta | None = None,
    model: Model | None = None,
    model_note: str = NO_MODEL,
    examples: int = 20,
    engine: Engine = HERE,
    tell: Callable[[int], None] = lambda _decisions: None,
) -> Evaluated:
    """Join decision logs with what is true of them; decisions before `since` built up history and are not judged.

    Without `truth`, labels are the outcomes reported in the log. `last` is how long before the newest record to begin,
    instead of `since`. The model tells what its features are worth; why there is none, `model_note` says. `log` are
    folders, files, globs and URIs (`sources`). Raises ConfigError for a log or truth that is missing or damaged, and
    where nothing is known of any decision. Decisions of which nothing is known are counted and left out.
    """
    asked = [log] if isinstance(log, str | Path) else list(log)
    whole = Log(sources(asked))
    files = [truth] if isinstance(truth, Path) else list(truth or ())
    kinds = Kinds()
    with closing(Spill(TRUE, "id")) as told, closing(Gathered()) as gathered:
        for rows in chain.from_iterable(truths(file, kinds) for file in files):
            told.add(rows)
        gathered.read(whole, engine, tell)
        if not gathered.decisions:
            raise ConfigError(f"{', '.join(map(named, asked))}: no decisions; the log must hold some")
        begins = gathered.begins
        if since is not None:
            begins = max(begins, since.timestamp())
        if last is not None:
            begins = max(begins, gathered.newest - last.total_seconds())
        tally = _tally(gathered, told if files else None, kinds, begins, examples)
    if not tally.decisions:
        wants = "none of them is in the truth" if files else "give --truth, or report outcomes"
        raise ConfigError(f"{', '.join(map(named, asked))}: nothing is known of the decisions judged: {wants}")
    shown = _shown(tally, whole, engine, model, model_note)
    return _evaluated(asked, files, gathered, tally, begins, shown)


def _tally(gathered: Gathered, told: Spill | None, kinds: Kinds, begins: float, examples: int) -> Tally:
    if told is None:
        for label in ATTACKS:  # numbered beforehand, so that their order is always the same
            kinds.number(label.value)
    middle = (begins + gathered.ends) / 2
    tally = Tally(kinds.names, gathered.names, begins, middle, examples)
    with closing(Spill(STEP, "sequence")) as steps, closing(Spill(ACTED, "subject")) as acted:
        said = gathered.told.parts() if told is None else told.parts()
        for decided, known, hits in zip(gathered.decided.parts(), said, gathered.hits.parts(), strict=True):
            true = true_of(known, kinds) if told is None else known
            tally.take(decided, joined(decided, true), hits, steps, acted)
        for rows in steps.parts():
            tally.take_steps(rows)
        for rows in acted.parts():
            tally.take_acted(rows)
    return tally


class _Shown:
    """What the second reading brought."""

    def __init__(self, misses: Iterable[Example], false_alarms: Iterable[Example]) -> None:
        self.misses, self.false_alarms = tuple(misses), tuple(false_alarms)
        self.importance: tuple[Importance, ...] = ()
        self.note = NO_MODEL


def _shown(tally: Tally, log: Log, engine: Engine, model: Model | None, model_note: str) -> _Shown:
    missed = _in_turn(tally, tally.misses, tally.examples)
    alarmed = [(number, tally.kinds[HONEST_KIND]) for number in tally.false_alarms.tolist()]
    sample = {} if model is None else tally.sample
    asked, attacked = (
        [number for number, _ in _in_turn(tally, {kind: sample[kind] for kind in kinds}, SAMPLED)]
        for kinds in ([HONEST_KIND] * (HONEST_KIND in sample), [kind for kind in sample if kind != HONEST_KIND])
    )
    found = pick(log, engine, {number for number, _ in (*missed, *alarmed)}.union(asked, attacked))
    shown = _Shown(_examples(missed, found, model), _examples(alarmed, found, model))
    if model is None:
        shown.note = model_note
        return shown
    honest, attacks = ([found[number].facts for number in numbers if number in found] for numbers in (asked, attacked))
    if min(len(honest), len(attacks)) < LEAST:
        shown.note = f"{len(attacks)} attacks and {len(honest)} honest attempts are too few, {LEAST} of each are needed"
        return shown
    shown.note = f"model {model.version}, on {len(honest):,} honest attempts and {len(attacks):,} attacks of all kinds"
    try:
        shown.importance = importance(honest, attacks, model)
    except ModelError as error:
        shown.note = str(error)
    return shown


def _in_turn(tally: Tally, by_kind: Mapping[int, Ids], most: int) -> list[tuple[int, str]]:
    """Return up to so many ids with their kinds; every kind has its turn."""
    each = [[(number, tally.kinds[kind]) for number in ids.tolist()] for kind, ids in sorted(by_kind.items())]
    return list(islice((one for together in zip_longest(*each) for one in together if one is not None), most))


def _examples(
    asked: Sequence[tuple[int, str]], found: dict[int, DecisionRecord], model: Model | None
) -> Iterator[Example]:
    for number, kind in asked:
        record = found.get(number)
        if record is not None:
            yield Example.of(record, kind, () if model is None else _odd(record.facts, model))


def _odd(facts: Facts, model: Model) -> tuple[tuple[str, float], ...]:
    try:
        told = model.explain(vector_of(facts, model))
    except ModelError:
        return ()
    return tuple((name, round(added, 3)) for name, added in told[:_ODDEST] if added > 0)


def _evaluated(
    log: Sequence[str | Path], truth: Sequence[Path], gathered: Gathered, tally: Tally, begins: float, shown: _Shown
) -> Evaluated:
    resampling = Resampling()
    usual = KINDS if truth else ()
    rest = [name for name in tally.kinds[1:] if name not in usual]
    rest.sort(key=lambda name: MORE_KINDS.index(name) if name in MORE_KINDS else len(MORE_KINDS))
    kinds = (*usual, *(kind for kind in rest if tally.share("let_in", kind)[1].any()))
    names = {"history": HISTORY_CLASSES} | gathered.names
    return Evaluated(
        log=tuple(map(named, log)),
        truth=", ".join(map(str, truth)) or FROM_OUTCOMES,
        first=datetime.fromtimestamp(begins, UTC),
        last=datetime.fromtimestamp(gathered.ends, UTC),
        decisions=tally.decisions,
        unlabelled=tally.unlabelled,
        subjects=tally.subjects,
        prevalence=compute.prevalence(tally, resampling),
        honest_logins=resampling.share(*tally.share("honest_logins")),
        honest_denied=resampling.share(*tally.share("honest_denied")),
        honest_actions=resampling.share(*tally.share("honest_actions")),
        by_history={name: resampling.share(*tally.share("by_history", name)) for name in HISTORY_CLASSES},
        after_attack=resampling.share(*tally.share("after_attack")),
        stopped=compute.shares(tally, resampling, "stopped", kinds),
        let_in=compute.shares(tally, resampling, "let_in", kinds),
        degraded=tally.degraded,
        honest_reasons=dict(tally.honest_reasons.most_common()),
        operating_point=compute.operating_point(tally, resampling),
        curves=compute.curves(tally, resampling, kinds),
        calibration=compute.calibration(tally, resampling),
        bands=compute.bands(tally, resampling),
        transfer=compute.transfer(tally, resampling),
        groups={name: compute.groups(tally, resampling, name, names[name]) for name in DIMENSIONS},
        reauthentications=compute.reauthentications(tally, resampling),
        importance=shown.importance,
        importance_note=shown.note,
        misses=shown.misses,
        false_alarms=shown.false_alarms,
        models=dict(gathered.models.most_common()),
        policies=dict(gathered.policies.most_common()),
        refused_lines=dict(gathered.refused),
        notes=tuple(_notes(truth, gathered, tally, kinds)),
    )


def _notes(truth: Sequence[Path], gathered: Gathered, tally: Tally, kinds: Sequence[str]) -> Iterator[str]:
    yield (
        "Intervals are 95 %, by bootstrap over subjects: all that one person does counts together. Where all or "
        "nothing of a share was hit they are Wilson's, over groups of subjects."
    )
    if not truth:
        yield (
            "What is true is taken from reported outcomes. A denied attempt has none, only who was asked can fail a "
            "step-up, and an attack that nobody noticed counts as honest: catch is flattered, read it beside the "
            "policy that decided."
        )
    else:
        yield (
            "Precision and the bands of the score hold at the prevalence of this log; simulations hold far more "
            "attacks than life. ROC, friction and catch do not depend on it."
        )
    if IN_STEPS.intersection(kinds):
        yield (
            f"Of {', '.join(sorted(IN_STEPS.intersection(kinds)))}, an attack of several steps counts as stopped when "
            "any step was; curves and groups judge each attempt by itself."
        )
    if len(gathered.models) > 1 or len(gathered.policies) > 1:
        yield (
            f"The log was made under {len(gathered.policies)} policies and {len(gathered.models)} models, counting "
            "none; scores of different ones are put on one scale here."
        )
    if tally.unlabelled:
        yield f"Of {tally.unlabelled:,} more decisions nothing is known; they stand in no number."
    if gathered.refused:
        told = ", ".join(f"{count:,} {why}" for why, count in gathered.refused.items())
        yield f"Lines that are no record, and files that cannot be read: {told}."
