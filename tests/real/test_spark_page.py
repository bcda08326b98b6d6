"""docs/spark.md runs as written, on a cluster of a master and a worker that the page starts."""

from pathlib import Path

import pytest

from tests.pages import Page

pytestmark = pytest.mark.real
PAGE = Page.of("spark.md")


def test_both_engines_give_the_same(tmp_path: Path) -> None:
    """Report, model and replay of a cluster are those of one machine, byte for byte, and Parquet in parts is read."""
    _, alone, _, trained, replayed, parts = PAGE.run(tmp_path / "sparks", timeout_s=1200)
    assert "same report" in alone
    assert "same model" in trained
    assert "same replay" in replayed
    assert int(parts.split()[-1]) > 0
