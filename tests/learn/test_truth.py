"""What a simulation says of its decisions: found beside the log, and read line by line."""

from pathlib import Path

import pytest

from riskd.errors import ConfigError
from riskd.learn.simulate.run import Simulated
from riskd.learn.truth import TRUTH_FILE, Truth, read_truth, truths_beside
from riskd.record.schema import MAX_LINE


def test_a_truth_is_found_beside_its_log(simulated: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the folder, by what holds it, by a file and by a glob; not elsewhere, and not behind a URI."""
    first = next(simulated.log.iterdir())
    for named in (simulated.log, simulated.log.parent, first, f"{simulated.log}/*.jsonl"):
        assert truths_beside([str(named)]) == [simulated.truth]
    monkeypatch.chdir(simulated.log.parent)
    assert truths_beside(["log", ".", "log/*"]) == [Path("truth.jsonl")]
    assert truths_beside([str(tmp_path), f"file://{simulated.log}"]) == []


def test_a_truth_that_is_none_is_refused(tmp_path: Path) -> None:
    """A truth file that is missing or damaged is one line with its place, after all that was whole."""
    path = tmp_path / TRUTH_FILE
    with pytest.raises(ConfigError, match="No such file"):
        list(read_truth(path))
    whole = b'{"decision_id":"a","label":"honest"}\n'
    for bad in (b"\xff", b'{"decision_id": 3}', b"[" * 5000, b'{"decision_id":"' + b"x" * (MAX_LINE + 10) + b'"}'):
        path.write_bytes(whole + bad + b"\n")
        lines = read_truth(path)
        assert next(lines) == Truth("a", "honest")
        with pytest.raises(ConfigError, match="line 2: no line of truth"):
            next(lines)
