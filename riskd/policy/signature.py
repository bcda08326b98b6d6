"""Signed policies: who vouches for a policy file, in a statement that lies beside it as `riskd.yaml.sig`.

The statement tells what the policy may be used as, a version, the SHA-256 of the policy's exact bytes and of each list
that is pinned. The version lets whoever loads policies refuse an old one that is put back, and the role one that was
only meant to be tried.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta, Struct, field

from riskd import signed
from riskd.errors import SignatureError
from riskd.signed import Digest, Keys, digest, key_id

MAX_VERSION: Final = 2**53 - 1
Pinned = Annotated[dict[Annotated[str, Meta(min_length=1, max_length=256)], Digest], Meta(max_length=200)]
"""SHA-256 of each pinned list, by its name as the policy spells it."""
Role = Literal["live", "rollout", "shadow"]
"""What a policy is used as: all are judged by it, a part of the subjects is, or it judges beside and is not obeyed."""
_SIGNED_AS: Final[Mapping[Role, frozenset[Role]]] = {
    "live": frozenset({"live"}),
    "rollout": frozenset({"rollout"}),
    "shadow": frozenset({"shadow", "rollout"}),
}
"""Roles that a policy may have been signed for, by the one that it is used in. What judges a part may also look on: one
file can be both. Not so the live one, or a former live policy could come back as a rollout."""


class Statement(signed.Statement, frozen=True, kw_only=True):
    """What a signature vouches for."""

    v: Literal[2] = 2
    role: Role
    """What the policy may be used as."""
    version: Annotated[int, Meta(ge=1, le=MAX_VERSION)]
    """Rises with every policy that is signed; milliseconds since 1970 unless the signer chose another."""
    policy: Digest
    files: Pinned = field(default_factory=dict)


class _AnyForm(Struct, frozen=True):
    statement: "_Form"


class _Form(Struct, frozen=True):
    v: int


_POLICIES: Final = signed.Kind(Statement, b"riskd policy statement 2\n", SignatureError)


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
    return _POLICIES.sign(key, statement)


def verify(content: bytes, signature_file: bytes, keys: Keys, source: str, role: Role) -> Statement:
    """Return what was signed for a policy of these very bytes that is used as `role`; `source` names it in errors.

    Raises SignatureError for a signature that is damaged, by a key that is not among `keys`, wrong, of another content,
    or for another role.
    """
    if _is_former(signature_file):
        raise SignatureError(f"{source}: its signature does not say what for, and counts no more; {_way_out(role)}")
    statement = _POLICIES.verify(signature_file, keys, source)
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
