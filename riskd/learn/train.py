"""From a decision log to a model on disk: trusted rows, population tables, forest, calibration, manifest.

Vectors are computed anew from the recorded facts with the new population tables, so a log of any earlier model will do.
The later slice of the time calibrates what the earlier slice taught, never rows drawn at random: the world moves, and a
quantile read on the rows that trained the forest would flatter it. The log is read once, file by file; memory holds the
sample and no more.
"""

import platform
import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np
import numpy.typing as npt

from riskd.anomaly.artifact import FORMAT, Head, Manifest, ReadFile, Training, digest_of
from riskd.errors import ModelError
from riskd.features import MODEL_FEATURES, schema_hash
from riskd.features.declared import AmountInput, AttributeInput, HourInput, VelocityInput
from riskd.features.population import Population
from riskd.learn.blocks import HERE, Engine, Log
from riskd.learn.calibrate import LEAST_ROWS, calibrate
from riskd.learn.contest import Result, contest, metrics
from riskd.learn.declared import Declared
from riskd.learn.export import export_forest, largest_difference
from riskd.learn.forest import fit_forest
from riskd.learn.head import with_head
from riskd.learn.join import Later, Said, join
from riskd.learn.labelled import LabelledSample
from riskd.learn.likelihood import learn_population
from riskd.learn.publish import UNNAMED, named, publish
from riskd.learn.rivals import Ecod, Hbos
from riskd.learn.rows import FEWEST, MATURITY, SAMPLE, SHARE, Trusted, TrustedSample
from riskd.learn.sift import Kinds
from riskd.learn.sources import shown, sources
from riskd.learn.supervise import Supervised, supervise
from riskd.learn.vectors import vectors

CALIBRATION_SHARE = 0.25
"""The latest share of the time, held out of the forest."""
_FEWEST_HELD_OUT, _MOST_HELD_OUT = 0.15, 0.4
"""Shares of the rows that this time may hold; where it holds fewer or more, it is another share of the time, and at
last one of the rows."""
_CHECKED_ROWS = 8192
_NAMED_FILES = 1000
"""Files that a manifest names; of more it keeps the number and one digest."""
_NO_HEAD = Supervised("a simulation's labels say how its attackers were written, not how yours behave")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading of a log is."""

    done: int
    """Bytes of the files that were read whole."""
    total: int
    """Bytes of all files."""
    records: int


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training made."""

    version: str
    folder: Path
    decisions: int
    """Decisions read from the log."""
    refused_lines: int
    """Lines of the log that could not be read."""
    rows: int
    """Honest rows the forest was fitted on."""
    calibration_rows: int
    metrics: dict[str, float]
    training: Training
    """As it stands in the manifest."""
    contest: list[Result]
    """How the forest did beside simple rivals, the forest first."""
    no_head: str | None
    """Why there is no supervised head; None when there is one."""
    reads: tuple[str, ...]
    """What the head reads beside the features, as expressions of a policy call it."""
    kept: bool
    """Whether this very model lay there before, and was kept."""


