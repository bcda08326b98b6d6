"""Pages of docs/ that are run: nothing that a reader would type is left out."""

import pytest

from tests.pages import ROOT, Page

PAGES = {path.name: Page.of(path.name) for path in (ROOT / "docs").glob("*.md")}


@pytest.mark.parametrize("name", sorted(name for name, page in PAGES.items() if page.blocks))
def test_every_command_of_a_page_is_run(name: str) -> None:
    """Where one block of shell is run as written, every one is, and a test of the page's looks at what they print."""
    page = PAGES[name]
    assert page.text.count("```bash") == len(page.blocks)
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert f'Page.of("{name}")' in tests
