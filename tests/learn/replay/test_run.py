"""A whole replay against a plain recount, whatever the form of the log and the number of processes."""

import gzip
import shutil
from collections import Counter
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from riskd.anomaly.load import load_model
from riskd.contract import Outcome, Reported
from riskd.errors import ConfigError, ModelError, PolicyError
from riskd.evaluation import evaluate
from riskd.features import MODEL_FEATURES
from riskd.learn import blocks
from riskd.learn.blocks import Local
from riskd.learn.replay.report import Report
from riskd.learn.replay.run import replay
from riskd.learn.replay.work import NONE, Work
from riskd.policy.load import load
from riskd.record.parquet import export
from riskd.record.reader import read, read_lines
from riskd.record.schema import DecisionRecord, OutcomeRecord
from tests.conftest import NOON
from tests.learn.replay.conftest import MODELS, Logged, amended, order

LOWER = ("  step_up: 50\n  deny: 85\n", "  step_up: 12\n  deny: 60\n")


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    """The shipped policy with lower thresholds."""
    return amended(tmp_path, LOWER)


def plain(report: Report) -> dict[str, object]:
    """The report without where the log lies."""
    return {**msgspec.to_builtins(report), "log": ()}


def recount(log: Path, policy: Path) -> list[tuple[DecisionRecord, Outcome]]:
    """Judge every record alone, as the service would."""
    model, judge_by = load_model(MODELS, MODEL_FEATURES), load(policy)
    records = [record for record in read(log) if isinstance(record, DecisionRecord)]
    return [(r, evaluate(r.facts, judge_by, model if r.model_version else None).outcome) for r in records]


def test_a_changed_policy_is_counted_as_a_plain_recount_does(logged: Logged, lower: Path) -> None:
    """Matrix, groups, reasons and examples are those of judging each record alone and counting."""
    report = replay([logged.log], order(lower), now=NOON)
    counted = recount(logged.log, lower)
    matrix = Counter((Outcome.of(record.outcome), now) for record, now in counted)
    assert report.matrix == tuple(tuple(matrix[then, now] for now in Outcome) for then in Outcome)
    severer = {record.decision_id for record, now in counted if now > Outcome.of(record.outcome)}
    assert report.newly_hit.decisions == len(severer) > 0
    assert {example.decision_id for example in report.newly_hit.examples} <= severer
    assert sum(count for _, count in report.newly_hit.causes) == len(severer)
    by_action = Counter(record.facts.action.name for record, _ in counted)
    assert {row.name: row.decisions for row in report.by["action"]} == by_action
    stepped_up = Counter(record.facts.action.name for record, now in counted if now is Outcome.STEP_UP)
    assert {row.name: row.step_up.now.count for row in report.by["action"]} == {n: stepped_up[n] for n in by_action}
    hits = Counter(code for record, _ in counted for code in record.hits)
    assert {row.code: row.then for row in report.reasons} == dict(hits)
    assert sum(report.scores_now) == report.judged == len(counted)


def test_examples_say_what_changed(logged: Logged, tmp_path: Path) -> None:
    """An example's new reasons are those that the record lacks, and a disabled signal's are gone."""
    without = amended(
        tmp_path,
        ("fail_mode: step_up\n\n", "fail_mode: step_up\n\nsignals:\n  leaked_credential: {enabled: false}\n\n"),
    )
    report = replay([logged.log], order(without), now=NOON)
    assert report.let_go.decisions > 0
    assert all("leaked_credential" in example.gone for example in report.let_go.examples)
    back = replay([logged.log], order(amended(tmp_path, LOWER), examples=3), now=NOON)
    assert len(back.newly_hit.examples) == 3
    ranks = [example.rank for example in back.newly_hit.examples]
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("jobs", [1, 2])
def test_processes_and_blocks_change_nothing(
    logged: Logged, lower: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """Many small blocks, in this process or in two, give the report that one block gives."""
    whole = replay([logged.log], order(lower), now=NOON)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 30_000)
    monkeypatch.setattr(blocks, "ALONE", 1)
    told: list[int] = []
    assert plain(replay([logged.log], order(lower), now=NOON, engine=Local(jobs), tell=told.append)) == plain(whole)
    assert told == sorted(told)
    assert told[-1] == whole.decisions
    assert len(told) > 2


def test_compressed_and_parquet_logs_give_the_same(logged: Logged, lower: Path, tmp_path: Path) -> None:
    """JSONL, rotated and compressed files, and Parquet are the same log."""
    whole = plain(replay([logged.log], order(lower), now=NOON))
    compressed = tmp_path / "compressed"
    shutil.copytree(logged.log, compressed)
    for path in sorted(compressed.glob("*.jsonl"))[::2]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert plain(replay([compressed], order(lower), now=NOON)) == whole
    folder = tmp_path / "parquet"
    folder.mkdir()
    export(read_lines(logged.log), folder / "log.parquet")
    assert plain(replay([folder], order(lower), now=NOON)) == whole
    assert plain(replay([folder / "log.parquet"], order(lower), now=NOON)) == whole
    assert plain(replay(sorted(logged.log.iterdir()), order(lower), now=NOON)) == whole


