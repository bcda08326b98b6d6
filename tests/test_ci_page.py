"""docs/ci.md: its commands run as written, and what it shows of pipelines and bands is what they are."""

import re
from xml.etree import ElementTree as ET

import pytest

from riskd.learn.bands import SHIPPED_BANDS
from riskd.learn.simulate.chosen import NAMES
from tests.pages import Page

PAGE = Page.of("ci.md")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run all commands, and return what each block printed."""
    folder = tmp_path_factory.mktemp("ci") / "ci"
    blocks = PAGE.run(folder)
    assert ET.parse(folder / "gate.xml").getroot().get("failures") == "0"  # noqa: S314 - our own document
    return blocks


def test_the_page_keeps_its_word(printed: list[str]) -> None:
    """The shipped policy passes its check, its cases and the gate; a policy made generous does not pass the gate."""
    first, held, broken, evaluated = printed
    assert "passed" in first
    assert "broken" not in held
    assert re.search(r"^broken: .*the band is at least", broken, re.MULTILINE)
    assert broken.rstrip().endswith("the build fails: 1")
    assert "very_targeted" in evaluated


def test_pipelines_run_what_the_page_runs() -> None:
    """Each command of riskd in a pipeline is one that the page runs, but for the size of the world."""
    run = {line for block in PAGE.blocks for line in block.splitlines()}
    commands = re.findall(r"^\s+- (?:run: )?(riskd .*)$", PAGE.text, re.MULTILINE)
    assert len(commands) == 6
    assert all(any(line.startswith(command) for line in run) for command in commands)


def test_the_bands_shown_are_the_shipped_ones() -> None:
    """Word for word."""
    assert f"```yaml\n{SHIPPED_BANDS.read_text(encoding='utf-8')}```\n" in PAGE.text


def test_every_attacker_is_told_of() -> None:
    """The table names each that can be asked for."""
    assert set(re.findall(r"^\| `([a-z-]+)` \| [a-z]", PAGE.text, re.MULTILINE)) >= set(NAMES)
