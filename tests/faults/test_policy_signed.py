"""Case 15: where signatures are required, no policy is used that a trusted key does not vouch for as it stands."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from riskd.app.source import signature_path
from tests.app.signing import Signer
from tests.faults.rig import Rig, decide, login, metric
from tests.faults.test_leaked import prefix, put
from tests.http.servers import eventually

HOSTILE = {"deny": {"networks": ["81.2.69.0/24"]}}
"""Lists that deny the logins of these tests."""


class Signed:
    """A rig whose policy must be signed, with a signer it trusts and a version already used."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.signer = Signer()
        self.rig.environment["POLICY_KEYS"] = str(self.signer.trust(rig.home / "keys" / "ops.pub").parent)
        self.signature = signature_path(rig.policy)
        self.signer.sign(rig.policy, 1)
        self.old = rig.policy.read_bytes(), self.signature.read_bytes()
        rig.amend(level=3)
        self.signer.sign(rig.policy, 2)

    def put_back_the_old_one(self) -> None:
        """Replay the policy that was signed first."""
        policy, signature = self.old
        self.signature.write_bytes(signature)
        self.rig.policy.write_bytes(policy)

    def change(self) -> None:
        """Change what the policy decides, and leave the signature."""
        self.rig.amend(lists=HOSTILE)


@pytest.fixture
def signed(rig: Rig) -> Signed:
    """A service that used version 2 of its policy and was ended."""
    made = Signed(rig)
    assert rig.start().end() == 0
    return made


def one_byte(signed: Signed) -> None:
    """Change a comment."""
    content = signed.rig.policy.read_bytes()
    at = content.index(b"#") + 2
    signed.rig.policy.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


def by_a_stranger(signed: Signed) -> None:
    """Sign with a key that nobody trusts."""
    signed.change()
    Signer().sign(signed.rig.policy, 3)


def another_signature(signed: Signed) -> None:
    """Put the signature of another policy of the same signer beside it."""
    policy = signed.rig.policy.read_bytes()
    signed.change()
    signed.signer.sign(signed.rig.policy, 3)
    signed.rig.policy.write_bytes(policy)


def a_later_version(signed: Signed) -> None:
    """Write a higher version into the old statement, that it may pass for a new one."""
    signed.put_back_the_old_one()
    signed.signature.write_bytes(signed.signature.read_bytes().replace(b'"version": 1', b'"version": 9'))


def a_candidate(signed: Signed) -> None:
    """Put a policy that was signed to be tried in the place of the one in use, with the signature that is its own."""
    signed.change()
    signed.signer.sign(signed.rig.policy, 3, role="rollout")


def a_folder(signed: Signed) -> None:
    """Put a folder where the signature was."""
    signed.signature.unlink()
    signed.signature.mkdir()


