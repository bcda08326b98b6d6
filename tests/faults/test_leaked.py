"""A set of leaked passwords that is missing, damaged, or swapped while callers ask; what they sent is kept nowhere."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.faults.rig import Rig, decide, login
from tests.http.servers import Running, eventually


def prefix(password: str) -> str:
    """Return what a caller sends of a password."""
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest()[:10]


def put(path: Path, *passwords: str) -> None:
    """Put a set of their hashes in the place of the old one."""
    hashes = sorted(hashlib.sha1(one.encode(), usedforsecurity=False).hexdigest() for one in passwords)
    beside = path.with_suffix(".new")
    beside.write_text("".join(f"{one.upper()}:12\r\n" for one in hashes))
    beside.replace(path)


@pytest.fixture
def hashes(rig: Rig) -> Path:
    """The set that the policy names, with one password in it."""
    rig.amend(lists={"leaked_credentials": "pwned.txt"})
    put(rig.home / "pwned.txt", "hunter2")
    return rig.home / "pwned.txt"


def attempt(password: str | None, **subject: object) -> dict[str, Any]:
    """Return the body of a login with a password."""
    body = login()
    body["subject"] |= subject | ({} if password is None else {"credential_hash_prefix": prefix(password)})
    return body


def leaked(rig: Rig, running: Running, password: str | None, **subject: object) -> bool | None:
    """Return what is known of the password, which the score must agree with."""
    with running.client() as client:
        decision = decide(client, attempt(password, **subject))
    record = rig.record(decision["decision_id"])
    fact = record.facts.subject.leaked_credential
    assert ("leaked_credential" in record.hits) is (fact is True)
    assert ("leaked_credential" in record.unknown) is (fact is None)
    assert decision["degraded"] == []
    return fact


@pytest.mark.parametrize("content", [None, b"", b"hunter2\n", b"\x00\xff" * 5000])
def test_a_damaged_set_refuses_to_start(rig: Rig, hashes: Path, content: bytes | None) -> None:
    """A set that cannot be used is one line that names the file, at start and for `riskd check`."""
    hashes.unlink() if content is None else hashes.write_bytes(content)
    assert rig.refuses().startswith(f"riskd: {hashes}: ")
    checked = rig.command("check", str(rig.policy))
    assert checked.returncode == 1
    assert str(hashes) in checked.stderr
    assert "hunter2" not in checked.stderr


def test_a_set_tells_and_is_swapped(rig: Rig, hashes: Path) -> None:
    """A leaked password is told by its prefix; a new set takes over, a bad or missing one leaves the last good one."""
    running = rig.start()
    assert leaked(rig, running, "hunter2") is True
    assert leaked(rig, running, "correct horse") is False
    assert leaked(rig, running, None) is None
    assert leaked(rig, running, "hunter2", leaked_credential=False) is False
    put(hashes, "hunter2", "correct horse")
    assert eventually(lambda: leaked(rig, running, "correct horse") is True)
    beside = hashes.with_suffix(".bad")
    with running.client() as client:
        for damage in (lambda: (beside.write_text("junk\n"), beside.replace(hashes)), hashes.unlink):
            damage()
            assert eventually(lambda: client.get("/readyz").json()["parts"]["databases"]["state"] == "stale")
            assert leaked(rig, running, "hunter2") is True
            put(hashes, "hunter2")
            assert eventually(lambda: client.get("/readyz").json()["parts"]["databases"]["state"] != "stale")


def test_the_prefix_is_kept_nowhere(rig: Rig, hashes: Path) -> None:
    """Neither answer, nor record, nor log, nor store, nor a refusal holds what the caller sent of the password."""
    running = rig.start()
    secret = prefix("hunter2")
    assert hashes.exists()
    with running.client() as client:
        answers = [
            client.post("/decide", json=attempt("hunter2") | {"request_id": "r1"}),
            client.post("/decide", json=attempt(None, credential_hash_prefix=secret + "beef")),
            client.post("/decide", json=attempt(None, credential_hash_prefix=secret + "z")),
            client.get("/readyz"),
            client.get("/metrics"),
        ]
    assert [told.status_code for told in answers] == [200, 422, 422, 200, 200]
    assert not any(secret in told.text.lower() for told in answers)
    running.end()
    kept = [path for path in rig.home.rglob("*") if path.is_file() and path != hashes]
    assert any(path.is_relative_to(rig.log) for path in kept)
    assert not any(secret in path.read_text(errors="replace").lower() for path in kept)
