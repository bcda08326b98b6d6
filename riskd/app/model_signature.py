"""Signed models: who vouches for an artifact, in a statement that lies beside its manifest as `manifest.json.sig`.

The statement names the key, the version, and the SHA-256 of the manifest's exact bytes and of the model; whatever else
the manifest holds or names by its digest is covered with it. It is signed with Ed25519 (RFC 8032), by the same kind of
key as a policy, and a signature of the one never fits the other.
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta, Struct

from riskd.errors import ModelError
from riskd.policy.signature import Digest, KeyId, Keys, digest, key_id

_DOMAIN: Final = b"riskd model statement 1\n"
"""Goes before what is signed, so that no signature made for anything else fits."""


class ModelStatement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a signature vouches for."""

    v: Literal[1] = 1
    key: KeyId
    """Id of the key that signed."""
    version: Annotated[str, Meta(max_length=32)]
    signed_at: Annotated[datetime, Meta(tz=True)]
    manifest: Digest
    """SHA-256 of manifest.json, as it lies there."""
    model: Digest
    """SHA-256 of model.onnx."""


class _Signed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    statement: ModelStatement
    signature: Annotated[str, Meta(max_length=100)]
    """Base64 of the 64 bytes."""


_decode = msgspec.json.Decoder(_Signed).decode


def sign(key: Ed25519PrivateKey, version: str, manifest: bytes, model: str, *, signed_at: datetime) -> bytes:
    """Return the signature file for an artifact with these very bytes of manifest and this digest of its model."""
    statement = ModelStatement(
        key=key_id(key.public_key()),
        version=version,
        signed_at=signed_at.replace(microsecond=0),
        manifest=digest(manifest),
        model=model,
    )
    signature = b64encode(key.sign(_message(statement))).decode()
    return msgspec.json.format(msgspec.json.encode(_Signed(statement=statement, signature=signature)), indent=2) + b"\n"


def verify(signature_file: bytes, version: str, manifest: bytes, model: str, keys: Keys, source: str) -> ModelStatement:
    """Return what was signed for this artifact; `source` names it in errors.

    Raises ModelError for a signature that is damaged, by a key that is not among `keys`, wrong, or of another artifact.
    """
    statement, signature = _read(signature_file, source)
    key = keys.get(statement.key)
    if key is None:
        raise ModelError(f"{source}: signed by {statement.key}, which is none of the trusted keys")
    try:
        key.verify(signature, _message(statement))
    except InvalidSignature:
        raise ModelError(f"{source}: the signature is not one of the key {statement.key}") from None
    if (statement.version, statement.manifest, statement.model) != (version, digest(manifest), model):
        raise ModelError(
            f"{source}: not the model that was signed; if it is right, sign it anew: riskd models sign {version}"
        )
    return statement


def signer(signature_file: bytes, source: str) -> str:
    """Return the id of the key that is said to have signed, which proves nothing; raises ModelError for damage."""
    return _read(signature_file, source)[0].key


def _read(signature_file: bytes, source: str) -> tuple[ModelStatement, bytes]:
    try:
        signed = _decode(signature_file)
        return signed.statement, b64decode(signed.signature, validate=True)
    except (msgspec.MsgspecError, NotBase64, ValueError, RecursionError) as error:
        raise ModelError(f"{source}: the signature is damaged ({error})") from error


def _message(statement: ModelStatement) -> bytes:
    """Return the bytes that are signed: what was read, written anew, so that nothing unread hides in them."""
    return _DOMAIN + msgspec.json.encode(statement, order="sorted")
