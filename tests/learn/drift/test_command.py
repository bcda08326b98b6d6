"""`riskd drift`, as a person and a scheduler call it."""

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

import riskd.cli.drift
from riskd.cli.root import app, console
from riskd.errors import ConfigError
from riskd.facts import PlaceFacts
from riskd.record.schema import DecisionRecord, Record
from tests import command
from tests.learn.drift.conftest import MODELS, changed, day, write

AGAINST = ("--against", "2026-01-01..2026-01-29")


assert riskd.cli.drift.drift  # imported for its command


def drift(log: Path, *words: str | Path) -> Result:
    """Run the command here."""
    return CliRunner().invoke(app, ["drift", "--log", str(log), *map(str, words)], catch_exceptions=False)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKD_MODELS_DIR", str(MODELS))
    monkeypatch.setattr(console, "width", 120)


def nowhere(record: DecisionRecord) -> DecisionRecord:
    """The same, had the database of places been lost."""
    return replace(record, facts=replace(record.facts, place=PlaceFacts()))


@pytest.fixture(scope="module")
def moved_log(steady: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log in which everybody comes from an unknown place from a day on."""
    return write(tmp_path_factory.mktemp("moved") / "log.jsonl", changed(steady, nowhere, since=day(34)))


def test_the_report_is_a_table(moved_log: Path) -> None:
    """It says first what moved, then shares and measures, with the day."""
    done = drift(moved_log, *AGAINST)
    assert done.exit_code == 0
    said, row = [line for line in done.stdout.splitlines() if re.match(r"\s+country[, ]", line)]
    assert said.strip().startswith("country, since 2026-02-04: unknown ")
    assert row.split()[-2:] == ["large", "2026-02-04"]


def test_a_scheduler_reads_json_and_the_exit_code(moved_log: Path, steady_log: Path) -> None:
    """`--json` prints the report, and with `--fail-over` the code is 1 only where something moved that far."""
    done = command.riskd("drift", "--log", moved_log, *AGAINST, "--json", "--fail-over", "0.25", MODELS_DIR=MODELS)
    assert done.returncode == 1
    assert "moved by 0.25 or more: " in done.stderr
    report = json.loads(done.stdout)
    assert {one["name"] for one in report["measures"] if one["reading"] == "large"} >= {"country"}
    assert report["now"]["last"] == "2026-02-11"
    assert drift(steady_log, *AGAINST, "--fail-over", "0.25").exit_code == 0
    left_out = [
        word for one in report["measures"] if one["reading"] != "steady" for word in ("--leave-out", one["name"])
    ]
    assert drift(moved_log, *AGAINST, "--fail-over", "0.25", *left_out).exit_code == 0


def test_prometheus_reads_the_gauges(moved_log: Path, tmp_path: Path) -> None:
    """`--metrics` writes one gauge per measure and share in the text format."""
    out = tmp_path / "riskd_drift.prom"
    assert drift(moved_log, *AGAINST, "--metrics", out).exit_code == 0
    found = {family.name: family.samples for family in text_string_to_metric_families(out.read_text(encoding="utf-8"))}
    index = {sample.labels["measure"]: sample.value for sample in found["riskd_drift_psi"]}
    noise = {sample.labels["measure"]: sample.value for sample in found["riskd_drift_noise"]}
    assert index.keys() == noise.keys()
    assert index["country"] > 0.25 > noise["country"]
    assert {sample.labels["share"] for sample in found["riskd_drift_share"]} >= {"step_up", "deny"}
    assert found["riskd_drift_last_day_timestamp_seconds"][0].value == 1_770_768_000


def test_a_mistake_is_one_clear_line(steady_log: Path, tmp_path: Path) -> None:
    """Days that are none, a model that is none, a folder that is not there: one line that says what to do instead."""
    for words, code, told in (
        (("--against", "last month"), 2, "write 2026"),
        (("--against", "2026-02-01..2026-01-01"), 2, "names no days; write 2026-08-01..2026-09-01"),
        (("--against", "2026-01-01"), 2, "names no days"),
        (("--since", "yesterday", *AGAINST), 2, "is no day or instant"),
        (("--metrics", str(tmp_path / "none" / "out.prom"), *AGAINST), 2, "No such file"),
    ):
        done = drift(steady_log, *words)
        assert (done.exit_code, len(done.stderr.strip().splitlines())) == (code, 1), words
        assert told in done.stderr
    for words in (("--model", "20200101-00000000", *AGAINST), ()):
        with pytest.raises(ConfigError):
            drift(steady_log, *words)
