"""Two models on one log: the counts are those of a plain count, of decisions that neither model was trained on."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.contract import Reported
from riskd.errors import ConfigError, ModelError
from riskd.evaluation import evaluate
from riskd.features import MODEL_FEATURES
from riskd.learn.registry.compare import Compared, compare
from riskd.learn.registry.margins import Margins
from riskd.learn.registry.measure import MAX_KINDS, OTHERS, measure
from riskd.learn.replay.labels import ATTACKS, HONEST
from riskd.learn.simulate.run import Simulated
from riskd.policy import Policy
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord, OutcomeRecord, encode_lines
from tests.learn.registry.conftest import ALARMED, CALM, TRAINED_UNTIL, Shelf

NOW = datetime(2026, 2, 1, tzinfo=UTC)
Verdicts = list[tuple[DecisionRecord, bool, bool]]


def compared(
    shelf: Shelf, world: Simulated, policy: Policy, current: str | None, candidate: str, **more: object
) -> Compared:
    """Compare two models on the world's log."""
    asked = {
        "log": [world.log],
        "truth": None,
        "policy": policy,
        "known": (),
        "days": 900,
        "margins": Margins(),
        "now": NOW,
    } | more
    return compare(shelf.models, current, candidate, **asked)  # type: ignore[arg-type]


def models(shelf: Shelf) -> tuple[Model, Model]:
    """A calm model and an alarmed one."""
    calm, alarmed = shelf.put(1, CALM), shelf.put(2, ALARMED)
    return load_model(shelf.models, MODEL_FEATURES, calm), load_model(shelf.models, MODEL_FEATURES, alarmed)


def judged(world: Simulated, policy: Policy, both: tuple[Model, Model], since: datetime) -> Verdicts:
    """Each decision, and whether each model stops it: as the serving engine would."""
    records = [record for record in read(world.log, since=since) if isinstance(record, DecisionRecord)]
    return [
        (record, *(evaluate(record.facts, policy, model).outcome.word != "allow" for model in both))
        for record in records
    ]


def test_counts_by_the_truth(shelf: Shelf, world: Simulated, policy: Policy) -> None:
    """Attacks, catch, honest attempts, false alarms and subject-days are what counting them one by one gives."""
    both = models(shelf)
    since = TRAINED_UNTIL
    labels = {line["decision_id"]: line["label"] for line in map(json.loads, world.truth.read_text().splitlines())}
    rows = judged(world, policy, both, since)
    found = measure([*world.log.iterdir()], world.truth, policy, both, since=since)
    assert found.decisions == found.judged == len(rows)
    attacks = Counter(labels[record.decision_id] for record, *_ in rows)
    honest = [row for row in rows if labels[row[0].decision_id] == "honest"]
    assert {kind: int(sort.of.sum()) for kind, sort in found.attacks.items()} | {"honest": len(honest)} == attacks
    for number in (0, 1):
        caught = sum(row[1 + number] for row in rows if labels[row[0].decision_id] != "honest")
        assert sum(int(sort.by[number].sum()) for sort in found.attacks.values()) == caught
        assert int(found.honest.by[number].sum()) == sum(row[1 + number] for row in honest)
    days = {(record.facts.subject.token, record.when.date()) for record, *_ in honest}
    assert int(found.subject_days.sum()) == len(days)
    assert found.differing == sum(one != other for _, one, other in rows) > 0


def test_counts_by_outcomes(shelf: Shelf, world: Simulated, policy: Policy) -> None:
    """Without a truth the weightiest word on each decision is its label; silence is honest, unless it was denied."""
    both = models(shelf)
    rows = judged(world, policy, both, TRAINED_UNTIL)
    told: dict[str, set[Reported]] = {}
    for record in read(world.log, since=TRAINED_UNTIL):
        if isinstance(record, OutcomeRecord):
            told.setdefault(record.decision_id, set()).add(record.outcome)
    attacks: Counter[str] = Counter()
    honest = 0
    for record, *_ in rows:
        words = told.get(record.decision_id, set())
        disowned = words & {Reported.REPORTED_BY_USER, Reported.CONFIRMED_FRAUD}
        if disowned:
            attacks[min(disowned).value] += 1
        elif words & set(HONEST):
            honest += 1
        elif words & set(ATTACKS):
            attacks["step_up_failed"] += 1
        else:
            honest += not words and record.outcome != "deny"
    found = measure([*world.log.iterdir()], None, policy, both, since=TRAINED_UNTIL)
    assert {kind: int(sort.of.sum()) for kind, sort in found.attacks.items()} == attacks
    assert int(found.honest.of.sum()) == honest


