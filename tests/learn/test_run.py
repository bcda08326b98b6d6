"""Simulate, train and evaluate on real parts: a real engine on an embedded store writes the log that is learnt from."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from riskd.anomaly.load import current_version, load_model
from riskd.errors import ConfigError, ModelError
from riskd.features import MODEL_FEATURES
from riskd.learn.evaluate import Share, evaluate
from riskd.learn.publish import CARD_FILE, make_current
from riskd.learn.rows import TrustedSample
from riskd.learn.simulate.attempt import KINDS
from riskd.learn.simulate.run import Simulated, simulate
from riskd.learn.simulate.stream import Size
from riskd.learn.train import Trained, train
from riskd.learn.truth import HONEST
from riskd.learn.vectors import vectors
from riskd.policy import Policy
from riskd.record.reader import ReadReport, read
from riskd.record.schema import DecisionRecord

NOW = datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the model goes."""
    return tmp_path_factory.mktemp("trained") / "models"


@pytest.fixture(scope="module")
def trained(simulated: Simulated, models: Path) -> Trained:
    """A model trained from that world's log."""
    return train(simulated.log, models, now=NOW, source="a simulation in a test", trees=50, maturity=DAY)


def test_the_log_is_an_ordinary_one_with_a_truth_for_each_decision(simulated: Simulated) -> None:
    """The reader takes every line, every decision has its truth, and no source was down."""
    report = ReadReport()
    decisions = [r for r in read(simulated.log, report=report) if isinstance(r, DecisionRecord)]
    truths = {line["decision_id"]: line["label"] for line in map(json.loads, simulated.truth.read_text().splitlines())}
    assert report.refused.total() == 0
    assert len(decisions) == simulated.decisions == len(truths)
    assert {truths[record.decision_id] for record in decisions} == {HONEST, *KINDS}
    assert not any(record.degraded for record in decisions)
    assert all(record.vector is not None for record in decisions)


def test_a_simulation_is_never_overwritten(simulated: Simulated, policy: Policy) -> None:
    """A second simulation into the same folder is refused."""
    with pytest.raises(FileExistsError, match="holds a simulation"):
        simulate(simulated.truth.parent, Size(subjects=10, days=5), policy)


def test_a_trained_model_serves(trained: Trained, models: Path, simulated: Simulated) -> None:
    """What `train` wrote loads as the current model, and scores recorded attempts as its calibration promises."""
    model = load_model(models, MODEL_FEATURES)
    assert model.version == trained.version == current_version(models)
    assert trained.metrics["largest_difference_from_scikit_learn"] < 1e-6
    assert not model.population.empty
    sample = TrustedSample()
    sample.take(read(simulated.log))
    scores = model.scores(vectors(sample.facts(), model.population))
    assert float(np.mean(scores >= 0.9)) == pytest.approx(0.1, abs=0.06)


def test_training_is_repeatable(trained: Trained, simulated: Simulated, tmp_path: Path) -> None:
    """The same log, seed and settings give the same bytes."""
    again = train(simulated.log, tmp_path, now=NOW, source="again", trees=50, maturity=DAY)
    assert again.version == trained.version
    other = train(simulated.log, tmp_path, now=NOW, source="other", seed=2, trees=50, maturity=DAY)
    assert other.version != trained.version
    assert current_version(tmp_path) == again.version
    make_current(tmp_path, other.version)
    assert current_version(tmp_path) == other.version


def test_the_card_says_where_the_model_comes_from(trained: Trained, models: Path) -> None:
    """The model card is written from the manifest."""
    text = (models / CARD_FILE).read_text()
    assert trained.version in text
    assert "a simulation in a test" in text


def test_only_trusted_attempts_teach(simulated: Simulated) -> None:
    """Denied, failed, contradicted and unproven attempts are not in the sample; campaigns therefore hardly are."""
    sample = TrustedSample()
    records = list(read(simulated.log))
    sample.take(records)
    labels = {line["decision_id"]: line["label"] for line in map(json.loads, simulated.truth.read_text().splitlines())}
    moments = {(r.facts.time, r.facts.subject.token): r for r in records if isinstance(r, DecisionRecord)}
    trusted = [moments[facts.time, facts.subject.token] for facts in sample.facts()]
    assert all(record.outcome != "deny" for record in trusted)
    honest = sum(labels[record.decision_id] == HONEST for record in trusted)
    assert honest / len(trusted) > 0.97
    assert not any(labels[record.decision_id] == "spray" for record in trusted)


def test_the_sample_is_bounded_and_repeatable(simulated: Simulated) -> None:
    """However long the log, no more rows than asked are kept, and always the same."""
    small, same = TrustedSample(500), TrustedSample(500)
    small.take(read(simulated.log))
    same.take(read(simulated.log))
    assert 0 < len(small.facts()) <= 500
    assert small.facts() == same.facts()


def test_too_short_a_log_trains_nothing(tmp_path: Path) -> None:
    """A log without enough trusted attempts is an error, and no artifact appears."""
    (tmp_path / "part.jsonl").touch()
    with pytest.raises(ModelError, match="0 trusted attempts"):
        train(tmp_path / "part.jsonl", tmp_path / "models", now=NOW, source="nothing")
    assert not (tmp_path / "models").exists()


def test_evaluation_counts_everybody_once(simulated: Simulated) -> None:
    """Honest and attack shares cover all decisions, and a later start leaves out the earlier ones."""
    whole = evaluate(simulated.log, simulated.truth)
    month = evaluate(simulated.log, simulated.truth, since=simulated.ends - timedelta(days=30))
    assert whole.decisions == simulated.decisions > month.decisions > 0
    counted = whole.honest_logins.total + whole.honest_actions.total + sum(s.total for s in whole.let_in.values())
    assert counted == whole.decisions
    assert whole.degraded == 0
    assert whole.stopped["takeover"].total <= whole.let_in["takeover"].total
    shown = json.loads(json.dumps(whole.to_json()))
    assert shown["stopped"]["stuffing"]["interval"][0] <= shown["stopped"]["stuffing"]["share"]
    console = Console(width=120, file=StringIO())
    with console.capture() as shown_table:
        console.print(whole.table())
    assert "takeover" in shown_table.get()


def test_a_truth_that_is_none_is_refused(simulated: Simulated, tmp_path: Path) -> None:
    """A missing or damaged truth file is one clear error with its line."""
    with pytest.raises(ConfigError, match="No such file"):
        evaluate(simulated.log, tmp_path / "none")
    (tmp_path / "bad").write_text('{"decision_id": "x", "label": "honest"}\n{}\n')
    with pytest.raises(ConfigError, match="line 2"):
        evaluate(simulated.log, tmp_path / "bad")


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 100, 0.0, 0.037), (50, 100, 0.404, 0.596), (100, 100, 0.963, 1.0)],
)
def test_intervals_are_wilsons(hits: int, total: int, low: float, high: float) -> None:
    """Known values of Wilson's interval."""
    assert Share(hits, total).interval == pytest.approx((low, high), abs=0.001)
