"""Three minutes of the soak: what must end, ends, and nothing that counts goes wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "bench" / "soak.py"


@pytest.mark.real
def test_case_30_three_minutes_of_soak() -> None:
    """Under load, bad input and a store that dies each minute all are answered rightly, and nothing leaks."""
    ended = subprocess.run(
        [sys.executable, str(SOAK), "--minutes", "3", "--json"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["alive"]
    assert told["sent"] > 1000
    assert told["wrong"] == {}, told
    assert told["exceptions"] == []
    assert told["refused"] <= told["sent"] / 10  # of a machine that others use as well
    assert told["files_at_rest"][1] - told["files_at_rest"][0] <= 8
    assert told["threads_at_rest"][1] - told["threads_at_rest"][0] <= 4
    assert told["rss_mb"][1] - told["rss_mb"][0] <= 30  # ten times what an hour may bring, and the noise of a minute
