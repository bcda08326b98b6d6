"""docs/training.md runs as written."""

import re

import pytest

from riskd.learn.head import LEAST_ATTACKS, LEAST_HONEST
from riskd.learn.rows import FEWEST, MATURITY, SAMPLE, SHARE
from tests.learn.test_train import ATTEMPTS, BOUND, RARITY_BOUND
from tests.pages import Page

GUIDE = Page.of("training.md")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run all commands, and return what each block printed."""
    return GUIDE.run(tmp_path_factory.mktemp("training") / "shop")


def test_the_first_model_is_current_and_held_against_rivals(printed: list[str]) -> None:
    """The first training says what it read and left out, how it does, and that it is in use."""
    said = printed[2]
    for word in ("read ", "taught nothing: ", "too young", "calibrated on", "ecod", "hbos", "is current in"):
        assert word in said


def test_parquet_gives_the_same_model(printed: list[str]) -> None:
    """The model from Parquet has the version that is current, and its manifest tells of its training."""
    assert '"current": true' in printed[5]
    assert '"training"' in printed[5]


def test_why_there_is_no_head_is_told(printed: list[str]) -> None:
    """In so small a world people report too few attacks, and training says how many."""
    assert re.fullmatch(r'"no_head": "\d+ labelled attacks, at least 100 are needed",', printed[4].strip())
    assert "a hundred labelled attacks and a thousand labelled honest attempts" in GUIDE.text
    assert (LEAST_ATTACKS, LEAST_HONEST) == (100, 1000)


def test_the_page_says_what_the_code_does() -> None:
    """Caps, delay, sample and bounds on the page are those that the code and the tests have."""
    text = " ".join(GUIDE.text.split())
    assert f"| {FEWEST['subject']} rows, or {100 * SHARE['subject']:g} % of all" in text
    assert f"| {FEWEST['network']} rows, or {100 * SHARE['network']:g} %" in text
    assert FEWEST["subject"] == FEWEST["device"]
    assert f"at least **{MATURITY.days} days** older" in text
    assert f"a sample of {SAMPLE:,}" in text
    assert f"**{ATTEMPTS:,} attempts from his own device**" in text
    assert f"by more than {BOUND}** (of 0 to 1), and no rarity by more than {RARITY_BOUND} nats, but for" in text
