"""The evaluation of a simulated log, against plain counting of the same decisions."""

import gzip
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np
import pytest

from riskd.anomaly.model import Model
from riskd.contract import Reported
from riskd.errors import ConfigError
from riskd.learn import blocks
from riskd.learn.blocks import Local
from riskd.learn.evaluate import Evaluated, evaluate
from riskd.learn.simulate.attempt import IN_STEPS
from riskd.learn.truth import HONEST
from riskd.record.parquet import export
from riskd.record.reader import read_lines
from riskd.record.schema import DecisionRecord, OutcomeRecord, decode, encode
from tests.learn.evaluate.conftest import World

Decision = tuple[DecisionRecord, dict[str, Any]]
HISTORIES: dict[str, Callable[[int], bool]] = {
    "0": lambda n: n == 0, "1-4": lambda n: 0 < n < 5, "5+": lambda n: n > 4,
}  # fmt: skip


def stopped(decision: Decision) -> bool:
    """Whether it was stepped up or denied."""
    return decision[0].outcome != "allow"


def confirmed(decision: Decision) -> int:
    """Confirmed successes before."""
    history = decision[0].facts.history
    return 0 if history is None else history.confirmed


@pytest.fixture(scope="module")
def honest(world: World) -> list[Decision]:
    """The honest decisions."""
    return [decision for decision in world.decisions if decision[1]["label"] == HONEST]


@pytest.fixture(scope="module")
def attacks(world: World) -> list[Decision]:
    """The others."""
    return [decision for decision in world.decisions if decision[1]["label"] != HONEST]


def counted(decisions: list[Decision]) -> tuple[int, int]:
    """Stopped, and all."""
    return sum(map(stopped, decisions)), len(decisions)


def of(share: Any) -> tuple[int, int]:  # noqa: ANN401 - any share
    """Hits and total."""
    return share.hits, share.total


def test_friction_is_what_counting_says(evaluated: Evaluated, honest: list[Decision], world: World) -> None:
    """Logins, other actions, each history, denials, and accounts after an attack."""
    logins = [decision for decision in honest if decision[0].facts.action.name == "login"]
    assert of(evaluated.honest_logins) == counted(logins)
    assert of(evaluated.honest_actions) == counted([d for d in honest if d[0].facts.action.name != "login"])
    assert of(evaluated.honest_denied) == (sum(d[0].outcome == "deny" for d in logins), len(logins))
    for name, fits in HISTORIES.items():
        assert of(evaluated.by_history[name]) == counted([d for d in logins if fits(confirmed(d))])
    attacked: set[str | None] = set()
    after = []
    for record, true in world.decisions:
        if true["label"] != HONEST and true.get("password_right", True):
            attacked.add(record.facts.subject.token)
        elif true["label"] == HONEST and record.facts.action.name == "login" and record.facts.subject.token in attacked:
            after.append((record, true))
    assert of(evaluated.after_attack) == counted(after)
    reasons = Counter(code for record, _ in filter(stopped, logins) for code, _ in record.reasons)
    assert evaluated.honest_reasons == reasons


def test_catch_is_what_counting_says(evaluated: Evaluated, attacks: list[Decision]) -> None:
    """Attempts by kind; an attack of several steps is stopped when any step is."""
    for kind in {true["label"] for _, true in attacks}:
        mine = [decision for decision in attacks if decision[1]["label"] == kind]
        through = sum(not stopped(d) and d[1].get("password_right", True) for d in mine)
        assert of(evaluated.let_in[kind]) == (through, len(mine))
        if kind in IN_STEPS:
            ends: dict[str, bool] = defaultdict(bool)
            for decision in mine:
                ends[decision[1]["sequence"]] |= stopped(decision)
            assert of(evaluated.stopped[kind]) == (sum(ends.values()), len(ends))
        else:
            assert of(evaluated.stopped[kind]) == counted(mine)


