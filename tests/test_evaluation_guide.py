"""docs/evaluation.md runs as written, from the simulation to the JSON."""

import re

import pytest

from tests.pages import Page

GUIDE = Page.of("evaluation.md")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run all commands, and return what each block printed."""
    return GUIDE.run(tmp_path_factory.mktemp("evaluation") / "worth")


def test_the_report_has_what_the_guide_says(printed: list[str]) -> None:
    """The terminal shows friction, catch, prevalence and the rest; the page is written; JSON holds the curves."""
    _, simulated, terminal, own, numbers = printed
    assert '"label":"' in simulated
    for part in (
        "honest logins stepped up or denied", "stuffing stopped", "Prevalence:", "thresholds on the score",
        "threshold transfer", "calibration of the anomaly", "per honest subject", "by country",
        "what features are worth",
    ):  # fmt: skip
        assert part in terminal
    assert "report written to worth.html" in terminal
    assert "truth from reported outcomes" in " ".join(own.split())
    assert re.search(r"^prevalence 0\.\d+\nall \d+ \{'value'", numbers.strip())