def train(
    log: str | Path | Sequence[str | Path],
    models: Path,
    *,
    now: datetime,
    source: str,
    native: bool = True,
    seed: int = 1,
    trees: int = 100,
    samples: int = 256,
    since: datetime | None = None,
    until: datetime | None = None,
    maturity: timedelta = MATURITY,
    kinds: Kinds | None = None,
    declared: Declared | None = None,
    supervised: bool | None = None,
    engine: Engine = HERE,
    tell: Callable[[Progress], None] = lambda _progress: None,
) -> Trained:
    """Train on the log's decisions from `since` to `until` and put the result into `models`.

    `log` are folders, files, globs and URIs. `source` says in words where it came from, `native` whether it is this
    deployment's own traffic and no simulation; `samples` is how many rows each tree sees; decisions younger than
    `maturity` at the end of the log teach nothing, outcomes count to its very end. `kinds` are the attacks among the
    decisions, where that is known: they are measured on, and not left out.

    Where the log holds enough labels a supervised head is fitted, unless `supervised` is False: the default for a
    simulation, whose labels say how its attackers were written. It may read what is `declared` by the policy,
    where that holds.

    Raises ConfigError for a log that is not there, ModelError when it holds too few trusted attempts or the artifact
    would not equal what was fitted.
    """
    asked = [log] if isinstance(log, str | Path) else log
    whole_log = Log(sources(asked))
    sample = TrustedSample(maturity=maturity, now=now, since=since, until=until, kinds=kinds)
    labels = LabelledSample()
    files, refused = _read(whole_log, engine, sample, labels, tell)
    rows = sample.rows()
    if len(rows) * CALIBRATION_SHARE < LEAST_ROWS:
        raise ModelError(_too_few(asked, len(rows), sample, refused, maturity))
    split = _split(rows, *sample.span())
    facts = [row.facts for row in rows]
    population = learn_population(facts, split, native=native, seed=seed)
    matrix = vectors(facts, population)
    fitted, held_out = matrix[:split], matrix[split:]
    ranks = np.array([row.rank for row in rows[:split]], dtype=np.uint64)
    forest = fit_forest(fitted, ranks, trees=trees, samples=samples, seed=seed)
    raw = export_forest(forest, matrix[:_CHECKED_ROWS])
    difference = largest_difference(forest, raw, held_out[-_CHECKED_ROWS:])
    scores = -forest.score_samples(held_out)
    curve = calibrate(scores)
    taught = _NO_HEAD
    if native if supervised is None else supervised:
        known = declared or Declared({}, ())
        taught = _supervised(labels, whole_log, engine, sample, population, known, cut=rows[split].when, seed=seed)
    whole = taught.inputs(facts, matrix)
    if taught.head is not None:
        raw = with_head(raw, taught.head, whole[:_CHECKED_ROWS])
    margins = None if taught.head is None else taught.head.margins(whole[split:])
    later = None
    if (told := taught.later) is not None:
        said = Said(told.vectors, -forest.score_samples(told.vectors), told.margins)
        later = Later(said, told.attack, told.weight)
    joined = join(Said(held_out, scores, margins), curve, later) if native or margins is not None else None
    attacks = [(kind, row.facts) for kind, row in sample.attacks() if row.when >= rows[split].when]
    results = contest(
        {"forest": lambda x: -forest.score_samples(x), "ecod": Ecod(fitted).scores, "hbos": Hbos(fitted).scores},
        _honest(held_out, rows[split:], kinds),
        vectors([attempt for _, attempt in attacks], population),
        [kind for kind, _ in attacks],
    )
    measured = (
        {
            "largest_difference_from_scikit_learn": difference,
            "calibration_rows": float(len(held_out)),
            "unknown_share": float(np.isnan(matrix).mean()),
            "raw_score_median": statistics.median(scores.tolist()),
            "raw_score_99": float(np.quantile(scores, 0.99)),
        }
        | metrics(results)
        | taught.metrics
    )
    options = {
        "trees": trees, "samples": samples, "seed": seed, "maturity_days": maturity / timedelta(days=1),
        "since": None if since is None else since.isoformat(), "until": None if until is None else until.isoformat(),
        "sample": SAMPLE, "calibration_share": CALIBRATION_SHARE, "native": native, "truth": kinds is not None,
    } | {f"fewest_per_{name}": most for name, most in FEWEST.items()} | {
        f"share_per_{name}": share for name, share in SHARE.items()
    }  # fmt: skip
    training = Training(
        options=options,
        files=tuple(files[:_NAMED_FILES]),
        file_count=len(files),
        sha256=sha256("".join(file.sha256 for file in files).encode()).hexdigest(),
        decisions=sample.decisions,
        outcomes=sample.outcomes,
        refused=dict(refused),
        left_out={why: count for why, count in sample.left_out.items() if count},
        attacks=len(attacks),
        fitted_until=rows[split].when,
    )
    digest = digest_of(raw)
    manifest = Manifest(
        format=FORMAT,
        version=UNNAMED,
        created=now,
        features=MODEL_FEATURES,
        feature_schema=schema_hash(MODEL_FEATURES),
        versions={"python": platform.python_version()}
        | {name: version_of(name) for name in ("riskd", "scikit-learn", "onnx", "numpy")},
        trained_from=rows[0].when,
        trained_until=rows[-1].when,
        rows=split,
        seed=seed,
        trees=trees,
        metrics=measured,
        source=source,
        sha256=digest,
        background=_medians(fitted),
        calibration=curve,
        population=population,
        joined=joined,
        amount=next((one for one in taught.declared if isinstance(one, AmountInput)), None),
        hour=next((one for one in taught.declared if isinstance(one, HourInput)), None),
        velocities=tuple(one for one in taught.declared if isinstance(one, VelocityInput)),
        attributes=tuple(one for one in taught.declared if isinstance(one, AttributeInput)),
        head=None if taught.head is None else Head(honest=taught.head.honest, attacks=taught.head.attacks),
        training=training,
    )
    manifest = named(manifest)
    kept = (models / manifest.version).exists()
    folder = publish(models, raw, manifest)
    return Trained(
        manifest.version, folder, sample.decisions, refused.total(), split, len(held_out), measured, training, results,
        taught.reason, tuple(one.label for one in taught.declared), kept,
    )  # fmt: skip


