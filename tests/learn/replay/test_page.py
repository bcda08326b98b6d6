"""The report for people: a page that needs nothing else, and tables for the terminal."""

import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from riskd.learn.replay.page import page
from riskd.learn.replay.report import Report
from riskd.learn.replay.run import replay
from riskd.learn.replay.table import show
from riskd.policy.load import SHIPPED
from tests.conftest import NOON
from tests.learn.replay.conftest import Logged, amended, order

HOSTILE = "<script>alert(1)</script>\"'&[red]"
VOID = {"meta", "line", "circle", "rect", "polygon", "polyline", "br"}


class Tags(HTMLParser):
    """Follows the tags and what they hold."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a tag; those that may stand alone close themselves."""
        self.seen.add(tag)
        assert not any(name.startswith("on") or name in {"src", "href"} for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost tag, which must be this one."""
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Take text."""
        self.text += data


@pytest.fixture(scope="module")
def changed(logged: Logged, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report in which everything has something to say."""
    lower = amended(tmp_path_factory.mktemp("lower"), ("  step_up: 50\n", "  step_up: 12\n"))
    return replay([logged.log], order(lower, models=lower.parent), now=NOON)


@pytest.fixture(scope="module")
def full(logged: Logged, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report with all models at hand."""
    lower = amended(tmp_path_factory.mktemp("full"), ("  step_up: 50\n", "  step_up: 12\n"))
    return replay([logged.log], order(lower), now=NOON)


def read(text: str) -> Tags:
    """Read a page; its tags must nest."""
    tags = Tags()
    tags.feed(text)
    tags.close()
    assert tags.open == []
    return tags


def test_the_page_needs_nothing_else(full: Report) -> None:
    """No script, link, image or address; tags nest; both colour schemes and print are styled."""
    text = page(full)
    tags = read(text)
    assert tags.seen.isdisjoint({"script", "link", "img", "iframe", "object", "base", "form"})
    assert not re.search(r"https?:|url\(|@import|javascript:", text)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_the_page_tells_all(full: Report) -> None:
    """What is in the report stands on the page: rates, examples with their reasons, groups, notes."""
    text = read(page(full)).text
    assert f"{full.newly_hit.decisions:,} decisions become severer" in text
    for example in full.newly_hit.examples:
        assert example.decision_id in text
    for row in full.by["action"]:
        assert row.name in text
    assert full.notes[0] in text
    assert "Attacks caught" in text
    assert page(full).count("<svg") > 5


def test_what_is_not_judgeable_is_told(changed: Report) -> None:
    """Page and terminal give the number and the reason of decisions that cannot be judged."""
    (why,) = changed.not_judgeable
    assert why in read(page(changed)).text
    console = Console(width=100, file=StringIO(), force_terminal=False)
    with console.capture() as shown:
        show(changed, console)
    assert f"not re-judgeable: {changed.not_judgeable[why]:,}" in shown.get()


def test_the_terminal_shows_the_same(full: Report) -> None:
    """Matrix, shares, groups, reasons and examples are printed within eighty columns."""
    console = Console(width=80, file=StringIO(), force_terminal=False)
    with console.capture() as shown:
        show(full, console)
    text = shown.get()
    assert max(map(len, text.splitlines())) <= 80
    for word in ("identical:", "by action", "by country", "by device", "by reason", "newly hit", "attacks caught"):
        assert word in text
    assert full.newly_hit.examples[0].decision_id in text


def test_callers_words_are_only_words(full: Report) -> None:
    """A name that looks like markup is shown as it is, on the page and in the terminal."""
    row = msgspec.structs.replace(full.by["action"][0], name=HOSTILE)
    example = msgspec.structs.replace(full.newly_hit.examples[0], action=HOSTILE, country=HOSTILE, device=HOSTILE)
    hostile = msgspec.structs.replace(
        full,
        by={name: (row, *rows) for name, rows in full.by.items()},
        newly_hit=msgspec.structs.replace(full.newly_hit, examples=(example,), causes=((HOSTILE, 3),)),
        not_judgeable={HOSTILE: 1},
        differing={HOSTILE: 1},
        policy=HOSTILE,
        log=(HOSTILE,),
    )
    tags = read(page(hostile))
    assert "script" not in tags.seen
    assert HOSTILE in tags.text
    console = Console(width=200, file=StringIO(), force_terminal=False)
    with console.capture() as shown:
        show(hostile, console)
    assert HOSTILE in shown.get()


@pytest.mark.parametrize("lines", [b"", b"nonsense\n"])
def test_a_report_of_nothing_has_a_page(lines: bytes, tmp_path: Path) -> None:
    """Without a decision there is a page all the same, and a terminal that says so."""
    log = tmp_path / "some.jsonl"
    log.write_bytes(lines)
    report = replay([log], order(SHIPPED / "default.yaml"), now=NOON)
    assert "Replay of 0 decisions" in read(page(report)).text
    console = Console(width=80, file=StringIO())
    with console.capture() as shown:
        show(report, console)
    assert "0 decisions" in shown.get()


def test_one_decision_has_a_page(logged: Logged, tmp_path: Path) -> None:
    """A log of a single decision draws every chart without dividing by nothing."""
    first = min(logged.log.glob("*.jsonl")).read_bytes().split(b"\n", 1)[0]
    log = tmp_path / "one.jsonl"
    log.write_bytes(first + b"\n")
    read(page(replay([log], order(), now=NOON)))
