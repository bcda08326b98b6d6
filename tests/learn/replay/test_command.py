"""`riskd replay` and `riskd log export`, as a person calls them."""

import json
from pathlib import Path
from subprocess import CompletedProcess

from tests import command
from tests.learn.replay.conftest import MODELS, Logged, amended


def riskd(data: Path, *words: str | Path) -> CompletedProcess[str]:
    """Run the command in a data folder."""
    return command.riskd(*words, cwd=data, DATA_DIR=data, MODELS_DIR=MODELS, POLICY="riskd.yaml")


def test_the_policy_in_use_reproduces_its_own_log(logged: Logged) -> None:
    """Without a policy named, the one in use judges the data folder's log, and all is identical."""
    done = riskd(logged.log.parent, "replay")
    assert done.returncode == 0, done.stderr
    number = f"{len(logged.decisions):,}"
    assert f"identical: {number} of {number}" in done.stdout


def test_a_new_policy_is_reported_in_json_and_html(logged: Logged, tmp_path: Path) -> None:
    """`--json` prints the report and `--html` writes the page, over several logs in one call."""
    new = amended(tmp_path, ("  step_up: 50\n", "  step_up: 12\n"))
    out = tmp_path / "report.html"
    done = riskd(logged.log.parent, "replay", "--policy", new, "--log", logged.log, "--json", "--html", out)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["judged"] == len(logged.decisions)
    assert report["newly_hit"]["decisions"] > 0
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_log_is_exported_and_replayed(logged: Logged, tmp_path: Path) -> None:
    """What `riskd log export` wrote is replayed as the log is, and never written over."""
    out = tmp_path / "log.parquet"
    done = riskd(logged.log.parent, "log", "export", "--parquet", out, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["records"] == len(logged.decisions) + logged.outcomes
    again = riskd(logged.log.parent, "log", "export", "--parquet", out)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    replayed = riskd(logged.log.parent, "replay", "--log", out, "--json")
    assert json.loads(replayed.stdout)["identical"] == len(logged.decisions)


def test_a_mistake_is_one_clear_line(logged: Logged, tmp_path: Path) -> None:
    """A missing log or policy, and a day that is none, end in one line and never in a traceback."""
    for words, code in (
        (("replay", "--log", tmp_path / "none"), 78),
        (("replay", "--policy", tmp_path / "none.yaml"), 78),
        (("replay", "--model", "nonsense"), 78),
        (("replay", "--since", "yesterday"), 2),
    ):
        done = riskd(logged.log.parent, *words)
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith("riskd: ")
        assert len(done.stderr.strip().splitlines()) == 1