def _read(
    log: Log, engine: Engine, sample: TrustedSample, labels: LabelledSample, tell: Callable[[Progress], None]
) -> tuple[list[ReadFile], Counter[str]]:
    """Read the log into the samples; return its files as the manifest names them, and what was refused by reason."""
    sizes = [file.size for file in log.files]
    records, total, read, at, done = [0] * len(sizes), sum(sizes), 0, 0, 0
    refused: Counter[str] = Counter()
    for number, sifted in engine.over(log, sample.sift):
        sample.add(sifted)
        labels.hear(sifted.told)
        refused.update(sifted.refused)
        records[number] += sifted.records
        read += sifted.records
        done, at = done + sum(sizes[at:number]), number
        tell(Progress(done, total, read))
    tell(Progress(total, total, read))
    refused.update(log.refused)
    files = [
        ReadFile(name=file.name, records=count, sha256=file.sha256)
        for file, count in zip(log.read, records, strict=True)
    ]
    return files, refused


def _supervised(
    labels: LabelledSample,
    log: Log,
    engine: Engine,
    sample: TrustedSample,
    population: Population,
    declared: Declared,
    *,
    cut: datetime,
    seed: int,
) -> Supervised:
    """Read the log once more for what the labels are about, if there are enough of them."""
    reason = labels.too_few()
    if reason is not None:
        return Supervised(reason)
    for _, found in engine.over(log, labels.find(*sample.span())):
        labels.take(found)
    return supervise(labels, population, declared, cut=cut, seed=seed)


def _split(rows: Sequence[Trusted], begin: datetime, end: datetime) -> int:
    """Return how many of the rows, in the order of time, are fitted.

    The cut is one of the clock where it can be, a share of the time that teaches: a cut at a share of the rows moves
    when somebody adds some of his, and takes others' rows with it.
    """
    for share in (CALIBRATION_SHARE, 0.3, 0.35, 0.2, 0.4):
        split = bisect_left(rows, begin + (end - begin) * (1 - share), key=lambda row: row.when)
        held_out = len(rows) - split
        if held_out >= LEAST_ROWS and _FEWEST_HELD_OUT <= held_out / len(rows) <= _MOST_HELD_OUT:
            return split
    return round(len(rows) * (1 - CALIBRATION_SHARE))


def _honest(held_out: npt.NDArray[np.float32], rows: Sequence[Trusted], kinds: Kinds | None) -> npt.NDArray[np.float32]:
    """Leave out what is known to be an attack: it is trusted by mistake, and is no false alarm."""
    return held_out if kinds is None else held_out[[kinds.of(row.rank) is None for row in rows]]


def _too_few(
    asked: Sequence[str | Path], rows: int, sample: TrustedSample, refused: Counter[str], maturity: timedelta
) -> str:
    least = round(LEAST_ROWS / CALIBRATION_SHARE)
    why = ", ".join(f"{count:,} {reason}" for reason, count in sample.left_out.items() if count)
    lines = ", ".join(f"{count:,} {reason}" for reason, count in refused.items())
    way_out = "a longer log"
    if sample.left_out["too young"]:
        way_out += f", or --mature-days below {maturity / timedelta(days=1):g} if reports come in faster"
    return (
        f"{', '.join(map(shown, asked))}: {rows} trusted attempts of {sample.decisions:,} decisions"
        f"{f' ({why})' if why else ''}{f', lines refused: {lines}' if lines else ''}; "
        f"at least {least:,} are needed: {way_out}"
    )


def _medians(matrix: npt.NDArray[np.float32]) -> tuple[float | None, ...]:
    """Median of each column; None where most rows are unknown, for then unknown is the usual thing."""
    usual: list[float | None] = []
    for column in matrix.T:
        known = column[~np.isnan(column)]
        usual.append(float(np.median(known)) if len(known) * 2 > len(column) else None)
    return tuple(usual)
