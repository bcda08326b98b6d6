"""Leaked credentials: hashes looked up in the file where they lie."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskd.enrich.leaked import HashFile, LeakedCredentials
from riskd.errors import DataError

Write = Callable[..., Path]


def sha1(text: str) -> str:
    """Hash a password as the format wants it."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().upper()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write hashes in order, each with a count; `end` ends the lines."""

    def write(hashes: list[str], end: str = "\r\n", name: str = "pwned.txt") -> Path:
        path = tmp_path / name
        text = "".join(
            f"{one}:{number * 7919 % 10 ** (number % 7 + 1)}{end}" for number, one in enumerate(sorted(hashes))
        )
        beside = path.with_suffix(".new")
        beside.write_bytes(text.encode())
        return beside.replace(path)

    return write


@pytest.mark.parametrize("many", [1, 2, 50, 99, 3_000, 200_000])
@pytest.mark.parametrize("digits", [10, 12])
def test_finds_what_is_there_and_nothing_else(write: Write, many: int, digits: int) -> None:
    """Every hash is found by its first digits in either case, at both ends of the file too; others are not."""
    hashes = sorted(sha1(f"password{n}") for n in range(many))
    found = HashFile(write(hashes))
    for one in (*hashes[:20], *hashes[-20:], *hashes[:: max(1, many // 300)]):
        assert found.holds(one[:digits])
        assert found.holds(one[:digits].lower())
    others = [sha1(f"never leaked {n}") for n in range(300)] + ["0" * 40, "F" * 40]
    held = {one[:digits] for one in hashes}
    assert [found.holds(one[:digits]) for one in others] == [one[:digits] in held for one in others]


@pytest.mark.parametrize(
    "text",
    [
        "{0}",
        "{0}\n",
        "{0}\r\n",
        "{0}:3",
        "{0}:12345678901234567890\r\n",
    ],
)
def test_lines_may_end_as_they_like(tmp_path: Path, text: str) -> None:
    """A count may be there or not, and the last line may end in a newline or not; hashes may be in lower case."""
    path = tmp_path / "one.txt"
    for word in (sha1("hunter2"), sha1("hunter2").lower()):
        path.write_bytes(text.format(word).encode())
        assert HashFile(path).holds(word[:10])
        assert not HashFile(path).holds(sha1("hunter3")[:10])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 16**6 - 1), min_size=1, max_size=400, unique=True),
    st.integers(0, 36),
    st.lists(st.integers(0, 16**6 - 1), max_size=40),
)
def test_clumped_hashes_are_found_too(write: Write, numbers: list[int], shift: int, asked: list[int]) -> None:
    """Hashes that are no hashes, all in one corner, are found as surely: guessing the place is only for speed."""
    shift = min(shift, 34)
    file = HashFile(write([f"{number:06X}".rjust(40 - shift, "0").ljust(40, "0") for number in numbers]))
    for number in (*numbers, *asked):
        prefix = f"{number:06X}".rjust(40 - shift, "0").ljust(40, "0")[:12]
        held = {f"{one:06X}".rjust(40 - shift, "0").ljust(40, "0")[:12] for one in numbers}
        assert file.holds(prefix) is (prefix in held)


