"""Signs policies for tests, as `riskd policy sign` does."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from riskd.app.source import signature_path
from riskd.policy.signature import Role, sign


class Signer:
    """A key, and the policies that it signs."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()

    def trust(self, path: Path) -> Path:
        """Write the public half to a file."""
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return path

    def sign(self, policy: Path, version: int, pinned: Iterable[str] = (), role: Role = "live") -> None:
        """Sign a policy as it is now, with the lists that are to be pinned."""
        files = {name: hashlib.sha256((policy.parent / name).read_bytes()).hexdigest() for name in pinned}
        now = datetime.now(UTC)
        signature_path(policy).write_bytes(
            sign(self.key, policy.read_bytes(), role=role, version=version, signed_at=now, files=files)
        )
