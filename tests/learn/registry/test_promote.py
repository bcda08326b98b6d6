"""Promotion and the way back: only through the gates or with a reason, written down first, and followed by CURRENT."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from riskd.anomaly.artifact import CURRENT_FILE, MANIFEST_FILE
from riskd.anomaly.load import load_manifest
from riskd.errors import ConfigError, ModelError
from riskd.learn.publish import CARD_FILE, named, publish
from riskd.learn.registry.compare import Compared, compare
from riskd.learn.registry.history import HISTORY_FILE, read_history
from riskd.learn.registry.listing import list_models, show_model
from riskd.learn.registry.margins import Margins
from riskd.learn.registry.promote import newest_candidate, promote, rollback
from riskd.learn.simulate.run import Simulated
from riskd.policy import Policy
from tests.faults.artifacts import tree
from tests.learn.registry.conftest import ALARMED, CALM, Shelf

NOW = datetime(2026, 2, 1, tzinfo=UTC)
WIDE = Margins(catch=1.0, alarms=100.0, scores=10.0)


def unsigned(_folder: Path) -> str:
    """Whose signature it is."""
    return "unsigned"


def put(shelf: Shelf, world: Simulated, policy: Policy, margins: Margins = WIDE) -> tuple[str, str, Compared]:
    """Put a current model and a candidate on the shelf, and compare them."""
    former, candidate = shelf.put(1, CALM, current=True), shelf.put(2, ALARMED)
    found = compare(
        shelf.models,
        former,
        candidate,
        log=[world.log],
        truth=None,
        policy=policy,
        known=(),
        days=60,
        margins=margins,
        now=NOW,
    )
    return former, candidate, found


def test_a_trained_model_is_a_candidate_unless_it_is_the_first(shelf: Shelf, tmp_path: Path) -> None:
    """Publishing makes the first model of a folder current, and leaves a later one, or the same again, aside."""
    made = Shelf(tmp_path / "made")
    raw = tree()
    first, second = (load_manifest(made.models, made.put(number)) for number in (1, 2))
    assert publish(shelf.models, raw, first) == shelf.models / first.version
    publish(shelf.models, raw, second)
    assert shelf.current == first.version
    publish(shelf.models, raw, replace(second, source="trained once more"))
    assert load_manifest(shelf.models, second.version).source == second.source  # what is there is never replaced
    assert named(second).version == named(replace(second, source="once more")).version != named(first).version
    assert named(replace(second, calibration=first.calibration, seed=99)).version != named(second).version
    assert sorted(path.name for path in shelf.models.iterdir() if path.is_dir()) == [first.version, second.version]
    with pytest.raises(ModelError):
        publish(shelf.models, b"no model", replace(second, version="20260103-00000003"))
    assert shelf.current == first.version


def test_a_candidate_that_passes_is_current_and_written_down(shelf: Shelf, world: Simulated, policy: Policy) -> None:
    """CURRENT, card and history follow the promotion, with the numbers that spoke for it."""
    former, candidate, found = put(shelf, world, policy)
    entry = promote(shelf.models, candidate, found, now=NOW, by="ada", reason="weekly")
    assert shelf.current == candidate
    assert candidate in (shelf.models / CARD_FILE).read_text()
    assert read_history(shelf.models) == [entry]
    assert (entry.event, entry.former, entry.by, entry.reason) == ("promoted", former, "ada", "weekly")
    line = json.loads((shelf.models / HISTORY_FILE).read_text())
    assert line["evidence"]["verdict"]["catch"]["of"] == found.verdict.catch.of  # type: ignore[union-attr]


def test_what_does_not_pass_is_not_promoted(shelf: Shelf, world: Simulated, policy: Policy) -> None:
    """Failed gates, another comparison, none at all, or the model that is current already: nothing changes."""
    former, candidate, found = put(shelf, world, policy, Margins(alarms=0.0001))
    assert not found.verdict.passed
    good = replace(found, verdict=replace(found.verdict, passed=True))
    for version, evidence, words in (
        (candidate, found, "did not pass"),
        (candidate, replace(good, candidate="another"), "was compared with"),
        (candidate, replace(good, current="20250101-00000000"), "was compared with"),
        (candidate, None, "no comparison"),
        (former, good, "current model already"),
    ):
        with pytest.raises(ConfigError, match=words):
            promote(shelf.models, version, evidence, now=NOW, by="ada")
    assert shelf.current == former
    assert read_history(shelf.models) == []


def test_a_forced_promotion_is_recorded_as_such(shelf: Shelf, world: Simulated, policy: Policy) -> None:
    """With force the gates' answer is kept beside the reason."""
    _, candidate, found = put(shelf, world, policy, Margins(alarms=0.0001))
    entry = promote(shelf.models, candidate, found, now=NOW, by="ada", reason="outage", force=True)
    assert (shelf.current, entry.event) == (candidate, "forced")
    assert entry.evidence is not None
    assert entry.evidence["verdict"]["passed"] is False


