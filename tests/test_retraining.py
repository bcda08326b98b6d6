"""docs/retraining.md runs as written, and what deploy/retraining schedules are commands that exist."""

import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from prometheus_client import CollectorRegistry

from riskd.cli import FAMILIES
from riskd.cli.root import app
from riskd.learn.drift.report import gauges
from riskd.metrics import Histogram, Metrics
from tests.pages import ROOT, Page

GUIDE = Page.of("retraining.md")
DEPLOY = ROOT / "deploy" / "retraining"
SCRIPTS = sorted(DEPLOY.glob("*.sh"))


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run all commands, and return what each block printed."""
    return GUIDE.run(tmp_path_factory.mktemp("retraining") / "moved")


def commands_in(text: str) -> Iterator[list[str]]:
    """Yield each command of riskd in a script, page or rule, without its first word and what the shell adds."""
    text = re.sub(r"\\\n\s*", " ", text)
    for found in re.findall(r"^(?:mv .* && )?riskd ([a-z].*)$", text, re.MULTILINE):
        plain = re.split(r" (?:\|\||&&|>|\|) ", re.sub(r"\s# .*$", "", found))[0]
        yield [re.sub(r"\$\{[^}]*\}|\$\w+", "2026-01-01", word) for word in shlex.split(plain)]


def test_the_guide_finds_what_moved_and_promotes(printed: list[str]) -> None:
    """Drift names the feature and its day, by hand and as scheduled, the gauges hold it, the candidate is promoted."""
    looked = [out for out in printed if "shares that moved" in out]
    assert len(looked) == 2
    for out in (GUIDE.text, *looked):
        assert re.search(
            r"^  utc_offset_gap_minutes, since 2025-12-1[0-3]\S*: .*; unknown .* → 100.0 %$", out, re.MULTILINE
        )
    assert "something moved" in looked[1]
    assert float(re.findall(r'riskd_drift_psi{measure="utc_offset_gap_minutes"} (\S+)', looked[1])[0]) > 1
    assert any("is current; before it" in out for out in printed)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_shell_that_stops_at_a_failure(path: Path) -> None:
    """They parse, may be executed, and stop at the first failure."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", path], check=False).returncode == 0


def test_retraining_promotes_what_it_trained_and_nothing_else(tmp_path: Path) -> None:
    """The script trains on days that end three weeks ago, then promotes; where training fails it promotes nothing."""
    told = tmp_path / "told"
    (tmp_path / "riskd").write_text(f'#!/bin/sh\necho "$@" >> {told}\ntest ! -e {tmp_path}/broken\n', encoding="utf-8")
    (tmp_path / "riskd").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RISKD_DATA_DIR": "/state"}

    def run() -> int:
        told.write_text("", encoding="utf-8")
        return subprocess.run([DEPLOY / "retrain.sh"], env=environment, check=False).returncode

    assert run() == 0
    train, promote = told.read_text(encoding="utf-8").splitlines()
    days = re.findall(r"\d{4}-\d\d-\d\d", train)
    assert date.fromisoformat(days[1]) - date.fromisoformat(days[0]) == timedelta(days=159)
    assert promote == "models promote --log /state/log"
    (tmp_path / "broken").touch()
    assert run() != 0
    assert len(told.read_text(encoding="utf-8").splitlines()) == 1
    del environment["RISKD_DATA_DIR"]
    assert run() != 0
    assert not told.read_text(encoding="utf-8")


def test_commands_exist_with_these_options() -> None:
    """Every command of riskd in the scripts and the guide is one, and takes its options and values."""
    for family in FAMILIES:
        import_module(f"riskd.cli.{family}")
    root: Any = typer.main.get_command(app)
    found = [words for text in (GUIDE.text, *(p.read_text(encoding="utf-8") for p in SCRIPTS))
             for words in commands_in(text)]  # fmt: skip
    assert {words[0] for words in found} >= {"drift", "train", "models"}
    for words in found:
        command, rest = root.commands[words[0]], words[1:]
        if hasattr(command, "commands"):
            command, rest = command.commands[rest[0]], rest[1:]
        command.make_context("riskd", rest)  # raises for an option that is none, or a value that does not fit


def test_cron_runs_the_scripts_at_times_that_are() -> None:
    """Each line of the table has five fields of time, a user, and a script that is there."""
    lines = (DEPLOY / "crontab").read_text(encoding="utf-8").splitlines()
    jobs = [line.split() for line in lines if line and not line.startswith("#") and "=" not in line.split()[0]]
    assert {Path(job[6]).name for job in jobs} == {path.name for path in SCRIPTS}
    for job in jobs:
        assert job[5] == "riskd"
        assert is_schedule(job[:5])


def test_the_cron_jobs_of_kubernetes_are_whole() -> None:
    """Each parses, runs a script that the image holds, as the service's user, on mounts that are declared."""
    jobs = list(yaml.safe_load_all((DEPLOY / "cronjob.yaml").read_text(encoding="utf-8")))
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert [job["kind"] for job in jobs] == ["CronJob", "CronJob"]
    for job in jobs:
        assert job["apiVersion"] == "batch/v1"
        assert is_schedule(job["spec"]["schedule"].split())
        assert job["spec"]["concurrencyPolicy"] == "Forbid"
        pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        assert (pod["restartPolicy"], pod["securityContext"]["runAsUser"]) == ("Never", 10001)
        (container,) = pod["containers"]
        script = Path(container["command"][0])
        assert f"deploy/retraining/{script.name}" in image
        assert f"{script.parent}/" in image
        assert {one["name"] for one in container["env"]} == {"RISKD_DATA_DIR", "RISKD_MODELS_DIR"}
        assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}


def test_the_image_holds_what_training_needs() -> None:
    """It installs the learning extra, at the versions that pyproject.toml asks for."""
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    installed = re.findall(r'"([^"]+)"', (DEPLOY / "Dockerfile").read_text(encoding="utf-8").split("CMD")[0])
    assert set(installed) <= set(extra["learn"])
    assert {re.split("[>=]", one)[0] for one in installed} >= {"scikit-learn", "onnx", "pyarrow"}


def test_alerts_ask_for_metrics_that_are() -> None:
    """Every name in an expression is counted, written by `--metrics` or recorded by a rule; buckets are real ones."""
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    families = Metrics().snapshot().families
    names = {family.name for family in families} | {rule["record"] for rule in rules if "record" in rule}
    names |= {f"{f.name}_{end}" for f in families if f.kind == "histogram" for end in ("bucket", "count", "sum")}
    names |= {next(iter(gauge.describe())).name for gauge in gauges(CollectorRegistry())}
    anomaly: Histogram = Metrics().anomaly_scores
    for rule in rules:
        asked = re.findall(r"\briskd[_:][\w:]+", rule["expr"])
        assert asked
        assert set(asked) <= names, rule["expr"]
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert {float(bound) for bound in re.findall(r'le="([\d.]+)"', rule["expr"])} <= set(anomaly.bounds)


def is_schedule(fields: list[str]) -> bool:
    """Whether five fields are a time of cron, of the plain kinds: a number in range, or a star."""
    ranges = (range(60), range(24), range(1, 32), range(1, 13), range(8))
    return len(fields) == 5 and all(
        field == "*" or int(field) in span for field, span in zip(fields, ranges, strict=True)
    )
