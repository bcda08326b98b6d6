"""Pseudonyms and their keys."""

import subprocess
import sys
from pathlib import Path

import pytest

from riskd.enrich.address import parse_address
from riskd.enrich.identity import Pseudonyms, begin_rotation, finish_rotation, load_secrets
from riskd.errors import ConfigError

KEY, OTHER = b"k" * 32, b"o" * 32


def test_hashes_are_keyed_and_apart() -> None:
    """One value gives one hash per field and key, and no hash tells of the value."""
    names, others = Pseudonyms(KEY), Pseudonyms(OTHER)
    fields = ("device", "session", "recipient", "resource", "payload", "subject")
    hashes = {getattr(p, field)("alice") for p in (names, others) for field in fields}
    assert len(hashes) == 12
    assert all(len(text) == 24 and text.isalnum() for text in hashes)
    assert names.device("alice") == Pseudonyms(KEY).device("alice")
    assert names.subject("alice", "service") != names.subject("alice")
    assert names.resource("1", "account") != names.resource("1", "card")
    assert names.device("\ud800") != names.device("\ud801")


def test_networks_share_a_hash() -> None:
    """Two IPv4 addresses of a /24, or two /64s of an IPv6 /48, have different hashes and the same network hash."""
    names = Pseudonyms(KEY)
    for a, b in (("81.2.69.1", "81.2.69.200"), ("2a02:c7d::1", "2a02:c7d:0:ffff::1")):
        assert names.ip(parse_address(a)) != names.ip(parse_address(b))
        assert names.network(parse_address(a)) == names.network(parse_address(b))


def test_a_link_is_one_address() -> None:
    """All addresses of an IPv6 /64 have one hash, so its holder cannot pose as many; the next /64 has another."""
    names = Pseudonyms(KEY)
    hashes = [names.ip(parse_address(f"2a02:c7d:0:{end}")) for end in ("1::1", "1:ffff:ffff:ffff:ffff", "2::1")]
    assert hashes[0] == hashes[1] != hashes[2]


def test_first_start_creates_secrets(tmp_path: Path) -> None:
    """The first start makes a private key file; later starts read the same keys."""
    made = load_secrets(tmp_path)
    path = tmp_path / "secrets" / "identity"
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_secrets(tmp_path).device("d") == made.device("d")
    assert [file.name for file in path.parent.iterdir()] == ["identity"]


def test_racing_processes_agree(tmp_path: Path) -> None:
    """Of several processes that start at once, all end with the same keys."""
    code = (
        "import sys, pathlib; from riskd.enrich.identity import load_secrets;"
        "print(load_secrets(pathlib.Path(sys.argv[1])).device('d'))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    racing = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate(timeout=60)[0] for process in racing}) == 1
    assert [file.name for file in (tmp_path / "secrets").iterdir()] == ["identity"]


@pytest.mark.parametrize("damage", ["", "x", "{0}", "00{0}", "{0}\n{0}\n", "zz\n", "a b c\n", "é\n", "{0}junk\n", "\n"])
def test_refuses_damaged_secrets(tmp_path: Path, damage: str) -> None:
    """A damaged key file stops the start; it is never replaced."""
    load_secrets(tmp_path)
    path = tmp_path / "secrets" / "identity"
    damaged = damage.format(path.read_text().strip())
    path.write_text(damaged)
    with pytest.raises(ConfigError, match="damaged"):
        load_secrets(tmp_path)
    assert path.read_text() == damaged


def test_refuses_unusable_places(tmp_path: Path) -> None:
    """Keys of a wrong length and a data directory that is a file are refused with one line."""
    with pytest.raises(ConfigError, match="32 bytes"):
        Pseudonyms(b"short")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="data directory it can write"):
        load_secrets(tmp_path / "file")


def test_rotation_rekeys_without_ids(tmp_path: Path) -> None:
    """After a rotation each old subject hash becomes the new one without the id, and nothing else changes."""
    before = load_secrets(tmp_path)
    for _ in range(2):
        old = before.subject("alice")
        after = begin_rotation(tmp_path)
        finish_rotation(tmp_path)
        assert after.rekey(old) == after.subject("alice") != old
        assert after.device("d") == before.device("d")
        assert load_secrets(tmp_path).subject("alice") == after.subject("alice")
        before = after
    assert (tmp_path / "secrets" / "identity").stat().st_mode & 0o777 == 0o600


def test_a_rotation_begun_goes_on_with_its_key(tmp_path: Path) -> None:
    """Until it is finished the old keys stay in use, and beginning again gives the key begun with."""
    before = load_secrets(tmp_path)
    path = tmp_path / "secrets" / "identity"
    text = path.read_bytes()
    begun = begin_rotation(tmp_path)
    assert path.read_bytes() == text
    assert load_secrets(tmp_path).subject("alice") == before.subject("alice")
    assert begin_rotation(tmp_path).subject("alice") == begun.subject("alice")
    assert (tmp_path / "secrets" / "identity.next").stat().st_mode & 0o777 == 0o600
    finish_rotation(tmp_path)
    assert load_secrets(tmp_path).subject("alice") == begun.subject("alice")
    assert [file.name for file in path.parent.iterdir()] == ["identity"]


def test_a_rotation_of_other_keys_is_refused(tmp_path: Path) -> None:
    """New keys that do not go on from those in use, damaged ones, and a finish without a beginning are refused."""
    with pytest.raises(ConfigError, match="not finished"):
        finish_rotation(tmp_path)
    begin_rotation(tmp_path)
    (tmp_path / "secrets" / "identity").unlink()
    with pytest.raises(ConfigError, match="other keys"):
        begin_rotation(tmp_path)
    (tmp_path / "secrets" / "identity.next").write_text("x")
    with pytest.raises(ConfigError, match="damaged"):
        begin_rotation(tmp_path)


def test_a_rotation_without_a_place_for_keys_is_refused(tmp_path: Path) -> None:
    """New keys that cannot be read are said in one line, and the keys in use stay."""
    before = load_secrets(tmp_path)
    (tmp_path / "secrets" / "identity.next").mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        begin_rotation(tmp_path)
    assert load_secrets(tmp_path).subject("alice") == before.subject("alice")
