"""What a log is found to have that the reference had not, and since when."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from riskd.anomaly.model import Model
from riskd.contract import Reported
from riskd.errors import ConfigError
from riskd.learn.drift.counts import MAX_DAYS, Counts, day_of
from riskd.learn.drift.measures import TEXTS, Bins, Sample, numbers_of
from riskd.learn.drift.rates import Rate
from riskd.learn.drift.watch import Moved, Report, Span, watch
from riskd.record.schema import DecisionRecord, OutcomeRecord, Record, encode_lines
from tests.learn.drift.conftest import BEGIN, DAYS, DECISIONS, changed, day, write

REFERENCE = Span(BEGIN, day(28))
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def look(log: Path | Sequence[Path], model: Model | None, **more: Any) -> Report:  # noqa: ANN401 - options of watch
    """Compare the last week with the first four."""
    logs = [log] if isinstance(log, Path) else log
    return watch(logs, model, now=NOW, **{"against": REFERENCE, **more})


def of(report: Report, name: str) -> Moved:
    """One measure of a report."""
    return next(one for one in report.measures if one.name == name)


def rate(report: Report, name: str) -> Rate:
    """One share of a report."""
    return next(one for one in report.rates if one.name == name)


@pytest.fixture(scope="module")
def quiet(steady_log: Path, model: Model) -> Report:
    """The log in which nothing moves, looked at."""
    return look(steady_log, model)


def without_offset(record: DecisionRecord) -> DecisionRecord:
    """A client that no longer sends its offset from UTC."""
    device = replace(record.facts.device, utc_offset_minutes=None)
    return replace(record, facts=replace(record.facts, device=device))


def on_phones(record: DecisionRecord) -> DecisionRecord:
    """Everybody got a phone, and is asked for more."""
    device = replace(record.facts.device, kind="mobile", family="iOS|Mobile Safari")
    return replace(record, facts=replace(record.facts, device=device), outcome="step_up", degraded=("geo",))


def test_where_nothing_moves_nothing_is_told(quiet: Report) -> None:
    """A month and the weeks after it are alike: nothing moved, in no measure and no share, with all counted."""
    assert [one.name for one in quiet.moved] == []
    assert [one.name for one in quiet.rates if one.moved] == []
    assert {one.name for one in quiet.measures} == {*numbers_of(None), *TEXTS, "reported"}
    assert (quiet.reference.days, quiet.now.days, len(quiet.days)) == (28, 7, 14)
    assert quiet.reference.decisions + sum(quiet.decisions_by_day) == DECISIONS
    assert quiet.over(0.25) == []


def test_shares_are_those_of_the_log(quiet: Report, steady: list[Record]) -> None:
    """Outcomes, reports and tails stand as counted by hand, and add up."""
    last = [record for record in steady if record.when >= day(35)]
    decisions = [record for record in last if isinstance(record, DecisionRecord)]
    denied = sum(record.outcome == "deny" for record in decisions) / len(decisions)
    assert rate(quiet, "deny").now == pytest.approx(denied)
    failed = [r for r in last if isinstance(r, OutcomeRecord) and r.outcome is Reported.LOGIN_FAILED]
    assert rate(quiet, "report login_failed").now == pytest.approx(len(failed) / len(decisions), abs=0.005)
    for one in quiet.measures:
        assert sum(bin_.now for bin_ in one.bins) == pytest.approx(1)
        assert sum(bin_.psi for bin_ in one.bins) == pytest.approx(one.psi)
    tails = [rate(quiet, f"anomaly above {tail:g}").now for tail in (0.9, 0.99, 0.999)]
    assert tails == sorted(tails, reverse=True)


def test_a_feature_that_is_no_longer_known_is_told_with_its_day(
    steady: list[Record], model: Model, tmp_path: Path
) -> None:
    """A client stops sending its offset: that feature is largely otherwise, since that very day, by its unknowns."""
    log = write(tmp_path / "log.jsonl", changed(steady, without_offset, since=day(33)))
    report = look(log, model)
    moved = of(report, "utc_offset_gap_minutes")
    assert moved.reading == "large"
    assert moved.unknown is not None
    assert moved.unknown[1] == 1
    assert moved.since is not None
    assert (moved.since.day, moved.since.or_before) == (date(2026, 2, 3), False)
    assert max(moved.by_day[:5]) < 0.1
    assert min(moved.by_day[5:]) > 1
    assert moved in report.over(0.25)


def test_what_is_asked_and_decided_is_told_too(steady: list[Record], model: Model, tmp_path: Path) -> None:
    """Another kind of device, all stepped up, degraded: attempts, outcomes and shares say so since that day."""
    log = write(tmp_path / "log.jsonl", changed(steady, on_phones, since=day(30)))
    report = look(log, model)
    for name in ("device_kind", "device_family", "outcome", "degraded"):
        assert of(report, name).reading == "large", name
        since = of(report, name).since
        assert since is not None
        assert since.day == date(2026, 1, 31), name
    assert rate(report, "step_up").moved
    assert (rate(report, "degraded").then, rate(report, "degraded").now) == (0, 1)
    assert of(report, "hour").reading in {"steady", "noise"}


def test_a_change_before_the_first_day_looked_at_is_said_so(steady: list[Record], model: Model, tmp_path: Path) -> None:
    """What moved between the reference and the first day is told as of that day or before."""
    log = write(tmp_path / "log.jsonl", changed(steady, without_offset, since=day(28)))
    since = of(look(log, model, since=day(31)), "utc_offset_gap_minutes").since
    assert since is not None
    assert (since.day, since.or_before) == (date(2026, 2, 1), True)


def test_a_small_sample_is_no_alarm(steady: list[Record], model: Model, tmp_path: Path) -> None:
    """Some thirty decisions that look quite otherwise by chance are noise, and fail no build."""
    first = [record for record in steady if record.when < day(28)]
    few = [record for record in steady if record.when >= day(28)][:60]
    report = look(write(tmp_path / "log.jsonl", [*first, *few]), model)
    assert max(one.psi for one in report.measures) > 0.25
    assert report.over(0.25) == []


def test_another_model_or_policy_is_named_and_moves_nothing(
    steady: list[Record], model: Model, tmp_path: Path, quiet: Report
) -> None:
    """Records of a newer model have the same features and scores here; that it decided is told with its day."""

    def newer(record: DecisionRecord) -> DecisionRecord:
        return replace(record, model_version="20260201-12345678", anomaly=0.9999, policy_revision="new")

    report = look(write(tmp_path / "log.jsonl", changed(steady, newer, since=day(31))), model)
    assert report.first_seen == {"model 20260201-12345678": date(2026, 2, 1), "policy new": date(2026, 2, 1)}
    assert [one.psi for one in report.measures] == [one.psi for one in quiet.measures]


def test_the_training_window_is_the_reference(steady_log: Path, model: Model, quiet: Report) -> None:
    """Without days named, what follows the model's training window is compared with it."""
    manifest, model.manifest = model.manifest, replace(
        model.manifest, trained_from=day(0), trained_until=day(28) - timedelta(microseconds=1)
    )  # fmt: skip
    try:
        report = look(steady_log, model, against=None)
    finally:
        model.manifest = manifest
    assert (report.reference, report.now) == (quiet.reference, quiet.now)
    assert [one.psi for one in report.measures] == [one.psi for one in quiet.measures]


