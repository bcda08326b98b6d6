"""docs/models.md runs as written, from the first model to the signed one."""

import re

import pytest

from tests.pages import Page

GUIDE = Page.of("models.md")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run all commands, and return what each block printed."""
    return GUIDE.run(tmp_path_factory.mktemp("models") / "page")


def test_the_guide_keeps_its_word(printed: list[str]) -> None:
    """The second model is a candidate, held back by the narrow margin, promoted by the wider, taken back and signed."""
    _, _, trained, refused, promoted, forced, shown, signed = printed
    assert re.findall(r"│ (current|candidate) ", trained) == ["candidate", "current"]
    assert "gate false alarms: failed" in refused
    assert "still the old one: exit code 1" in refused
    assert "gate catch: passed" in promoted
    assert re.search(r"^\S+ is current; before it \S+ was", promoted, re.MULTILINE)
    assert "is current again" in forced
    assert [word for word in ("passed its gates, by ada", "rolled back", "forced") if word not in shown] == []
    assert signed.count("would be refused") == 1
    assert "says " in signed
