"""Signed policies: who vouches for a policy file, in a statement that lies beside it as `riskd.yaml.sig`.

The statement names the key, what the policy may be used as, a version, the SHA-256 of the policy's exact bytes and of
each list that is pinned. It is signed with Ed25519 (RFC 8032); the version lets whoever loads policies refuse an old
one that is put back, and the role one that was only meant to be tried.
"""

import hashlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from msgspec import Meta, Struct

from riskd.errors import ConfigError, SignatureError

MAX_BYTES: Final = 65_536
"""Bytes of a signature file, or of a file of keys, at most."""
MAX_VERSION: Final = 2**53 - 1
_DOMAIN: Final = b"riskd policy statement 2\n"
"""Goes before what is signed, so that no signature made for anything else fits."""
_END: Final = b"-----END PUBLIC KEY-----"

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
KeyId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
Keys = Mapping[str, Ed25519PublicKey]
"""The keys that are trusted, by `key_id`."""
Role = Literal["live", "rollout", "shadow"]
"""What a policy is used as: all are judged by it, a part of the subjects is, or it judges beside and is not obeyed."""
_SIGNED_AS: Final[Mapping[Role, frozenset[Role]]] = {
    "live": frozenset({"live"}),
    "rollout": frozenset({"rollout"}),
    "shadow": frozenset({"shadow", "rollout"}),
}
"""Roles that a policy may have been signed for, by the one that it is used in. What judges a part may also look on: one
file can be both. Not so the live one, or a former live policy could come back as a rollout."""


class Statement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a signature vouches for."""

    v: Literal[2] = 2
    key: KeyId
    """Id of the key that signed, see `key_id`."""
    role: Role
    """What the policy may be used as."""
    version: Annotated[int, Meta(ge=1, le=MAX_VERSION)]
    """Rises with every policy that is signed; milliseconds since 1970 unless the signer chose another."""
    signed_at: Annotated[datetime, Meta(tz=True)]
    policy: Digest
    files: Annotated[dict[Annotated[str, Meta(min_length=1, max_length=256)], Digest], Meta(max_length=200)] = {}
    """SHA-256 of each pinned list, by its name as the policy spells it."""


class _Signed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    statement: Statement
    signature: Annotated[str, Meta(max_length=100)]
    """Base64 of the 64 bytes."""


class _AnyForm(Struct, frozen=True):
    statement: "_Form"


class _Form(Struct, frozen=True):
    v: int


_decode = msgspec.json.Decoder(_Signed).decode


def key_id(key: Ed25519PublicKey) -> str:
    """Return the id of a key: the first 16 hex digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file, in hex."""
    return hashlib.sha256(content).hexdigest()


def sign(
    key: Ed25519PrivateKey,
    content: bytes,
    *,
    role: Role,
    version: int,
    signed_at: datetime,
    files: Mapping[str, str],
) -> bytes:
    """Return the signature file for a policy of these very bytes; `files` has the digest of each list to pin."""
    statement = Statement(
        key=key_id(key.public_key()),
        role=role,
        version=version,
        signed_at=signed_at.replace(microsecond=0),
        policy=digest(content),
        files=dict(files),
    )
    signature = b64encode(key.sign(_message(statement))).decode()
    return msgspec.json.format(msgspec.json.encode(_Signed(statement=statement, signature=signature)), indent=2) + b"\n"


def verify(content: bytes, signature_file: bytes, keys: Keys, source: str, role: Role) -> Statement:
    """Return what was signed for a policy of these very bytes that is used as `role`; `source` names it in errors.

    Raises SignatureError for a signature that is damaged, by a key that is not among `keys`, wrong, of another content,
    or for another role.
    """
    try:
        signed = _decode(signature_file)
        signature = b64decode(signed.signature, validate=True)
    except (msgspec.MsgspecError, NotBase64, ValueError, RecursionError) as error:
        if _is_former(signature_file):
            raise SignatureError(
                f"{source}: its signature does not say what for, and counts no more; {_way_out(role)}"
            ) from None
        raise SignatureError(f"{source}: the signature is damaged ({error})") from error
    statement = signed.statement
    key = keys.get(statement.key)
    if key is None:
        raise SignatureError(f"{source}: signed by {statement.key}, which is none of the trusted keys")
    try:
        key.verify(signature, _message(statement))
    except InvalidSignature:
        raise SignatureError(f"{source}: the signature is not one of the key {statement.key}") from None
    if digest(content) != statement.policy:
        raise SignatureError(f"{source}: not the file that was signed; sign it as it is now: riskd policy sign")
    if statement.role not in _SIGNED_AS[role]:
        raise SignatureError(
            f"{source}: used as {role}, but signed as {statement.role}; if it is to be used as {role}, {_way_out(role)}"
        )
    return statement


def _is_former(signature_file: bytes) -> bool:
    """Whether this is a statement of the first form, which named no role."""
    with suppress(msgspec.MsgspecError, ValueError, RecursionError):
        return msgspec.json.decode(signature_file, type=_AnyForm).statement.v == 1
    return False


def _way_out(role: Role) -> str:
    return f"sign it anew: riskd policy sign --role {role}"


def _message(statement: Statement) -> bytes:
    """Return the bytes that are signed: what was read, written anew, so that nothing unread hides in them."""
    return _DOMAIN + msgspec.json.encode(statement, order="sorted")


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
