"""Training end to end on a played world: what it reads, what it says, what it can be made to do."""

import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from rich.console import Console

from riskd.anomaly.artifact import CURRENT_FILE, decode_manifest, encode_manifest
from riskd.anomaly.load import load_manifest, load_model
from riskd.anomaly.model import Model
from riskd.contract import Reported
from riskd.errors import ModelError
from riskd.evaluation import evaluate
from riskd.facts import Facts
from riskd.features import MODEL_FEATURES
from riskd.features.declared import VelocityInput
from riskd.features.velocity import Velocity
from riskd.learn.declared import Declared, columns
from riskd.learn.rows import FEWEST
from riskd.learn.simulate.run import Simulated
from riskd.learn.told import as_json, kinds, show
from riskd.learn.train import Progress, Trained, train
from riskd.learn.vectors import vectors
from riskd.policy import Policy
from riskd.record.parquet import export
from riskd.record.reader import read, read_lines
from riskd.record.schema import DecisionRecord
from tests.learn.logs import BEGIN, again, decision, outcome, write

NOW = datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ATTEMPTS = 10_000
BOUND, MEAN_BOUND, RARITY_BOUND = 0.15, 0.02, 0.02
"""What docs/training.md promises: how far such a flood moves anybody else's anomaly score, and the rarity, in nats, of
what its author does not show himself."""


@dataclass(frozen=True)
class World:
    """A played world and a model of it."""

    decisions: list[DecisionRecord]
    trained: Trained
    model: Model