FORGERIES: dict[str, tuple[Callable[[Signed], object], str]] = {
    "wrong signature": (another_signature, "not the file that was signed"),
    "changed byte": (one_byte, "not the file that was signed"),
    "changed policy": (Signed.change, "not the file that was signed"),
    "stripped": (lambda signed: signed.signature.unlink(), "not signed"),
    "emptied": (lambda signed: signed.signature.write_bytes(b""), "damaged"),
    "a folder": (a_folder, "cannot be read"),
    "unknown key": (by_a_stranger, "none of the trusted keys"),
    "another role": (a_candidate, "used as live, but signed as rollout"),
    "older version": (Signed.put_back_the_old_one, "version 1 is older than 2"),
    "older version, renumbered": (a_later_version, "not one of the key"),
    "key taken away": (lambda signed: shutil.rmtree(signed.rig.home / "keys"), "keys"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_case_15_refused_at_start(signed: Signed, name: str) -> None:
    """At start it is one line and status 78, and a policy of that signer starts it again."""
    forge, why = FORGERIES[name]
    forge(signed)
    assert why in signed.rig.refuses()
    signed.signer.trust(signed.rig.home / "keys" / "ops.pub")
    if signed.signature.is_dir():
        signed.signature.rmdir()
    signed.signer.sign(signed.rig.policy, 3)
    assert signed.rig.start().end() == 0


def test_case_15_refused_while_serving(signed: Signed) -> None:
    """While serving each is told on /readyz and counted, 409 to whoever asks for it, and decides nothing."""
    rig = signed.rig
    good = rig.policy.read_bytes(), signed.signature.read_bytes()
    with rig.start().client() as client:
        before = decide(client)
        for number, (forge, why) in enumerate(FORGERIES.values(), 1):
            forge(signed)
            assert eventually(lambda why=why: why in str(policy_part(client)["detail"])), why
            refused = client.post("/policy/reload")
            assert (refused.status_code, why in refused.text) in {(409, True), (422, why == "keys")}
            after = decide(client)
            assert after["policy_revision"] == before["policy_revision"]
            assert after["decision"] == before["decision"]
            assert metric(client, "riskd_config_load_errors_total", part="policy") >= 2 * number
            assert client.get("/readyz").status_code == 200
            signed.signer.trust(rig.home / "keys" / "ops.pub")
            if signed.signature.is_dir():
                signed.signature.rmdir()
            rig.policy.write_bytes(good[0])
            signed.signature.write_bytes(good[1])
            assert eventually(lambda: policy_part(client)["state"] == "ok")
        signed.change()
        signed.signer.sign(rig.policy, 3)
        assert client.post("/policy/reload").json()["signed"]["version"] == 3
        assert "denied_network" in {reason["code"] for reason in decide(client, login("new"))["reasons"]}


def test_case_15_an_unsigned_list_decides_nothing(signed: Signed) -> None:
    """Lists that the signature pins cannot be emptied or filled by whoever writes to their folder."""
    rig = signed.rig
    feed = rig.home / "blocked.txt"
    feed.write_text("198.51.100.0/24\n")
    rig.amend(lists={"feeds": [{"name": "blocked", "file": "blocked.txt"}]})
    signed.signer.sign(rig.policy, 3, pinned=["blocked.txt"])
    running = rig.start()
    with running.client() as client:
        feed.write_text("81.2.69.0/24\n")
        assert eventually(lambda: client.get("/readyz").json()["parts"]["databases"]["state"] == "stale")
        assert "listed_ip" not in {reason["code"] for reason in decide(client)["reasons"]}
    running.end()
    assert "not the file that was signed" in rig.refuses()
    signed.signer.sign(rig.policy, 4, pinned=["blocked.txt"])
    with rig.start().client() as client:
        assert "listed_ip" in {reason["code"] for reason in decide(client)["reasons"]}


def test_case_15_a_set_of_leaked_passwords_is_pinned_too(signed: Signed) -> None:
    """Emptied by whoever writes to its folder, even in place and set back in time, it tells nothing; nor at start."""
    rig = signed.rig
    pwned = rig.home / "pwned.txt"
    put(pwned, "hunter2", "correct horse")
    rig.amend(lists={"leaked_credentials": "pwned.txt"})
    signed.signer.sign(rig.policy, 3, pinned=["pwned.txt"])
    body = login()
    body["subject"]["credential_hash_prefix"] = prefix("hunter2")
    running = rig.start()
    with running.client() as client:
        assert "leaked_credential" in {reason["code"] for reason in decide(client, body)["reasons"]}
        before, content = pwned.stat(), pwned.read_bytes()
        pwned.write_bytes(content.replace(sha1("hunter2"), sha1("hunter2")[:-1] + b"0"))
        os.utime(pwned, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert decide(client, body)["degraded"] == ["leaked_credentials"]
        assert eventually(lambda: client.get("/readyz").json()["parts"]["databases"]["state"] == "stale")
        put(pwned, "correct horse")
        assert decide(client, body)["degraded"] == ["leaked_credentials"]
        put(pwned, "hunter2", "correct horse")
        assert eventually(lambda: decide(client, body)["degraded"] == [])
        put(pwned, "correct horse")
    running.end()
    assert "pwned.txt: not the file that was signed" in rig.refuses()


def test_without_a_policy_of_ones_own_none_is_used(rig: Rig) -> None:
    """A policy that is taken away does not bring the shipped one, which nobody signed for this service."""
    Signed(rig)
    rig.policy.unlink()
    assert "cannot be read" in rig.refuses()


def test_the_commands_make_what_the_service_takes(rig: Rig) -> None:
    """keygen, sign and verify, then serve; a list that is to stay free is named."""
    for name in ("feed.txt", "ours.txt"):
        (rig.home / name).write_text("198.51.100.0/24\n")
    (rig.home / "named.txt").write_text("AS64507\n")
    put(rig.home / "pwned.txt", "hunter2")
    rig.amend(
        lists={
            "feeds": [{"name": name[:-4], "file": name} for name in ("feed.txt", "ours.txt")],
            "named": {"own": {"kind": "deny", "of": "network", "file": "named.txt"}},
            "leaked_credentials": "pwned.txt",
        }
    )
    key = rig.home / "ops"
    good(rig.command("policy", "keygen", str(key)))
    assert key.with_suffix(".key").stat().st_mode & 0o777 == 0o600
    assert rig.command("policy", "keygen", str(key)).returncode == 1
    rig.environment["POLICY_KEYS"] = str(key.with_suffix(".pub"))
    assert rig.command("policy", "verify").returncode == 78
    wrong = rig.command("policy", "sign", "--key", f"{key}.key", "--free", "fed.txt")
    assert (wrong.returncode, "fed.txt" in wrong.stderr) == (1, True)
    good(rig.command("policy", "sign", "--key", f"{key}.key", "--free", "feed.txt"))
    told = good(rig.command("policy", "verify"))
    assert "signed as live" in told
    good(rig.command("policy", "sign", "--key", f"{key}.key", "--role", "shadow"))
    assert "signed as shadow" in rig.command("policy", "verify").stderr
    assert "signed as shadow" in good(rig.command("policy", "verify", "--role", "shadow"))
    good(rig.command("policy", "sign", "--key", f"{key}.key", "--free", "feed.txt"))
    assert "ours.txt: pinned" in told
    assert "feed.txt: may change" in told
    (rig.home / "feed.txt").write_text("81.2.69.0/24\n")
    with rig.start().client() as client:
        assert "listed_ip" in {reason["code"] for reason in decide(client)["reasons"]}
        asked = client.get("/policy").json()
    assert asked["signed"]["key"] in told
    (rig.home / "ours.txt").write_text("81.2.69.0/24\n")
    assert rig.command("policy", "verify").returncode == 78
    (rig.home / "ours.txt").write_text("198.51.100.0/24\n")
    for named in ("named.txt", "pwned.txt"):
        changed = rig.command("policy", "verify")
        assert changed.returncode == 0, changed.stderr
        content = (rig.home / named).read_bytes()
        (rig.home / named).write_bytes(content.replace(b"7", b"8"))
        assert f"{named}: not the file that was signed" in rig.command("policy", "verify").stderr
        (rig.home / named).write_bytes(content)
    (rig.home / "ours.txt").unlink()
    missing = rig.command("policy", "sign", "--key", f"{key}.key")
    assert (missing.returncode, "ours.txt" in missing.stderr, "Traceback" in missing.stderr) == (78, True, False)


def test_a_policy_with_mistakes_is_not_signed(rig: Rig) -> None:
    """What nobody could use nobody signs."""
    good(rig.command("policy", "keygen", str(rig.home / "ops")))
    rig.policy.write_text("version: 1\nlevl: 2\n")
    refused = rig.command("policy", "sign", "--key", str(rig.home / "ops.key"))
    assert (refused.returncode, "levl" in refused.stderr) == (78, True)
    assert not signature_path(rig.policy).exists()


def sha1(password: str) -> bytes:
    """Return the hash of a password as the set has it."""
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()


def good(ended: subprocess.CompletedProcess[str]) -> str:
    """Return what a command said that did its work."""
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def policy_part(client: httpx.Client) -> dict[str, object]:
    """Return what /readyz says of the policy."""
    told: dict[str, object] = client.get("/readyz").json()["parts"]["policy"]
    return told


def test_openssl_keys_are_keys(rig: Rig, tmp_path: Path) -> None:
    """Keys that openssl makes sign and verify as well."""
    secret, public = tmp_path / "openssl.key", tmp_path / "openssl.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", secret], check=True)
    subprocess.run(["openssl", "pkey", "-in", secret, "-pubout", "-out", public], check=True)
    good(rig.command("policy", "sign", "--key", str(secret)))
    good(rig.command("policy", "verify", "--keys", str(public)))
