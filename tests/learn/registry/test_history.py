"""The history of promotions: what it keeps, and the way back that it tells."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from riskd.errors import ConfigError
from riskd.learn.registry.history import HISTORY_FILE, MAX_BYTES, Entry, Event, append, former_of, read_history

AT = datetime(2026, 11, 24, tzinfo=UTC)


def entry(former: str | None, version: str, event: Event = "promoted") -> Entry:
    """One change."""
    return Entry(at=AT, event=event, version=version, former=former, by="ada", reason="better", evidence={"judged": 7})


def test_lines_are_appended_and_come_back(tmp_path: Path) -> None:
    """What was written is read again, in order, and earlier bytes stay as they were."""
    assert read_history(tmp_path) == []
    append(tmp_path, entry(None, "a"))
    first = (tmp_path / HISTORY_FILE).read_bytes()
    append(tmp_path, entry("a", "b"))
    assert (tmp_path / HISTORY_FILE).read_bytes().startswith(first)
    assert read_history(tmp_path) == [entry(None, "a"), entry("a", "b")]


@pytest.mark.parametrize(
    "line", [b"{", b'{"v":2}', b"[" * 100_000, b"\xff", b'{"v":1,"at":"2026-11-24T00:00:00Z","event":"stolen"}']
)
def test_a_foreign_line_is_told_with_its_number(tmp_path: Path, line: bytes) -> None:
    """Whatever stands in the file, the answer is one clear error."""
    append(tmp_path, entry(None, "a"))
    with (tmp_path / HISTORY_FILE).open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(ConfigError, match="line 2 is no promotion"):
        read_history(tmp_path)


def test_a_history_without_end_is_not_read(tmp_path: Path) -> None:
    """A file of gigabytes is refused before it is read, and no line is too long to be read again."""
    with (tmp_path / HISTORY_FILE).open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ConfigError, match="larger than"):
        read_history(tmp_path)
    with pytest.raises(ConfigError, match="too long"):
        append(tmp_path, Entry(at=AT, event="forced", version="b", former="a", by="x", evidence={"x": "y" * 70_000}))


@pytest.mark.parametrize(
    ("changes", "current", "former"),
    [
        ([], "a", None),
        ([(None, "a")], "a", None),
        ([("a", "b")], "b", "a"),
        ([("a", "b"), ("b", "c")], "c", "b"),
        ([("a", "b"), ("b", "a", "rolled_back")], "a", None),
        ([("a", "b"), ("b", "c"), ("c", "b", "rolled_back")], "b", "a"),
        ([("a", "b"), ("b", "c"), ("c", "b", "rolled_back"), ("b", "a", "rolled_back")], "a", None),
        ([("a", "b"), ("b", "a", "rolled_back"), ("a", "b", "forced")], "b", "a"),
        ([("a", "b"), ("b", "a", "forced")], "a", "b"),
        ([("a", "b")], "x", "b"),
        ([("a", "b"), ("b", "c")], "b", "a"),
    ],
)
def test_the_way_back(changes: list[tuple[str | None, str]], current: str, former: str | None) -> None:
    """Back goes further back each time; a CURRENT that was written by hand, or a promotion cut short, is no trap."""
    assert former_of(current, [entry(*change) for change in changes]) == former
