"""The audit trail: one line per change, whoever writes."""

import resource
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from riskd.errors import RecordUnavailable
from riskd.record.audit import Change, Trail, decode

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


def change(number: int = 0, **more: str) -> Change:
    """A change of a list."""
    return Change(at=NOW, change="entry_added", author="ops", reason=f"because {number}", list="a", entry="KP", **more)


def test_lines_come_back_as_they_went_in(tmp_path: Path) -> None:
    """Each change is one line that reads back as the same change; file and folder are their owner's alone."""
    trail = Trail(tmp_path / "audit")
    said = [change(n, **({"failed": "the store\nis down"} if n else {})) for n in range(3)]
    trail.append(said[:1])
    trail.append(said[1:])
    lines = trail.path.read_bytes().splitlines()
    assert [decode(line) for line in lines] == said
    assert stat.S_IMODE(trail.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(trail.path.parent.stat().st_mode) == 0o700
    assert msgspec.json.decode(lines[0])["v"] == 1


def test_many_writers_share_the_file(tmp_path: Path) -> None:
    """Lines of writers at work at the same time never mix."""
    trails = [Trail(tmp_path) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda trail=trail: [trail.append([change(n)] * 3) for n in range(25)])
        for trail in trails
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [decode(line) for line in trails[0].path.read_bytes().splitlines()]
    assert len(lines) == 4 * 25 * 3
    assert all(a.reason == b.reason == c.reason for a, b, c in zip(lines[::3], lines[1::3], lines[2::3], strict=True))


def test_a_disk_that_refuses_is_told_and_leaves_no_half_line(tmp_path: Path) -> None:
    """When the disk takes only a part, the change is refused and what was written of it is cut off again."""
    trail = Trail(tmp_path)
    trail.append([change()])
    before = trail.path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, limits[1]))
    try:
        with pytest.raises(RecordUnavailable, match="cannot be audited"):
            trail.append([change(1)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert trail.path.read_bytes() == before
    trail.append([change(2)])
    assert len(trail.path.read_bytes().splitlines()) == 2


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Where the trail cannot be, the change is refused."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RecordUnavailable, match="cannot be audited"):
        Trail(tmp_path / "file").append([change()])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_other_lines_are_refused() -> None:
    """What is no change is not read as one."""
    for line in (b"{}", b'{"v":2}', b"junk", msgspec.json.encode({**msgspec.to_builtins(change()), "more": 1})):
        with pytest.raises(msgspec.MsgspecError):
            decode(line)
