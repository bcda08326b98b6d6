"""The report for people: a page that needs nothing else, and tables for the terminal."""

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from riskd.learn.blocks import Local
from riskd.learn.evaluate import Evaluated, evaluate
from riskd.learn.evaluate.page import page
from riskd.learn.evaluate.table import show
from riskd.record.reader import read_lines
from riskd.record.schema import DecisionRecord, decode, encode
from tests.learn.evaluate.conftest import World
from tests.learn.replay.test_page import HOSTILE, read


def printed(report: Evaluated) -> str:
    """What the terminal shows."""
    console = Console(width=200, file=StringIO())
    with console.capture() as shown:
        show(report, console)
    return shown.get()


def test_the_page_needs_nothing_else(evaluated: Evaluated) -> None:
    """No script, link, image or address; tags nest; both colour schemes, phone and print are styled."""
    text = page(evaluated)
    tags = read(text)
    assert tags.seen.isdisjoint({"script", "link", "img", "iframe", "object", "base", "form"})
    assert not re.search(r"https?:|url\(|@import|javascript:", text)
    assert text.count("prefers-color-scheme: dark") == 2
    assert "@media print" in text
    assert "nan" not in re.sub(r"<style>.*</style>", "", text, flags=re.DOTALL).lower().split()


def test_the_page_says_everything(evaluated: Evaluated) -> None:
    """Prevalence, every kind, curves, calibration, groups, re-authentications, features, misses and notes are there."""
    said = read(page(evaluated)).text
    for title in (
        "Friction and catch", "Curves of the score", "Curves of the anomaly", "ROC", "Precision and recall",
        "Calibration", "Threshold transfer", "Re-authentications per subject", "Groups and fairness",
        "What features are worth", "Attacks that came through", "Honest attempts that were stopped",
    ):  # fmt: skip
        assert title in said
    assert f"{evaluated.prevalence} are attacks" in said
    assert all(curve.kind.replace("_", " ") in said for curve in evaluated.curves["score"])
    assert all(miss.decision_id in said for miss in evaluated.misses)
    assert all(note in said for note in evaluated.notes)
    assert evaluated.importance[0].feature in said


def test_the_terminal_says_prevalence_and_the_rest(evaluated: Evaluated) -> None:
    """The table of friction and catch comes first, prevalence always, then what stands behind them."""
    told = printed(evaluated)
    assert told.index("honest logins stepped up or denied") < told.index("thresholds on the score")
    assert "Prevalence:" in told
    assert "by country" in told
    assert "attacks that came through" in told


def test_names_in_a_log_do_no_harm(world: World, tmp_path: Path) -> None:
    """Markup in actions, reasons, kinds and versions is shown as text, on the page and in the terminal."""
    log, truth = tmp_path / "log.jsonl", tmp_path / "truth.jsonl"
    with log.open("wb") as out:
        for record in map(decode, read_lines(world.simulated.log)):
            if isinstance(record, DecisionRecord):
                action = msgspec.structs.replace(record.facts.action, name=HOSTILE)
                facts = msgspec.structs.replace(record.facts, action=action)
                spoilt = msgspec.structs.replace(
                    record, facts=facts, reasons=((HOSTILE, 3.0),), model_version=HOSTILE, policy_revision=HOSTILE
                )
                out.write(encode(spoilt) + b"\n")
    truth.write_bytes(world.simulated.truth.read_bytes().replace(b'"spray"', msgspec.json.encode(HOSTILE)))
    report = evaluate(log, truth, engine=Local(1))
    text = page(report)
    assert HOSTILE not in text
    assert read(text).text.count(HOSTILE) > 10
    assert HOSTILE in printed(report)


@pytest.mark.parametrize("part", ["calibration", "transfer", "importance", "misses", "false_alarms"])
def test_what_is_missing_is_said(evaluated: Evaluated, part: str) -> None:
    """A report without a part is still a page and a print, and the page says that there is none."""
    without = replace(evaluated, **{part: ()}, importance_note="no model was asked for")
    text = page(without)
    read(text)
    assert len(text) < len(page(evaluated))
    printed(without)
    if part == "importance":
        assert "no model was asked for" in text