def test_groups_are_what_counting_says(evaluated: Evaluated, honest: list[Decision], attacks: list[Decision]) -> None:
    """Per history, action, country and kind of device, honest and attacks, with nobody left out."""
    names: dict[str, Callable[[Decision], str]] = {
        "history": lambda d: next(name for name, fits in HISTORIES.items() if fits(confirmed(d))),
        "action": lambda d: d[0].facts.action.name,
        "country": lambda d: d[0].facts.place.country or "unknown",
        "device": lambda d: d[0].facts.device.kind or "unknown",
    }
    for dimension, name_of in names.items():
        for group in evaluated.groups[dimension]:
            assert of(group.honest) == counted([d for d in honest if name_of(d) == group.name])
            assert of(group.attacks) == counted([d for d in attacks if name_of(d) == group.name])
        assert sum(group.honest.total for group in evaluated.groups[dimension]) == len(honest)
    assert of(evaluated.prevalence) == (len(attacks), len(honest) + len(attacks))
    assert of(evaluated.operating_point["honest"]) == counted(honest)
    assert of(evaluated.operating_point["attacks"]) == counted(attacks)


def test_reauthentications_are_per_subject(evaluated: Evaluated, honest: list[Decision]) -> None:
    """Median, mean and who never had to are those of honest subjects, not of attempts."""
    each: Counter[str] = Counter()
    for decision in honest:
        token = decision[0].facts.subject.token
        assert token is not None
        each[token] += stopped(decision)
    everybody = evaluated.reauthentications[0]
    assert evaluated.subjects == everybody.subjects == len(each)
    assert everybody.median.value == median(each.values())
    assert everybody.mean.value == pytest.approx(sum(each.values()) / len(each))
    assert of(everybody.never) == (sum(count == 0 for count in each.values()), len(each))
    assert sum(line.subjects for line in evaluated.reauthentications[1:]) == len(each)


def test_calibration_and_transfer_count_honest_attempts(evaluated: Evaluated, honest: list[Decision]) -> None:
    """A promised tail is held against all honest attempts; a threshold of the first half against the second."""
    tails = np.array([1.0 - (record.anomaly or 0.0) for record, _ in honest])
    for point in evaluated.calibration:
        assert of(point.observed) == (int((tails <= point.tail * (1 + 1e-6)).sum()), len(honest))
    first, last = evaluated.first, evaluated.last
    middle = first + (last - first) / 2
    halves = [np.array([r.score for r, _ in honest if (r.when >= middle) is late]).round(1) for late in (False, True)]
    for one in evaluated.transfer:
        assert one.earlier.value <= one.target
        if one.measure == "score":
            assert [one.earlier.hits, one.later.hits] == [int((half >= one.threshold).sum()) for half in halves]
            assert float((halves[0] >= round(one.threshold - 0.1, 1)).mean()) > one.target  # no lower one would do
    assert {one.measure for one in evaluated.transfer} == {"score", "anomaly"}


def test_misses_are_attacks_that_came_through(
    evaluated: Evaluated, attacks: list[Decision], honest: list[Decision]
) -> None:
    """Each is an attack that was allowed, with its own reasons; each false alarm an honest attempt that was not."""
    kinds = {record.decision_id: (record, true["label"]) for record, true in attacks}
    assert evaluated.misses
    for miss in evaluated.misses:
        record, kind = kinds[miss.decision_id]
        assert (miss.outcome, miss.kind, miss.reasons) == ("allow", kind, record.reasons)
    assert len({miss.kind for miss in evaluated.misses}) > 1
    alarmed = {record.decision_id for record, _ in filter(stopped, honest)}
    assert evaluated.false_alarms
    assert {alarm.decision_id for alarm in evaluated.false_alarms} <= alarmed


