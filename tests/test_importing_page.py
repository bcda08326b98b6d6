"""docs/importing.md runs as written, from a CSV to a store that was lost and taught again."""

import json
import re

import pytest

from tests.pages import Page

GUIDE = Page.of("importing.md")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run all commands, and return what each block printed."""
    return GUIDE.run(tmp_path_factory.mktemp("importing") / "history")


def test_history_comes_in_and_is_taught(printed: list[str]) -> None:
    """The unusable row is counted, alice's three logins are taught, and her laptop is known."""
    _, _, imported, taught, decided, *_ = printed
    assert "4 attempts from 2026-10-05 to 2026-10-07" in imported
    assert "1: context.ip" in imported
    assert "taught 3 confirmed attempts and 0 reports of 1 subjects; 0 were known" in taught
    decision = json.loads(decided)
    assert (decision["decision"], decision["degraded"]) == ("allow", [])
    assert "new_device" not in {reason["code"] for reason in decision["reasons"]}


def test_the_way_back(printed: list[str]) -> None:
    """The loss is seen and accepted, the same three logins are taught again, and nothing is degraded."""
    *_, lost, listed, _, _ = printed
    assert "history LOST" in lost
    assert "accepted: history starts anew" in lost
    assert "taught 3 confirmed attempts" in lost
    decision = json.loads(lost[lost.index("{") :])
    assert (decision["decision"], decision["degraded"]) == ("allow", [])
    (habit,) = [reason for reason in decision["reasons"] if reason["code"] == "learning_period"]
    assert habit["detail"]["confirmed_successes"] == 3.0
    assert "taught 0 confirmed attempts" in listed


def test_real_logs_come_in(printed: list[str]) -> None:
    """The page promises numbers of the real logs, and they are these."""
    *_, hosts, rba = printed
    assert "1,350 attempts" in hosts
    accepted = next(line for line in hosts.splitlines() if "succeeded" in line)
    assert [int(number) for number in re.findall(r"\d+", accepted)] == [224, 2, 0]
    assert "2,000 attempts from 2020-02-03 to 2020-02-03" in rba
    assert "2,000: Login Timestamp: lost its hour" in rba
