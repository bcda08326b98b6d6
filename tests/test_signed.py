"""Keys that sign and keys that are trusted, as people keep them."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from riskd.errors import ConfigError
from riskd.signed import key_id, private_key, public_keys

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def pem(key: Ed25519PrivateKey) -> bytes:
    """Return its public half in PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def raw(key: Ed25519PrivateKey) -> bytes:
    """Return its public half in Base64."""
    return b64encode(key.public_key().public_bytes_raw())


@pytest.mark.parametrize(
    "content",
    [
        pem(KEY) + b"rotated in 2026:\n" + pem(STRANGER),
        raw(KEY) + b"\n\n# ops\n" + raw(STRANGER) + b"  # the old one\n",
    ],
    ids=["PEM", "Base64"],
)
def test_public_keys_in_either_form(content: bytes) -> None:
    """Several keys may stand in one file."""
    found = [key_id(key) for key in public_keys(content, "keys.pub")]
    assert found == [key_id(KEY.public_key()), key_id(STRANGER.public_key())]


def test_what_is_no_public_key() -> None:
    """A private key, a key of another kind and noise are named; the private key's text is not repeated."""
    other = generate_private_key(SECP256R1())
    secret = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    wrong = {
        secret: "holds a private key",
        other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo): "not an Ed25519 key",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----": "no public key in PEM",
        raw(KEY) + b"\nwords": "keys.pub:2: ",
        raw(KEY)[:-8]: "keys.pub:1: ",
    }
    for content, why in wrong.items():
        with pytest.raises(ConfigError, match=why) as raised:
            list(public_keys(content, "keys.pub"))
        assert secret.splitlines()[1].decode() not in str(raised.value)


def test_what_is_no_signing_key() -> None:
    """Only an Ed25519 key in clear PEM signs."""
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    for content, why in {b"words": "no private key", other: "not an Ed25519", locked: "encrypted"}.items():
        with pytest.raises(ConfigError, match=why):
            private_key(content, "policy.key")
    secret = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert key_id(private_key(secret, "policy.key").public_key()) == key_id(KEY.public_key())