def test_importance_knows_what_matters(evaluated: Evaluated, shipped_model: Model) -> None:
    """Every feature is weighed, novelty is worth more than nothing, and what is always unknown is worth nothing."""
    assert {one.feature for one in evaluated.importance} == set(shipped_model.features)
    assert shipped_model.version in evaluated.importance_note
    assert evaluated.importance[0].auc_drop > 0.005
    assert all(one.auc_drop == 0 for one in evaluated.importance if one.unknown == 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_processes_blocks_and_forms_change_nothing(
    world: World, evaluated: Evaluated, shipped_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """Small blocks in one process or two, and a compressed or Parquet log, give the very same report."""
    whole = evaluated.to_json()
    monkeypatch.setattr(blocks, "ALONE", 2)
    if jobs == 2:
        folder = tmp_path / "parquet"
        folder.mkdir()
        export(read_lines(world.simulated.log), folder / "log.parquet")
    else:
        folder = tmp_path / "log"
        shutil.copytree(world.simulated.log, folder)
        for path in sorted(folder.glob("*.jsonl"))[::2]:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
        monkeypatch.setattr(blocks, "BLOCK_BYTES", 50_000)
    again = evaluate(folder, world.simulated.truth, model=shipped_model, engine=Local(jobs)).to_json()
    assert again | {"log": None} == whole | {"log": None}


def test_only_the_last_days_are_judged(world: World) -> None:
    """`last` counts back from the newest record, as `since` does from where it says."""
    newest = max(record.when for record in map(decode, read_lines(world.simulated.log)))
    late = evaluate(world.simulated.log, world.simulated.truth, last=timedelta(days=20))
    since = newest - timedelta(days=20)
    assert late.to_json() == evaluate(world.simulated.log, world.simulated.truth, since=since).to_json()
    assert late.decisions == sum(record.when >= since for record, _ in world.decisions)
    assert late.after_attack.total > 0


def test_without_truth_the_outcomes_are_the_labels(world: World) -> None:
    """Reported fraud, disowned attempts and failed step-ups are attacks, and what nobody reported on is left out."""
    found = evaluate(world.simulated.log, None)
    labels = {Reported.CONFIRMED_FRAUD, Reported.REPORTED_BY_USER, Reported.STEP_UP_FAILED}
    told = {
        record.decision_id
        for record in map(decode, read_lines(world.simulated.log))
        if isinstance(record, OutcomeRecord) and record.outcome in labels
    }
    assert found.truth == "outcomes"
    assert found.prevalence.hits == len(told)
    assert set(found.stopped) <= {label.value for label in labels}
    assert found.decisions + found.unlabelled == len(world.decisions)
    assert any("reported outcomes" in note for note in found.notes)


def test_what_cannot_be_evaluated_says_the_way_out(world: World, tmp_path: Path) -> None:
    """No log, no decisions, a truth of other decisions, or no outcome at all: one line each, with what to do."""
    log = tmp_path / "log"
    log.mkdir()
    with pytest.raises(ConfigError, match="no decision log is there"):
        evaluate(log, None)
    record = msgspec.structs.replace(world.decisions[0][0], decision_id="alone")
    (log / "one.jsonl").write_bytes(b"no record\n")
    with pytest.raises(ConfigError, match="no decisions"):
        evaluate(log / "one.jsonl", None)
    (log / "one.jsonl").write_bytes(encode(record) + b"\n")
    with pytest.raises(ConfigError, match="give --truth, or report outcomes"):
        evaluate(log / "one.jsonl", None)
    with pytest.raises(ConfigError, match="none of them is in the truth"):
        evaluate(log / "one.jsonl", world.simulated.truth)


def test_little_is_still_a_report(world: World, tmp_path: Path, shipped_model: Model) -> None:
    """One honest decision and damaged lines make a report without curves, which says what is missing."""
    record, true = next(decision for decision in world.decisions if decision[1]["label"] == HONEST)
    log, truth = tmp_path / "one.jsonl", tmp_path / "truth.jsonl"
    log.write_bytes(encode(record) + b"\n{}\n")
    truth.write_text(json.dumps(true) + "\n")
    found = evaluate(log, truth, model=shipped_model)
    assert found.decisions == 1
    assert found.curves == {"score": (), "anomaly": ()}
    assert found.transfer == ()
    assert found.refused_lines == {"damaged": 1}
    assert "too few" in found.importance_note
    json.dumps(found.to_json(), allow_nan=False)
