"""The engine of one machine: blocks of files in their order, and what becomes of the files."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from riskd.errors import RiskdError
from riskd.learn import blocks
from riskd.learn.blocks import Local, Log, in_blocks
from riskd.learn.sources import sources


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Two files of a thousand lines, and one that cannot be read."""
    for name, first in (("a", 0), ("c", 1000)):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{first + number}\n" for number in range(1000)))
    (tmp_path / "b.jsonl.gz").write_bytes(b"no archive")
    return Log(sources([tmp_path / "*"]))


def die(_block: bytes) -> None:
    """End the worker."""
    os._exit(9)


def test_blocks_are_whole_lines() -> None:
    """Nothing is lost or cut."""
    lines = [b"%d\n" % number for number in range(1000)]
    cut = list(in_blocks(lines, 100))
    assert b"".join(cut) == b"".join(lines)
    assert all(block.endswith(b"\n") for block in cut)
    assert max(map(len, cut)) <= 104


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_was_made_comes_in_the_order_of_the_log(log: Log, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    """One process or two answer in the order of the blocks, with the file of each; a block ends with its file."""
    monkeypatch.setattr(blocks, "ALONE", 1)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 900)
    for _again in range(2):
        made = list(Local(jobs).over(log, bytes.split))
        assert [int(word) for _, words in made for word in words] == list(range(2000))
        assert [number for number, _ in made] == sorted(number for number, _ in made)
        assert {number for number, _ in made} == {0, 2}
        assert log.refused == {"unreadable": 1}
        assert [read.name for read in log.read] == [file.name for file in log.files]
        assert log.read[0].sha256 == sha256(Path(log.files[0].path).read_bytes()).hexdigest()


def test_a_worker_that_dies_is_told(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was killed ends the run with a word on memory."""
    monkeypatch.setattr(blocks, "ALONE", 0)
    with pytest.raises(RiskdError, match="a worker died"):
        list(Local(2).over(log, die))