def test_without_a_model_its_score_is_not_compared(steady_log: Path, quiet: Report) -> None:
    """Rarity and the anomaly score are unknown on both sides; the rest is as with one."""
    report = look(steady_log, None)
    assert of(report, "anomaly").unknown == (1, 1)
    assert of(report, "network_unseen_days").psi == of(quiet, "network_unseen_days").psi
    assert not any(one.name.startswith("anomaly") for one in report.rates)
    with pytest.raises(ConfigError, match="--against 2026-08-01"):
        look(steady_log, None, against=None)


def test_days_that_make_no_comparison_are_a_mistake_with_a_way_out(steady_log: Path, model: Model) -> None:
    """No reference, no day after it, an overlap, a measure that is none: each says what to do instead."""
    for options, told in (
        ({"against": Span(day(-60), day(-30))}, "name days that it holds: --against"),
        ({"against": None}, "the model's training window"),
        ({"against": Span(BEGIN, day(DAYS))}, "after the reference"),
        ({"since": day(20)}, "name a later --since"),
        ({"leave_out": frozenset({"hours"})}, "--leave-out: hours is not measured; these are: "),
    ):
        with pytest.raises(ConfigError, match=told):
            look(steady_log, model, **options)
    with pytest.raises(ConfigError, match="no decision log is there"):
        look(Path("/nowhere"), model)


def test_measures_may_be_left_out(steady_log: Path, model: Model, quiet: Report) -> None:
    """What is expected to move is not looked at."""
    report = look(steady_log, model, leave_out=frozenset({"history_days", "score"}))
    assert len(report.measures) == len(quiet.measures) - 2


def test_hostile_lines_are_counted_and_passed_over(
    steady: list[Record], model: Model, tmp_path: Path, quiet: Report
) -> None:
    """Damaged, foreign and endless lines, times at both ends of the calendar: the rest is found as without them."""
    record = next(record for record in steady if isinstance(record, DecisionRecord))
    line = encode_lines([record])
    odd = [line.replace(record.evaluated_at.isoformat().replace("+00:00", "Z").encode(), at) for at in (
        b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00")]  # fmt: skip
    assert all(one != line for one in odd)
    lines = [b"\xff\n", b"{}\n", b'{"v": 9, "record": "decision"}\n', b"x" * 70_000 + b"\n", *odd]
    log = tmp_path / "log.jsonl"
    log.write_bytes(encode_lines(steady) + b"".join(lines) + b'{"half')
    report = look(log, model, until=day(DAYS))
    assert report.refused == {"damaged": 2, "version": 1, "too_long": 1, "torn": 1}
    assert [one.psi for one in report.measures] == [one.psi for one in quiet.measures]
    assert day_of(datetime.max.replace(tzinfo=UTC)) == date.max


def test_days_are_bounded(steady: list[Record], model: Model) -> None:
    """A log of more days than are kept apart has the others counted as left out."""
    record = next(record for record in steady if isinstance(record, DecisionRecord))
    sample = Sample(model)
    sample.offer([record])
    counts = Counts(Bins(sample.measures()), model)
    counts.take([replace(record, evaluated_at=BEGIN - timedelta(days=number)) for number in range(MAX_DAYS + 5)])
    assert (len(counts.decisions), counts.beyond) == (MAX_DAYS, 5)
    counts.report(OutcomeRecord(
        decision_id="x", recorded_at=BEGIN + timedelta(days=9), at=BEGIN, outcome=Reported.LOGIN_FAILED,
        source="reported"))  # fmt: skip
    assert counts.beyond == 6


def test_several_logs_are_one(steady: list[Record], model: Model, tmp_path: Path, quiet: Report) -> None:
    """Workers' logs, however the records are dealt out, are looked at as one."""
    logs = [write(tmp_path / f"{part}.jsonl", steady[part::3]) for part in range(3)]
    report = look(logs, model)
    assert [one.psi for one in report.measures] == [one.psi for one in quiet.measures]