def test_rollback_goes_back_and_further_back(shelf: Shelf) -> None:
    """Each rollback undoes one promotion; with none left it says what to do."""
    first, second, third = shelf.put(1, current=True), shelf.put(2), shelf.put(3)
    for version in (second, third):
        promote(shelf.models, version, None, now=NOW, by="ada", reason="test", force=True)
    for version in (second, first):
        assert rollback(shelf.models, now=NOW, by="ada").version == version == shelf.current
    with pytest.raises(ConfigError, match="no way back"):
        rollback(shelf.models, now=NOW, by="ada")
    assert [entry.event for entry in read_history(shelf.models)] == ["forced", "forced", "rolled_back", "rolled_back"]


def test_a_broken_former_model_is_not_gone_back_to(shelf: Shelf) -> None:
    """What a service would refuse does not become current, neither by rollback nor by force."""
    first, second = shelf.put(1, current=True), shelf.put(2)
    promote(shelf.models, second, None, now=NOW, by="ada", reason="test", force=True)
    (shelf.models / first / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="SHA-256"):
        rollback(shelf.models, now=NOW, by="ada")
    with pytest.raises(ModelError, match="SHA-256"):
        promote(shelf.models, first, None, now=NOW, by="ada", reason="test", force=True)
    assert shelf.current == second
    assert len(read_history(shelf.models)) == 1


def test_no_history_no_change(shelf: Shelf) -> None:
    """Where the promotion cannot be written down, the current model stays."""
    first, second = shelf.put(1, current=True), shelf.put(2)
    (shelf.models / HISTORY_FILE).mkdir()
    with pytest.raises(ConfigError, match="cannot be written down"):
        promote(shelf.models, second, None, now=NOW, by="ada", reason="test", force=True)
    assert shelf.current == first


def test_the_newest_candidate(shelf: Shelf) -> None:
    """The default is newer than the current model, sound to read, and was never current: not what was rolled back."""
    shelf.put(1)
    current = shelf.put(2, current=True)
    with pytest.raises(ModelError, match="no candidate is newer"):
        newest_candidate(shelf.models)
    third, fourth = shelf.put(3), shelf.put(4)
    (shelf.models / shelf.put(5) / "manifest.json").write_text("{")
    assert newest_candidate(shelf.models) == fourth
    promote(shelf.models, fourth, None, now=NOW, by="ada", reason="test", force=True)
    rollback(shelf.models, now=NOW, by="ada")
    assert shelf.current == current
    assert newest_candidate(shelf.models) == third


def test_models_are_listed_with_their_standing(shelf: Shelf) -> None:
    """Newest first; what a service would refuse is listed with the reason, whatever is wrong with it."""
    old, former, current, newer, broken = (shelf.put(number, current=number == 2) for number in range(1, 6))
    promote(shelf.models, current, None, now=NOW, by="ada", reason="test", force=True)
    (shelf.models / broken / "manifest.json").write_text("{")
    (shelf.models / newer / "model.onnx").write_bytes(b"damaged")
    found = list_models(shelf.models, unsigned)
    assert [(one.version, one.standing) for one in found] == [
        (newer, "candidate"),
        (current, "current"),
        (former, "former"),
        (old, "older"),
        (broken, "candidate"),
    ]
    problems = {one.version: one.problem for one in found if one.problem is not None}
    assert "SHA-256" in problems[newer]
    assert "not a model manifest" in problems[broken]
    shown = show_model(shelf.models, current, unsigned)
    assert [entry.version for entry in shown.history] == [current]
    assert "population" not in shown.manifest
    with pytest.raises(ModelError, match="not a model manifest"):
        show_model(shelf.models, broken, unsigned)


def test_a_pipe_is_no_manifest(shelf: Shelf) -> None:
    """Nobody waits for what will never be written: the version is listed as one that would be refused."""
    version = shelf.put(1)
    manifest = shelf.models / version / MANIFEST_FILE
    manifest.unlink()
    os.mkfifo(manifest)
    with pytest.raises(ModelError, match="empty"):
        load_manifest(shelf.models, version)


@pytest.mark.parametrize("content", ["../../etc", "", "20260101-00000001" * 9])
def test_a_damaged_current_has_a_way_out(shelf: Shelf, content: str) -> None:
    """What CURRENT says is followed nowhere, and the error says the way out: the list, and a version by force."""
    version = shelf.put(1)
    (shelf.models / CURRENT_FILE).write_text(content)
    with pytest.raises(ModelError, match=r"CURRENT: .*; choose one of .*: riskd models promote VERSION --force"):
        rollback(shelf.models, now=NOW, by="ada")
    assert [one.standing for one in list_models(shelf.models, unsigned)] == ["candidate"]
    entry = promote(shelf.models, version, None, now=NOW, by="ada", force=True)
    assert (entry.former, shelf.current) == (None, version)
