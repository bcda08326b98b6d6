"""A signature fits one policy, one key and one statement, and nothing else."""

import json
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from riskd.errors import SignatureError
from riskd.policy.signature import Role, sign, verify
from riskd.signed import Keys, key_id

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
CONTENT = b"version: 1\nthresholds: {step_up: 50, deny: 85}\n"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
TRUSTED: Keys = {key_id(KEY.public_key()): KEY.public_key()}
FILES = {"lists/deny.txt": "ab" * 32, "feed.txt": "cd" * 32}
SIGNED = sign(KEY, CONTENT, role="live", version=7, signed_at=NOW, files=FILES)


def test_what_was_signed_is_told() -> None:
    """A signature that fits tells key, version, time and pinned lists."""
    statement = verify(CONTENT, SIGNED, TRUSTED, "riskd.yaml", "live")
    assert (statement.key, statement.version, statement.signed_at) == (key_id(KEY.public_key()), 7, NOW)
    assert statement.files == FILES


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        (sign(STRANGER, CONTENT, role="live", version=7, signed_at=NOW, files={}), "none of the trusted keys"),
        (sign(KEY, CONTENT + b" ", role="live", version=7, signed_at=NOW, files={}), "not the file that was signed"),
        (b"", "damaged"),
        (SIGNED[:-20], "damaged"),
        (SIGNED.replace(b'"version": 7', b'"version": 8'), "not one of the key"),
        (SIGNED.replace(b"abab", b"abac"), "not one of the key"),
        (SIGNED.replace(b'"role": "live"', b'"role": "rollout"'), "not one of the key"),
        (SIGNED.replace(b'"role": "live"', b'"role": "boss"'), "damaged"),
        (SIGNED.replace(b'"v": 2', b'"v": 3'), "damaged"),
        (SIGNED.replace(b'"v": 2', b'"more": 0, "v": 2'), "damaged"),
        (b"[" * 10_000, "damaged"),
        (b"\xff\x00", "damaged"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(signature: bytes, why: str) -> None:
    """A stranger, another content, another statement and noise are each refused with their reason."""
    with pytest.raises(SignatureError, match=why):
        verify(CONTENT, signature, TRUSTED, "riskd.yaml", "live")


@pytest.mark.parametrize(
    ("signed_as", "used_as", "taken"),
    [
        ("live", "live", True),
        ("live", "rollout", False),
        ("live", "shadow", False),
        ("rollout", "live", False),
        ("rollout", "rollout", True),
        ("rollout", "shadow", True),
        ("shadow", "live", False),
        ("shadow", "rollout", False),
        ("shadow", "shadow", True),
    ],
)
def test_a_signature_is_for_one_role(signed_as: Role, used_as: Role, taken: bool) -> None:
    """What was signed to be tried does not judge all, and the refusal says file, both roles and the way out."""
    signature = sign(KEY, CONTENT, role=signed_as, version=7, signed_at=NOW, files={})
    if taken:
        assert verify(CONTENT, signature, TRUSTED, "riskd.yaml", used_as).role == signed_as
        return
    with pytest.raises(SignatureError) as refused:
        verify(CONTENT, signature, TRUSTED, "riskd.yaml", used_as)
    assert str(refused.value) == (
        f"riskd.yaml: used as {used_as}, but signed as {signed_as}; "
        f"if it is to be used as {used_as}, sign it anew: riskd policy sign --role {used_as}"
    )


def test_a_signature_that_names_no_role_counts_no_more() -> None:
    """One of the first form is told from a damaged one, and from one whose role was taken out."""
    statement = json.loads(SIGNED)["statement"]
    del statement["role"]
    former = {"statement": {**statement, "v": 1}, "signature": b64encode(bytes(64)).decode()}
    with pytest.raises(SignatureError, match="does not say what for, and counts no more; sign it anew: riskd policy"):
        verify(CONTENT, json.dumps(former).encode(), TRUSTED, "riskd.yaml", "live")
    former["statement"] = statement
    with pytest.raises(SignatureError, match="damaged"):
        verify(CONTENT, json.dumps(former).encode(), TRUSTED, "riskd.yaml", "live")


def test_a_stranger_cannot_borrow_a_key_id() -> None:
    """The id says which key to try, and proves nothing."""
    foreign = sign(STRANGER, CONTENT, role="live", version=7, signed_at=NOW, files={})
    theirs, ours = (key_id(key.public_key()).encode() for key in (STRANGER, KEY))
    with pytest.raises(SignatureError, match="not one of the key"):
        verify(CONTENT, foreign.replace(theirs, ours), TRUSTED, "riskd.yaml", "live")


@settings(deadline=None)
@given(at=st.integers(0, len(SIGNED) - 1), to=st.integers(0, 255))
def test_no_changed_byte_is_believed(at: int, to: int) -> None:
    """A signature file with one other byte says what was signed, or is refused."""
    changed = SIGNED[:at] + bytes([to]) + SIGNED[at + 1 :]
    try:
        statement = verify(CONTENT, changed, TRUSTED, "riskd.yaml", "live")
    except SignatureError:
        return
    assert statement == verify(CONTENT, SIGNED, TRUSTED, "riskd.yaml", "live")


@settings(deadline=None)
@given(at=st.integers(0, len(CONTENT) - 1), to=st.integers(0, 255))
def test_no_changed_policy_is_believed(at: int, to: int) -> None:
    """A policy with one other byte is refused."""
    changed = CONTENT[:at] + bytes([to]) + CONTENT[at + 1 :]
    if changed != CONTENT:
        with pytest.raises(SignatureError):
            verify(changed, SIGNED, TRUSTED, "riskd.yaml", "live")


def test_the_file_is_for_people_too() -> None:
    """A signature file is JSON that a review can read."""
    told = json.loads(SIGNED)
    assert set(told) == {"statement", "signature"}
    assert told["statement"]["signed_at"] == "2026-11-24T06:00:00Z"