GOOD = [sha1(str(number)) for number in range(4_000)]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda _: b"", "empty"),
        (lambda text: text[::-1], "no line of hashes"),
        (lambda _: b"hunter2\npassword1\n", "no line of hashes"),
        (lambda _: b"A" * 100_000, "no line of hashes"),
        (lambda _: b"\x00\xff" * 50_000, "no line of hashes"),
        (lambda text: b"\xef\xbb\xbf" + text, "no line of hashes"),
        (lambda text: text.replace(b":", b";"), "no line of hashes"),
        (lambda text: text[:-20].rpartition(b"\n")[0] + b"\nABC", "no line of hashes"),
        (lambda text: text + b"\r\n\r\n", "no line of hashes"),
        (lambda text: b"".join(line[8:] for line in text.splitlines(keepends=True)), "no line of hashes"),
        (lambda text: b"".join(sorted(text.splitlines(keepends=True), reverse=True)), "not in ascending order"),
        (lambda text: text + text.splitlines(keepends=True)[0], "not in ascending order"),
    ],
)
def test_a_damaged_file_is_refused(write: Write, damage: Callable[[bytes], bytes], said: str) -> None:
    """What is no ordered list of hashes is refused in one line that names the file and quotes nothing of it."""
    path = write(GOOD, end="\n")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as refused:
        HashFile(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert said in message
    assert "\n" not in message
    assert "hunter2" not in message


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder, a pipe and a missing file are refused without waiting for anything."""
    os.mkfifo(tmp_path / "pipe")
    for path, said in ((tmp_path, "not a regular file"), (tmp_path / "pipe", "not a regular file")):
        with pytest.raises(DataError, match=said):
            LeakedCredentials(path)
    with pytest.raises(DataError, match="No such file"):
        LeakedCredentials(tmp_path / "missing.txt")


def test_without_file_or_prefix_nothing_is_known(write: Write) -> None:
    """No set or no prefix is unknown, not clear."""
    assert LeakedCredentials().hold(sha1("hunter2")[:10]) is None
    assert LeakedCredentials().refresh() == ()
    assert LeakedCredentials().path is None
    assert LeakedCredentials(write([sha1("hunter2")])).hold(None) is None


def test_a_new_file_takes_over(write: Write) -> None:
    """A file put in the place of the old one is taken over; a bad or missing one leaves the last good one in use."""
    path = write([sha1("old")])
    leaked = LeakedCredentials(path)
    old, new = sha1("old")[:10], sha1("new")[:11]
    assert (leaked.path, leaked.hold(old), leaked.hold(new)) == (path, True, False)
    write([sha1("new")])
    assert leaked.refresh() == ()
    assert (leaked.hold(old), leaked.hold(new)) == (False, True)
    beside = path.with_suffix(".bad")
    beside.write_text("junk\n")
    beside.replace(path)
    assert "the last good one stays in use" in leaked.refresh()[0]
    assert leaked.hold(new)
    path.unlink()
    assert "No such file" in leaked.refresh()[0]
    assert leaked.hold(new)


def test_a_file_written_over_is_not_trusted(write: Write) -> None:
    """What is written into the file in use was never checked: asking it fails until it is re-read."""
    path = write(GOOD)
    leaked = LeakedCredentials(path)
    for content in (b"", b"x" * 10_000, path.read_bytes()[: 44 * 100]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="written over"):
            leaked.hold(GOOD[0][:10])
    write(GOOD)
    assert leaked.refresh() == ()
    assert leaked.hold(GOOD[0][:10])


def test_damage_in_the_unchecked_part_costs_an_answer(tmp_path: Path) -> None:
    """In a file too large to check whole, damage between checked blocks is named when met; the rest is found."""
    lines = sorted(sha1(str(number)) for number in range(400_000))
    between = (500 * (len(lines) * 41 // 1024) + 8_000) // 41
    lines[between : between + 100] = ["Z" * 40] * 100
    path = tmp_path / "large.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    file = HashFile(path)
    assert all(file.holds(line[:10]) for line in lines[: between - 200 : 499])
    assert all(file.holds(line[:10]) for line in lines[between + 300 :: 499])
    with pytest.raises(DataError, match="no line of hashes"):
        file.holds(f"{lines[between - 1][:8]}FF")


def _resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def test_a_file_takes_no_memory(write: Write) -> None:
    """However much of a file is asked for, the process does not grow by it."""
    hashes = [sha1(str(number)) for number in range(400_000)]
    leaked = LeakedCredentials(write(hashes))
    leaked.hold(hashes[0][:10])
    before = _resident_kib()
    assert all(leaked.hold(one[:10]) for one in hashes[::20])
    assert _resident_kib() - before < 4096