def test_only_what_neither_was_trained_on(shelf: Shelf, world: Simulated, policy: Policy) -> None:
    """The slice begins after the training of both, and is no longer than asked; the same model changes nothing."""
    version = shelf.put(1)
    found = compared(shelf, world, policy, version, version)
    assert found.since > TRAINED_UNTIL
    assert (found.differing, found.verdict.stability) == (0, 0.0)
    assert found.labels == "truth"
    short = compared(shelf, world, policy, version, version, days=7)
    assert short.since == short.until - timedelta(days=7)
    assert 0 < short.decisions < found.decisions


def test_a_log_that_taught_the_models_is_refused(shelf: Shelf, world: Simulated, policy: Policy) -> None:
    """Where nothing is newer than the training, no number is given."""
    version = shelf.put(1)
    manifest = shelf.models / version / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f"{TRAINED_UNTIL:%Y-%m-%d}", "2026-06-01"))
    with pytest.raises(ConfigError, match="no decision after 2026-06-01"):
        compared(shelf, world, policy, None, version)


def test_a_line_from_the_future_moves_no_slice(shelf: Shelf, world: Simulated, policy: Policy, tmp_path: Path) -> None:
    """One record that is dated in a thousand years, or before all time, changes nothing."""
    version = shelf.put(1)
    last = [record for record in read(world.log) if isinstance(record, DecisionRecord)][-1]
    odd = tmp_path / "odd.jsonl"
    dates = (datetime(3025, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC))
    odd.write_bytes(encode_lines([replace(last, evaluated_at=at) for at in dates]))
    asked = {"truth": world.truth, "days": 7}
    usual = compared(shelf, world, policy, None, version, **asked)
    assert compared(shelf, world, policy, None, version, log=[world.log, odd], **asked).verdict == usual.verdict


def test_a_current_model_that_cannot_serve_is_none(shelf: Shelf, world: Simulated, policy: Policy) -> None:
    """After a release with other features a candidate is compared with the declared signals alone, which is said."""
    old, new = shelf.put(1, ALARMED), shelf.put(2, CALM)
    (shelf.models / old / "model.onnx").write_bytes(b"no model")
    found = compared(shelf, world, policy, old, new)
    assert (found.alone, found.current, found.verdict.odd[0]) == (True, old, None)
    assert "cannot serve" in found.notes[0]
    assert compared(shelf, world, policy, None, new).alone
    with pytest.raises(ModelError):
        compared(shelf, world, policy, new, old)


def test_a_hostile_truth(shelf: Shelf, world: Simulated, policy: Policy, tmp_path: Path) -> None:
    """A damaged line is told with its number; kinds without end are put together."""
    both = models(shelf)
    bad = tmp_path / "bad.jsonl"
    for line in (b"{}", b'{"decision_id":"' + b"x" * 100_000, b"\xff", b"[" * 60_000):
        bad.write_bytes(b'{"decision_id":"a","label":"honest"}\n' + line + b"\n")
        with pytest.raises(ConfigError, match="line 2"):
            measure([*world.log.iterdir()], bad, policy, both, since=world.ends - timedelta(days=2))
    ids = [record.decision_id for record in read(world.log) if isinstance(record, DecisionRecord)]
    many = tmp_path / "many.jsonl"
    lines = [msgspec.json.encode({"decision_id": one, "label": f"kind-{number}"}) for number, one in enumerate(ids)]
    many.write_bytes(b"\n".join(lines) + b"\n")
    found = measure([*world.log.iterdir()], many, policy, both, since=world.begins)
    assert len(found.attacks) == MAX_KINDS
    assert int(found.attacks[OTHERS].of.sum()) == len(ids) - (MAX_KINDS - 1)
