"""Signed statements: who vouches for a file, in a small JSON file that lies beside it as `<name>.sig`.

A statement names its key and what it vouches for, by SHA-256. It is signed with Ed25519 (RFC 8032), after a line that
says what kind of statement it is: a signature of one kind fits no other.
"""

import hashlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from msgspec import Meta, Struct

from riskd.errors import ConfigError

MAX_BYTES: Final = 65_536
"""Bytes of a signature file, or of a file of keys, at most."""
_END: Final = b"-----END PUBLIC KEY-----"

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
KeyId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
Keys = Mapping[str, Ed25519PublicKey]
"""The keys that are trusted, by `key_id`."""


class Statement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every statement tells; its kind adds what it vouches for."""

    key: KeyId
    """Id of the key that signed, see `key_id`."""
    signed_at: Annotated[datetime, Meta(tz=True)]


class _Signed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    statement: msgspec.Raw
    signature: Annotated[str, Meta(max_length=100)]
    """Base64 of the 64 bytes."""


_S = TypeVar("_S", bound=Statement)


class Kind(Generic[_S]):
    """One kind of statement: signs, and tells what was signed."""

    def __init__(self, statement: type[_S], domain: bytes, error: type[ConfigError]) -> None:
        """`domain` goes before what is signed; `error` is raised for what cannot be believed."""
        self._decode = msgspec.json.Decoder(statement).decode
        self._domain = domain
        self._error = error

    def sign(self, key: Ed25519PrivateKey, statement: _S) -> bytes:
        """Return the signature file for a statement that names this key."""
        signed = _Signed(
            statement=msgspec.Raw(msgspec.json.encode(statement)),
            signature=b64encode(key.sign(self._message(statement))).decode(),
        )
        return msgspec.json.format(msgspec.json.encode(signed), indent=2) + b"\n"

    def read(self, signature_file: bytes, source: str) -> tuple[_S, bytes]:
        """Return what is said and the signature, which proves nothing yet; `source` names it in errors."""
        try:
            signed = msgspec.json.decode(signature_file, type=_Signed)
            return self._decode(signed.statement), b64decode(signed.signature, validate=True)
        except (msgspec.MsgspecError, NotBase64, ValueError, RecursionError) as error:
            raise self._error(f"{source}: the signature is damaged ({error})") from error

    def verify(self, signature_file: bytes, keys: Keys, source: str) -> _S:
        """Return what one of `keys` signed; raises for damage, for a stranger's key and for a wrong signature."""
        statement, signature = self.read(signature_file, source)
        key = keys.get(statement.key)
        if key is None:
            raise self._error(f"{source}: signed by {statement.key}, which is none of the trusted keys")
        try:
            key.verify(signature, self._message(statement))
        except InvalidSignature:
            raise self._error(f"{source}: the signature is not one of the key {statement.key}") from None
        return statement

    def _message(self, statement: _S) -> bytes:
        """Return the bytes that are signed: what was read, written anew, so that nothing unread hides in them."""
        return self._domain + msgspec.json.encode(statement, order="sorted")


def read_beside(what: Path, path: Path, error: type[ConfigError], command: str) -> bytes:
    """Return what the signature file of `what` holds; raises `error`, which names the `command` when there is none."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except FileNotFoundError:
        raise error(f"{what}: not signed: there is no {path.name}; see `{command}`") from None
    except OSError as failure:
        raise error(f"{path}: cannot be read: {failure.strerror}") from failure


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file, in hex."""
    return hashlib.sha256(content).hexdigest()


def key_id(key: Ed25519PublicKey) -> str:
    """Return the id of a key: the first 16 hex digits of the SHA-256 of its 32 bytes."""
    return digest(key.public_bytes_raw())[:16]


def public_keys(content: bytes, source: str) -> Iterator[Ed25519PublicKey]:
    """Yield the keys of a file: PEM blocks, or lines with the Base64 of 32 bytes and perhaps a comment after `#`.

    Raises ConfigError for anything else.
    """
    if b"PRIVATE KEY-----" in content:
        raise ConfigError(f"{source}: holds a private key; only public ones belong here")
    if b"-----BEGIN" in content:
        for block in content.split(_END)[:-1]:
            yield _of_pem(block[block.find(b"-----BEGIN") :] + _END + b"\n", source)
        return
    for number, line in enumerate(content.splitlines(), 1):
        words = line.split(b"#")[0].split()
        if words:
            try:
                yield Ed25519PublicKey.from_public_bytes(b64decode(words[0], validate=True))
            except (ValueError, NotBase64):
                raise ConfigError(f"{source}:{number}: no Ed25519 public key (Base64 of 32 bytes)") from None


def _of_pem(block: bytes, source: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{source}: no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{source}: not an Ed25519 key")
    return key


def private_key(content: bytes, source: str) -> Ed25519PrivateKey:
    """Return the signing key of a PEM file; raises ConfigError."""
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise ConfigError(f"{source}: encrypted; decrypt it first: openssl pkey -in … -out …") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{source}: no private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{source}: not an Ed25519 key")
    return key
