"""API keys: who is let in, who is not (fault case 25), and how keys change."""

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.errors import ConfigError
from riskd.tokens.keyfile import create_first_key, create_key, load_keys, revoke_key, rotate_key
from riskd.tokens.keys import Caller, KeyRing

NOW = datetime(2026, 3, 7, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the keys go."""
    return tmp_path / "secrets" / "keys.json"


def test_a_key_says_who_calls(path: Path) -> None:
    """A created key is verified, as text and as bytes, with its name and scopes."""
    issued = create_key(path, "shop", ("outcome", "decide"), now=NOW)
    ring = KeyRing.load(path)
    shop = Caller("shop", frozenset({"decide", "outcome"}))
    assert ring.verify(issued.text, now=NOW) == shop
    assert ring.verify(issued.text.encode(), now=NOW) == shop


@pytest.mark.parametrize("scopes", [("decide",), ("outcome",), ("policy",), ("admin",), ("admin", "decide")])
def test_a_key_has_its_scopes_and_no_other(path: Path, scopes: tuple[str, ...]) -> None:
    """Scopes are what was given."""
    issued = create_key(path, "shop", scopes, now=NOW)
    caller = KeyRing.load(path).verify(issued.text, now=NOW)
    assert caller is not None
    assert caller.scopes == set(scopes)


def test_25_wrong_keys_are_nobody(path: Path) -> None:
    """Empty, foreign, altered, truncated, lengthened, oversized, binary: each is None and none raises."""
    text = create_key(path, "shop", ("decide",), now=NOW).text
    other = create_key(path, "till", ("decide",), now=NOW).text
    ring = KeyRing.load(path)
    wrong: list[str | bytes] = [
        "",
        b"",
        "rk_",
        text[:-1],
        text + "x",
        text[:-1] + ("A" if text[-1] != "A" else "B"),
        text[:16] + other[16:],
        text[:3] + "0" * 12 + text[15:],
        text.upper(),
        " " + text,
        text[:15],
        "rk_" + "0" * 1_000_000,
        b"\x00\xff" * 20,
        "\ud800" * 10,
        "é" * 255,
        "Bearer " + text,
    ]
    assert [ring.verify(key, now=NOW) for key in wrong] == [None] * len(wrong)
    assert ring.verify(text, now=NOW) is not None


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_25_nothing_presented_raises(presented: str | bytes) -> None:
    """Any bytes or text are nobody to an empty ring."""
    assert KeyRing(Path("no such file")).verify(presented, now=NOW) is None


def test_25_revoked_and_expired_keys_are_nobody(path: Path) -> None:
    """A key ends the moment it is revoked or expires, and not before."""
    short = create_key(path, "short", ("decide",), now=NOW, expires=NOW + DAY)
    lost = create_key(path, "lost", ("decide",), now=NOW)
    ring = KeyRing.load(path)
    assert ring.verify(short.text, now=NOW + DAY - timedelta(seconds=1)) is not None
    assert ring.verify(short.text, now=NOW + DAY) is None
    revoked = revoke_key(path, lost.key.id, now=NOW)
    assert revoked.revoked == NOW
    assert revoke_key(path, lost.key.id, now=NOW + DAY).revoked == NOW
    assert ring.refresh()
    assert ring.verify(lost.text, now=NOW) is None
    with pytest.raises(ConfigError, match="no key has the id"):
        revoke_key(path, "0" * 12, now=NOW)


def test_25_secrets_are_shown_nowhere(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the file nor any repr, error or log line holds a key; file and folder are their owner's."""
    caplog.set_level(logging.DEBUG)
    issued = create_key(path, "shop", ("decide",), now=NOW)
    ring = KeyRing.load(path)
    secret = issued.text[16:]
    assert secret not in path.read_text()
    for shown in (issued, issued.key, ring, ring.verify(issued.text, now=NOW), vars(ring)):
        assert secret not in repr(shown)
        assert secret not in str(shown)
    assert secret not in caplog.text
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_rotation_leaves_both_keys_live_for_a_while(path: Path) -> None:
    """The new key works at once, the old one until the overlap ends; a third needs a revocation first."""
    old = create_key(path, "shop", ("decide", "outcome"), now=NOW)
    new = rotate_key(path, "shop", now=NOW, overlap=DAY)
    ring = KeyRing.load(path)
    assert new.key.scopes == old.key.scopes
    assert ring.verify(old.text, now=NOW) == ring.verify(new.text, now=NOW)
    assert ring.verify(old.text, now=NOW + DAY) is None
    assert ring.verify(new.text, now=NOW + 1_000 * DAY) is not None
    with pytest.raises(ConfigError, match="2 live keys"):
        rotate_key(path, "shop", now=NOW)
    with pytest.raises(ConfigError, match="2 live keys"):
        create_key(path, "shop", ("decide",), now=NOW)
    revoke_key(path, old.key.id, now=NOW)
    third = rotate_key(path, "shop", now=NOW, overlap=DAY)
    assert [key.is_live(NOW) for key in load_keys(path)] == [False, True, True]
    assert ring.refresh()
    assert ring.verify(third.text, now=NOW) is not None
    with pytest.raises(ConfigError, match="no live key"):
        rotate_key(path, "nobody", now=NOW)


def test_rotation_never_lengthens_a_key(path: Path) -> None:
    """A key that expires before the overlap ends still expires then."""
    create_key(path, "shop", ("decide",), now=NOW, expires=NOW + timedelta(hours=1))
    rotate_key(path, "shop", now=NOW, overlap=DAY)
    assert load_keys(path)[0].expires == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("name", "scopes"),
    [
        ("", ("decide",)),
        ("a b", ("decide",)),
        ("x\n", ("decide",)),
        ("x" * 65, ("decide",)),
        ("x", ()),
        ("x", ("root",)),
    ],
)
def test_a_bad_name_or_scope_makes_no_key(path: Path, name: str, scopes: tuple[str, ...]) -> None:
    """The mistake is named with the way out, and the file is not touched."""
    with pytest.raises(ConfigError, match="scopes are one or more of decide, outcome, policy, admin"):
        create_key(path, name, scopes, now=NOW)
    assert load_keys(path) == ()