def test_a_span_takes_its_decisions_and_all_their_outcomes(logged: Logged) -> None:
    """Decisions are those with since ≤ time < until, and an outcome counts that came after the span."""
    records = list(read(logged.log))
    decided = [record for record in records if isinstance(record, DecisionRecord)]
    labelled = next(record for record in records if isinstance(record, OutcomeRecord))
    (first,) = (record for record in decided if record.decision_id == labelled.decision_id)
    assert labelled.recorded_at > first.evaluated_at
    until = first.evaluated_at + timedelta(microseconds=1)
    report = replay([logged.log], order(since=first.evaluated_at, until=until), now=NOON)
    assert report.decisions == sum(record.evaluated_at == first.evaluated_at for record in decided) == 1
    assert report.catch.then.of + report.friction.then.of == 1


def test_labels_are_what_became_of_decisions(logged: Logged) -> None:
    """Catch and friction count each labelled decision once, under the word that weighs most."""
    report = replay([logged.log], order(), now=NOON)
    told: dict[str, list[Reported]] = {}
    for record in read(logged.log):
        if isinstance(record, OutcomeRecord):
            told.setdefault(record.decision_id, []).append(record.outcome)
    assert any(len(outcomes) > 1 for outcomes in told.values())
    assert report.catch.then.of + report.friction.then.of == len(told)
    attacks = {row.label: row.stopped.then.of for row in report.attacks}
    assert attacks["step_up_failed"] == sum(Reported.STEP_UP_FAILED in outcomes for outcomes in told.values())
    assert attacks.get("reported_by_user", 0) == sum(Reported.REPORTED_BY_USER in outs for outs in told.values())
    low, high = report.catch.then.interval
    assert low <= report.catch.then.share <= high
    assert report.catch.change == 0


def test_another_model_or_none_may_judge(logged: Logged, version: str) -> None:
    """A model of choice judges all decisions, those made without one included, and a failed one is asked anew."""
    by_version = replay([logged.log], order(model=version), now=NOON)
    assert by_version.judged == by_version.decisions
    assert by_version.degraded[1] == by_version.degraded[0]  # the same model failed on these
    without = replay([logged.log], order(model=NONE), now=NOON)
    assert without.judged == without.decisions
    assert without.degraded[1] < without.degraded[0]
    assert set(without.models_then) == {version, "none"}


def test_a_model_that_is_gone_leaves_its_decisions_unanswered(logged: Logged, tmp_path: Path, version: str) -> None:
    """Decisions of a model that is not there are not judged without it in silence."""
    report = replay([logged.log], order(models=tmp_path), now=NOON)
    (why,) = report.not_judgeable
    assert version in why
    assert report.judged + report.not_judgeable[why] == report.decisions
    assert report.judged == report.models_then["none"]


def test_lines_that_are_no_record_are_counted(logged: Logged, tmp_path: Path) -> None:
    """Damaged, foreign, overlong and torn lines are told and change nothing else."""
    whole = replay([logged.log], order(), now=NOON)
    log = tmp_path / "log"
    shutil.copytree(logged.log, log)
    with min(log.glob("*.jsonl")).open("ab") as file:
        file.write(b'{"record":"decision"}\nnonsense\n\xff\xfe\n[[[\n{"v":2}\n' + b"x" * 70_000 + b'\n{"record":"dec')
    report = replay([log], order(), now=NOON)
    assert report.refused_lines == {"damaged": 4, "version": 1, "too_long": 1, "torn": 1}
    assert plain(report) | {"refused_lines": {}} == plain(whole)


def test_an_empty_log_is_a_report_of_nothing(tmp_path: Path) -> None:
    """A log without decisions gives zeros and no failure."""
    (tmp_path / "empty.jsonl").touch()
    report = replay([tmp_path / "empty.jsonl"], order(), now=NOON)
    assert (report.decisions, report.judged, report.first) == (0, 0, None)
    assert report.step_up.now.interval == (0.0, 1.0)


def test_what_is_wrong_beforehand_is_said_beforehand(logged: Logged, tmp_path: Path) -> None:
    """A missing log, a broken policy, an unknown model and a policy that changes meanwhile are told."""
    with pytest.raises(ConfigError, match="no decision log"):
        replay([tmp_path], order(), now=NOON)
    with pytest.raises(ConfigError, match="no decision log"):
        replay([logged.log / "nothing"], order(), now=NOON)
    broken = tmp_path / "broken.yaml"
    broken.write_text("version: 1\n")
    with pytest.raises(PolicyError):
        order(broken)
    with pytest.raises(ModelError):
        order(model="20200101-00000000")
    asked = order()
    with pytest.raises(ConfigError, match="changed while"):
        Work(msgspec.structs.replace(asked, revision="0" * 12))


def test_the_log_may_be_named_in_every_way(logged: Logged) -> None:
    """The data folder is as good as its `log/`, and so are a glob and a URI."""
    whole = plain(replay([logged.log], order(), now=NOON))
    for named in (logged.log.parent, f"{logged.log}/*.jsonl", f"file://{logged.log}"):
        assert plain(replay([named], order(), now=NOON)) == whole


def test_notes_tell_what_replay_cannot_know(logged: Logged, tmp_path: Path) -> None:
    """A policy that counts other actions as sensitive is told to judge by the counts of the day."""
    other = amended(tmp_path, ("    names: [read, view, list, search]\n", "    names: [read, view, list]\n"))
    unchanged = replay([logged.log], order(), now=NOON).notes
    changed = replay([logged.log], order(other), now=NOON).notes
    assert len(changed) == len(unchanged) + 1
