"""docs/lists.md: its commands run as written, and what it says of lists is what the code does."""

import re

import pytest

from riskd.policy.load import SHIPPED, parse
from riskd.policy.named import DEFAULT_EXEMPTS, MAX_INLINE, NEVER_EXEMPT
from riskd.store.entries import MAX_EXEMPTIONS, MAX_STORED
from tests.pages import Page

PAGE = Page.of("lists.md")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run all commands, and return what each block printed."""
    return PAGE.run(tmp_path_factory.mktemp("lists") / "lists")


def test_the_page_keeps_its_word(printed: list[str]) -> None:
    """Lists are checked in their order, an entry and an exemption come and go, and the trail tells all four changes."""
    check, added, granted, gone = printed
    assert check.index("fraudsters") < check.index("office")
    assert "card testing" in added
    assert "on holiday" in granted
    assert re.findall(r'"change":"(\w+)"', gone) == [
        "entry_added",
        "exemption_granted",
        "entry_removed",
        "exemption_withdrawn",
    ]


def test_the_example_is_a_policy() -> None:
    """The lists shown are sound."""
    (shown,) = re.findall(r"```yaml\n(.*?)```", PAGE.text, re.DOTALL)
    text = (SHIPPED / "default.yaml").read_text(encoding="utf-8")
    named = shown.partition("\n")[2]
    policy = parse(text.replace("  feeds: []\n", f"  feeds: []\n{named}").encode(), "riskd.yaml")
    assert len(policy.file.lists.named) == 6


def test_what_is_lifted_and_what_never_is() -> None:
    """The page names every signal that nothing lifts, what each list lifts by default, and the bounds."""
    _, _, first = PAGE.text.partition("1. **What nothing lifts.**")
    assert set(re.findall(r"`(\w+)`", first.partition("2. **")[0])) == NEVER_EXEMPT
    for of, codes in DEFAULT_EXEMPTS.items():
        (row,) = re.findall(rf"^\| `{of}` \| (`.*) \|$", PAGE.text, re.MULTILINE)
        assert re.findall(r"`(\w+)`", row) == list(codes)
    for bound in (MAX_INLINE, MAX_STORED, MAX_EXEMPTIONS):
        assert f"{bound:,}" in PAGE.text
