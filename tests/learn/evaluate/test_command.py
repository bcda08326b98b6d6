"""`riskd evaluate`, as a person calls it."""

import json
from pathlib import Path

from tests.learn.evaluate.conftest import World
from tests.learn.replay.test_command import riskd


def test_the_report_is_printed_as_json_and_written_as_a_page(world: World, tmp_path: Path) -> None:
    """Truth beside the log is found, each share has hits, total and interval, and the page is written."""
    out = tmp_path / "page.html"
    folder = world.simulated.log.parent
    done = riskd(tmp_path, "evaluate", "--log", folder, "--model", "none", "--html", out, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["decisions"] == len(world.decisions)
    assert set(report["honest_logins"]) == {"hits", "total", "share", "interval"}
    assert report["importance_note"] == "no model was asked for"
    assert report["curves"]["anomaly"][0]["kind"] == "all"
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_mistake_is_one_line(world: World, tmp_path: Path) -> None:
    """A model that is not there is told in one line, and nothing is printed or written."""
    out = tmp_path / "page.html"
    words = "--log", world.simulated.log.parent, "--model", "20200101-00000000", "--html", out
    done = riskd(tmp_path, "evaluate", *words)
    assert done.returncode != 0
    assert done.stderr.startswith("riskd: ")
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout
    assert not out.exists()
