"""Signed models: who vouches for an artifact, in a statement that lies beside its manifest as `manifest.json.sig`.

The statement names the version, and the SHA-256 of the manifest's exact bytes and of the model; whatever else the
manifest holds or names by its digest is covered with it. The keys are of the same kind as those of a policy.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from riskd.errors import ModelError
from riskd.signed import Digest, Keys, Kind, Statement, digest, key_id


class ModelStatement(Statement, frozen=True, kw_only=True):
    """What a signature vouches for."""

    v: Literal[1] = 1
    version: Annotated[str, Meta(max_length=32)]
    manifest: Digest
    """SHA-256 of manifest.json, as it lies there."""
    model: Digest
    """SHA-256 of model.onnx."""


_MODELS: Final = Kind(ModelStatement, b"riskd model statement 1\n", ModelError)


def sign(key: Ed25519PrivateKey, version: str, manifest: bytes, model: str, *, signed_at: datetime) -> bytes:
    """Return the signature file for an artifact with these very bytes of manifest and this digest of its model."""
    statement = ModelStatement(
        key=key_id(key.public_key()),
        version=version,
        signed_at=signed_at.replace(microsecond=0),
        manifest=digest(manifest),
        model=model,
    )
    return _MODELS.sign(key, statement)


def verify(signature_file: bytes, version: str, manifest: bytes, model: str, keys: Keys, source: str) -> ModelStatement:
    """Return what was signed for this artifact; `source` names it in errors.

    Raises ModelError for a signature that is damaged, by a key that is not among `keys`, wrong, or of another artifact.
    """
    statement = _MODELS.verify(signature_file, keys, source)
    if (statement.version, statement.manifest, statement.model) != (version, digest(manifest), model):
        raise ModelError(
            f"{source}: not the model that was signed; if it is right, sign it anew: riskd models sign {version}"
        )
    return statement


def signer(signature_file: bytes, source: str) -> str:
    """Return the id of the key that is said to have signed, which proves nothing; raises ModelError for damage."""
    return _MODELS.read(signature_file, source)[0].key