def test_the_first_start_makes_one_key(path: Path) -> None:
    """`default` may decide and report; a second start makes none, nor does one that finds any key."""
    issued = create_first_key(path, now=NOW)
    assert issued is not None
    assert KeyRing.load(path).verify(issued.text, now=NOW) == Caller("default", frozenset({"decide", "outcome"}))
    assert create_first_key(path, now=NOW) is None


def test_a_changed_file_is_taken_up(path: Path) -> None:
    """A ring that began without a file sees keys that come later; without a change it reads nothing."""
    ring = KeyRing.load(path)
    assert not ring.refresh()
    issued = create_key(path, "shop", ("decide",), now=NOW)
    assert ring.refresh()
    assert not ring.refresh()
    assert ring.verify(issued.text, now=NOW) is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"v":2,"keys":[]}',
        b'{"v":1,"keys":[{"id":"../../etc"}]}',
        b'{"v":1,"keys":[],"extra":1}',
        b"[" * 100_000,
        b" " * (4 * 2**20 + 1),
    ],
)
def test_a_damaged_file_keeps_the_last_good_keys(path: Path, content: bytes) -> None:
    """At start it is refused with one line; a running service keeps its keys, says why, and heals by itself."""
    issued = create_key(path, "shop", ("decide",), now=NOW)
    good = path.read_bytes()
    ring = KeyRing.load(path)
    path.write_bytes(content)
    assert not ring.refresh()
    assert ring.problem is not None
    assert ring.verify(issued.text, now=NOW) is not None
    for attempt in (lambda: KeyRing.load(path), lambda: create_key(path, "new", ("decide",), now=NOW)):
        with pytest.raises(ConfigError) as caught:
            attempt()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == content
    path.write_bytes(good)
    assert ring.refresh()
    assert ring.problem is None


def test_a_removed_file_keeps_the_last_good_keys(path: Path) -> None:
    """A file that is gone revokes nobody by accident, and is named."""
    issued = create_key(path, "shop", ("decide",), now=NOW)
    ring = KeyRing.load(path)
    path.unlink()
    assert not ring.refresh()
    assert ring.problem is not None
    assert "gone" in ring.problem
    assert ring.verify(issued.text, now=NOW) is not None


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    """A folder in the file's place and a file in the folder's are one clear line each."""
    (tmp_path / "keys.json").mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_keys(tmp_path / "keys.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be changed"):
        create_key(tmp_path / "file" / "keys.json", "shop", ("decide",), now=NOW)
    os.mkdir(tmp_path / "other.json.part")  # noqa: PTH102
    with pytest.raises(ConfigError, match="cannot be written"):
        create_key(tmp_path / "other.json", "shop", ("decide",), now=NOW)


def test_keys_made_at_once_are_all_kept(path: Path) -> None:
    """Four processes that change the file together lose none of their keys."""
    script = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
        "from riskd.tokens.keyfile import create_key, create_first_key\n"
        "create_first_key(Path(sys.argv[1]), now=datetime.now(UTC))\n"
        "for n in range(10): create_key(Path(sys.argv[1]), f'{sys.argv[2]}.{n}', ['decide'], now=datetime.now(UTC))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(path), f"p{n}"], cwd=Path(__file__).parents[2])
        for n in range(4)
    ]
    assert [process.wait() for process in processes] == [0] * 4
    names = [key.name for key in load_keys(path)]
    assert len(names) == 41
    assert names.count("default") == 1
