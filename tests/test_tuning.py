"""docs/tuning.md runs as written, from the complaint to the merged change."""

import re

import pytest

from tests.pages import Page

GUIDE = Page.of("tuning.md")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run all commands, and return what each block printed, by its first words that are not `git`."""
    outputs = GUIDE.run(tmp_path_factory.mktemp("tuning") / "shop")
    return {name_of(block): out for block, out in zip(GUIDE.blocks, outputs, strict=True)}


def name_of(block: str) -> str:
    """What a block is about: its last command of riskd with its first word, or its last line."""
    asked = re.findall(r"^riskd (.*)$", block, re.MULTILINE)
    return asked[-1] if asked else block.strip().splitlines()[-1]


def test_the_log_is_told_and_replayed(printed: dict[str, str]) -> None:
    """The explanation says what was asked; the policy in use reproduces every decision."""
    assert "step_up from 30" in printed['explain "$ID"']
    assert re.search(r"identical: ([\d,]+) of \1\b", printed["replay --policy riskd.yaml --log data"])


def test_tuning_promises_and_changes(printed: dict[str, str]) -> None:
    """The first try prints a diff and leaves the file; the second one writes it; the last finds nothing to do."""
    tried = printed["tune --max-step-up 1% --within 1% --log data --html tuning.html"]
    assert "95 % prediction interval" in " ".join(tried.split())
    assert "riskd.yaml is not changed yet" in tried
    asked = "tune --max-step-up 3% --action login --action payment --log data"
    changed = re.findall(r"^[-+] .*", printed[f"{asked} --write"], re.MULTILINE)
    assert len(changed) == 2
    assert all("thresholds: {step_up: " in line for line in changed)
    assert "riskd.yaml has these thresholds already" in printed[asked]


def test_the_change_is_checked_tested_and_merged(printed: dict[str, str]) -> None:
    """The check shows the new thresholds, both cases pass, and the change is the second commit."""
    assert "login" in printed["check riskd.yaml"]
    assert "2 passed" in printed["test riskd.yaml"]
    assert len(printed["git log --oneline"].strip().splitlines()) == 2