def make(log: Sequence[str | Path], models: Path, **options: object) -> Trained:
    """Train on a log that ends a day after what it teaches."""
    return train(log, models, now=NOW, source="a test", maturity=DAY, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def world(simulated: Simulated, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Trained with its truth."""
    models = tmp_path_factory.mktemp("models")
    trained = make([simulated.log], models, kinds=kinds([simulated.truth]))
    decisions = [record for record in read(simulated.log) if isinstance(record, DecisionRecord)]
    return World(decisions, trained, load_model(models, MODEL_FEATURES, trained.version))


def test_the_split_is_one_of_time(world: World) -> None:
    """The earliest three quarters of the time teach, later rows calibrate, none is younger than asked."""
    manifest, training = world.model.manifest, world.trained.training
    assert manifest.trained_from < training.fitted_until < manifest.trained_until
    assert manifest.trained_until <= world.decisions[-1].when - DAY + timedelta(hours=1)  # outcomes come a little later
    begin, end = world.decisions[0].when, world.decisions[-1].when - DAY
    assert abs(training.fitted_until - (begin + 0.75 * (end - begin))) < DAY
    assert world.trained.rows > 2 * world.trained.calibration_rows


def test_the_manifest_says_all_that_it_takes_to_repeat_it(world: World, simulated: Simulated, tmp_path: Path) -> None:
    """Options, files and versions give the same artifact, which stays as it is; another option gives another."""
    training = load_manifest(world.trained.folder.parent, world.trained.version).training
    assert training == world.trained.training
    assert training is not None
    assert training.file_count == len(training.files) > 10
    assert sum(file.records for file in training.files) == training.decisions + training.outcomes
    options = training.options
    assert options["truth"] is True
    log = [file.name for file in training.files]
    done = train(
        log,
        world.trained.folder.parent,
        now=NOW,
        source="again",
        seed=int(str(options["seed"])),
        trees=int(str(options["trees"])),
        samples=int(str(options["samples"])),
        maturity=timedelta(days=float(str(options["maturity_days"]))),
        kinds=kinds([simulated.truth]),
    )
    assert done.version == world.trained.version
    assert done.training == training
    assert (world.trained.kept, done.kept) == (False, True)
    assert load_manifest(done.folder.parent, done.version).source == "a test"
    assert make(log, tmp_path, seed=2).version != done.version


def test_a_log_in_parquet_trains_the_same(world: World, simulated: Simulated, tmp_path: Path) -> None:
    """The log as two Parquet files behind a URI, out of order, and without the truth: the very same artifact."""
    lines = list(read_lines(simulated.log))
    (tmp_path / "log" / "later").mkdir(parents=True)
    export(lines[len(lines) // 2 :], tmp_path / "log" / "a.parquet")
    export(lines[: len(lines) // 2], tmp_path / "log" / "later" / "b.parquet")
    heard: list[Progress] = []
    done = make([f"file://{tmp_path}/log/**/*.parquet"], tmp_path / "models", tell=heard.append)
    assert done.version == world.trained.version
    assert (heard[-1].done, heard[-1].records) == (heard[-1].total, len(lines))


def test_it_is_held_against_simple_rivals(world: World) -> None:
    """False alarms, areas and catch of forest, ECOD and HBOS stand in the result, the manifest and the JSON."""
    assert [one.name for one in world.trained.contest] == ["forest", "ecod", "hbos"]
    metrics = world.model.manifest.metrics
    for one in world.trained.contest:
        assert one.false_alarms < 0.05
        assert metrics[f"{one.name}_false_alarms"] == one.false_alarms
        assert metrics[f"{one.name}_auc"] == one.auc
        assert metrics[f"{one.name}_catch_stuffing"] == one.catch["stuffing"]
    assert world.trained.training.attacks > 1000
    said = json.loads(json.dumps(as_json(world.trained)))
    assert said["metrics"]["ecod_auc"] == metrics["ecod_auc"]
    assert said["training"]["left_out"]["denied"] > 0


def test_what_is_told_is_for_a_terminal(world: World, tmp_path: Path) -> None:
    """A kind of attack with an escape in its name is shown without; what is current, or that nothing is, is said."""
    rigged = [dataclasses.replace(one, catch={**one.catch, "st\x1b[2Juf": 0.5}) for one in world.trained.contest]
    again = dataclasses.replace(world.trained, contest=rigged, kept=True)
    heard = io.StringIO()
    show(again, Console(file=heard, width=160))
    assert "st\N{REPLACEMENT CHARACTER}[2Juf" in heard.getvalue()
    assert "\x1b" not in heard.getvalue()
    assert f"was kept as it is\nmodel {again.version} is current in " in heard.getvalue()
    (tmp_path / CURRENT_FILE).write_text("../../etc")
    show(dataclasses.replace(again, folder=tmp_path / again.version), Console(file=heard, width=160))
    assert f"none is current: riskd models promote {again.version} --force" in heard.getvalue()


def test_a_truth_measures_and_does_not_teach(world: World, simulated: Simulated, tmp_path: Path) -> None:
    """What only a simulation knows changes no byte of the model."""
    assert make([simulated.log], tmp_path).version == world.trained.version


def test_a_flood_moves_nobody_elses_score(world: World, simulated: Simulated, tmp_path: Path) -> None:
    """Ten thousand attempts from his own device, allowed and never reported: all others score within the bound."""
    begin, span = world.decisions[0].when, world.decisions[-1].when - world.decisions[0].when
    first = next(record for record in world.decisions if record.outcome == "step_up" and record.facts.history)
    facts = replace(
        first.facts,
        device=replace(first.facts.device, id="his-own"),
        network=replace(first.facts.network, key="AS4200099999", asn=4_200_099_999),
        place=replace(first.facts.place, country="KP"),
    )
    flood = write(tmp_path / "flood.jsonl", (
        replace(again(first, 1_000_000 + n, begin + span * n / ATTEMPTS, _as_another(facts, n)), outcome="allow")
        for n in range(ATTEMPTS)
    ))  # fmt: skip
    done = make([simulated.log, flood], tmp_path / "models")
    assert done.training.decisions == world.trained.training.decisions + ATTEMPTS
    assert done.rows + done.calibration_rows <= world.trained.rows + world.trained.calibration_rows + FEWEST["device"]
    poisoned = load_model(tmp_path / "models", MODEL_FEATURES)
    moved = np.abs(_scores(world.model, world.decisions) - _scores(poisoned, world.decisions))
    assert moved.max() <= BOUND
    assert moved.mean() <= MEAN_BOUND
    before, after = world.model.population, poisoned.population
    for one, other in ((before.country, after.country), (before.network, after.network), (before.family, after.family)):
        others = one.counts.keys() - {facts.device.family}
        assert max(abs(one.nats(value) - other.nats(value)) for value in others) <= RARITY_BOUND
    # Uncapped he would be the usual: every second attempt of the log is his.
    assert after.country.probability("KP") <= FEWEST["device"] / after.country.total * 1.1


def _as_another(facts: Facts, number: int) -> Facts:
    subject, network = replace(facts.subject, token=f"his-{number}"), replace(facts.network, ip=f"his-{number}")
    return replace(facts, subject=subject, network=network)


def _scores(model: Model, decisions: list[DecisionRecord]) -> np.ndarray:
    return model.scores(vectors([record.facts for record in decisions], model.population))


def test_labels_alone_measure_too(tmp_path: Path) -> None:
    """Without a truth the attacks are those that outcomes call so; a log of a few odd numbers trains all the same."""
    minute = timedelta(minutes=10)
    honest = [decision(n, at=BEGIN + n * minute, amount=float(n % 50)) for n in range(2600)]
    odd = [decision(n, at=BEGIN + (n - 500) * minute, amount=1e300) for n in range(3000, 3040)]
    told = [outcome(record, Reported.CONFIRMED_FRAUD, days=1) for record in odd]
    log = write(tmp_path / "log.jsonl", [*told, *honest, *odd])
    assert make([log], tmp_path / "models").training.attacks == 40


def test_too_little_says_why_and_what_to_do(tmp_path: Path) -> None:
    """The error counts what was left out and refused, and names the option that helps."""
    records = [decision(n, at=NOW - timedelta(hours=300 - n)) for n in range(300)]
    log = write(tmp_path / "log.jsonl", [*records, decision(900, at=NOW + DAY)])
    log.write_bytes(log.read_bytes() + b'{"v":7}\n{"v":7}\n{"v":')
    with pytest.raises(ModelError) as refused:
        train(log, tmp_path / "models", now=NOW, source="a test")
    said = str(refused.value)
    assert "0 trusted attempts of 300 decisions (1 in the future, 300 too young)" in said
    assert "lines refused: 2 version, 1 torn" in said
    assert "--mature-days" in said
    assert not (tmp_path / "models").exists()


def test_manifests_of_earlier_releases_still_load(world: World) -> None:
    """An artifact without the account of its training is read as before."""
    manifest = msgspec.json.decode(encode_manifest(world.model.manifest))
    del manifest["training"]
    assert decode_manifest(msgspec.json.encode(manifest), "old").training is None


def test_labels_make_a_head(simulated: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told to, training fits a head on what people reported, and it serves."""
    for module in ("head", "labelled"):  # so small a world holds few
        monkeypatch.setattr(f"riskd.learn.{module}.LEAST_ATTACKS", 10)
    trained = make([simulated.log], tmp_path, supervised=True)
    assert trained.no_head is None
    assert 10 <= trained.metrics["head_attacks"] < trained.metrics["head_honest"]
    manifest = load_manifest(tmp_path, trained.version)
    assert manifest.head is not None
    assert manifest.joined is not None
    model = load_model(tmp_path, MODEL_FEATURES, trained.version)
    decisions = [record.facts for record in read(simulated.log) if isinstance(record, DecisionRecord)]
    scores = model.scores(vectors(decisions, model.population))
    assert 0.002 < (scores >= 0.99).mean() < 0.5


def test_what_the_policy_counts_is_read_and_served(
    simulated: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default_policy: Policy
) -> None:
    """A velocity stands behind the features; what was trained on an attempt is what the service says of it."""
    for module in ("head", "labelled"):
        monkeypatch.setattr(f"riskd.learn.{module}.LEAST_ATTACKS", 10)
    monkeypatch.setattr("riskd.learn.declared._ROUNDS", 5)
    counted = Velocity(name="attempts_5h", kind="count", of="attempts", per="subject", window_s=18_000)
    trained = make([simulated.log], tmp_path, supervised=True, declared=Declared({}, (counted,)))
    assert "velocity.attempts_5h" in trained.reads
    model = load_model(tmp_path, MODEL_FEATURES, trained.version)
    assert model.manifest.velocities == (VelocityInput(counted.key),)
    some = [record.facts for record in read(simulated.log) if isinstance(record, DecisionRecord)][:300]
    facts = [replace(one, velocities={counted.key: float(n % 9)}) for n, one in enumerate(some)]
    whole = np.concatenate((vectors(facts, model.population), columns(model.manifest.declared, facts)), axis=1)
    assert [evaluate(one, default_policy, model).anomaly for one in facts] == model.scores(whole).tolist()


def test_why_there_is_no_head_is_said(simulated: Simulated, tmp_path: Path) -> None:
    """A simulation's labels are not asked unless told to."""
    sampled = make([simulated.log], tmp_path, native=False)
    assert sampled.no_head is not None
    assert "how its attackers were written" in sampled.no_head
    manifest = load_manifest(tmp_path, sampled.version)
    assert (manifest.head, manifest.joined) == (None, None)
