"""Pseudonyms: what leaves a request as a keyed hash, so that no store, log or record holds a raw identifier."""

import os
import secrets
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path
from typing import Literal

from riskd.decision_id import Sealer
from riskd.enrich.address import Address
from riskd.errors import ConfigError
from riskd.facts import AttributeValue

Keep = Literal["hash", "truncate", "plain"]
"""How facts and records keep a field: as keyed hash (default), shortened (addresses only: /24, /48) or as it came."""
KeptField = Literal["device", "session", "recipient", "resource", "ip"]

KEY_BYTES = 32
DIGEST_BYTES = 12
"""96 bits: among 10⁹ subjects a collision has a chance of 10⁻¹¹."""
_CHECK_BYTES = 8


class Pseudonyms:
    """Keyed hashes (BLAKE2b, RFC 7693 §2.9), one name space per field; hex text of 24 characters.

    All fields but the subject use keys drawn from `secret`, which never rotates, because their hashes stand in history.
    The subject's hash is only the key of a map to a random token, so it can rotate: it is a chain of keyed hashes, one
    link per key of the ring, and a new key is one more link that `rekey` puts onto a hash without knowing the id.
    """

    def __init__(self, secret: bytes, added: tuple[bytes, ...] = ()) -> None:
        if any(len(key) != KEY_BYTES for key in (secret, *added)):
            raise ConfigError(f"identity keys have {KEY_BYTES} bytes each")
        first = blake2b(secret, digest_size=KEY_BYTES, person=b"subject ring").digest()
        self._chain = tuple(_seed(key, "subject") for key in (first, *added))
        fields = (
            *("device", "session", "recipient", "resource", "ip", "network", "payload", "text", "body", "attribute"),
            "rollout",
        )
        self._seeds = {field: _seed(secret, field) for field in (*fields, "listed")}
        self.sealer = Sealer(blake2b(secret, digest_size=KEY_BYTES, person=b"decision ids").digest())
        """Seals the verdict into decision ids."""

    def subject(self, subject_id: str, subject_type: str = "user") -> str:
        """Return the map key of a subject; subjects of different types with one id are different subjects."""
        text = f"{subject_type}\0{subject_id}"
        for seed in self._chain:
            text = _digest(seed, text)
        return text

    def rekey(self, old_hash: str) -> str:
        """Return what `old_hash`, made before the newest key was added, is called now."""
        return _digest(self._chain[-1], old_hash)

    def device(self, device_id: str) -> str:
        """Hash a device id."""
        return _digest(self._seeds["device"], device_id)

    def session(self, session_id: str) -> str:
        """Hash a session id."""
        return _digest(self._seeds["session"], session_id)

    def recipient(self, recipient: str) -> str:
        """Hash a payee."""
        return _digest(self._seeds["recipient"], recipient)

    def resource(self, resource_id: str, resource_type: str | None = None) -> str:
        """Hash a resource id within its type."""
        return _digest(self._seeds["resource"], f"{resource_type or ''}\0{resource_id}")

    def ip(self, address: Address) -> str:
        """Hash an IPv4 address, or the /64 of an IPv6 one, in which its holder has addresses without end."""
        return _digest(self._seeds["ip"], address.host)

    def network(self, address: Address) -> str:
        """Hash the /24 or /48 of an address."""
        return _digest(self._seeds["network"], address.prefix)

    def payload(self, digest: str) -> str:
        """Hash the digest of a device payload."""
        return _digest(self._seeds["payload"], digest)

    def attribute(self, name: str, value: AttributeValue) -> str:
        """Hash the value of an attribute; the same number is the same whether written `1` or `1.0`."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return _digest(self._seeds["attribute"], f"{name}\0{value}")

    def listed(self, subject_id: str, subject_type: str | None = None) -> str:
        """Hash a subject's id for a list, or with its type for an exemption; the key is one that never rotates."""
        return _digest(self._seeds["listed"], subject_id if subject_type is None else f"{subject_type}\0{subject_id}")

    def lot(self, rollout: str, who: str) -> float:
        """Draw the lot of somebody in a rollout, 0 to below 1: always the same, and kept nowhere."""
        return int(_digest(self._seeds["rollout"], f"{rollout}\0{who}")[:13], 16) / 16**13

    def text(self, text: str) -> str:
        """Hash a free text that must not be kept as it is."""
        return _digest(self._seeds["text"], text)

    def body(self, body: bytes) -> str:
        """Hash a whole request, in which there may be anything."""
        state = self._seeds["body"].copy()
        state.update(body)
        return state.hexdigest()


def _seed(key: bytes, field: str) -> blake2b:
    return blake2b(key=key, person=field.encode(), digest_size=DIGEST_BYTES)


def _digest(seed: blake2b, text: str) -> str:
    state = seed.copy()
    state.update(text.encode("utf-8", "surrogatepass"))
    return state.hexdigest()


def load_secrets(data_dir: Path) -> Pseudonyms:
    """Read `secrets/identity` in the data directory; create it on first start, whoever of several processes is first.

    Raises ConfigError when the file is damaged or cannot be read or written: with other keys every known device would
    be a stranger, so a new file is never made over an old one.
    """
    path = _path(data_dir)
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_new(path, [secrets.token_bytes(KEY_BYTES)])
        return Pseudonyms(*_read(path))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; riskd needs a data directory it can write") from error


def begin_rotation(data_dir: Path) -> Pseudonyms:
    """Add a key for subject hashes beside the keys in use, and return the pseudonyms with it.

    Every map key then goes through `rekey`, and `finish_rotation` takes the new keys into use; until then the old ones
    are. A rotation begun before and not finished goes on with its key. Raises ConfigError.
    """
    load_secrets(data_dir)
    path, beside = _path(data_dir), _next_path(data_dir)
    secret, added = _read(path)
    try:
        if not beside.exists():
            _write_new(beside, [secret, *added, secrets.token_bytes(KEY_BYTES)])
        following = _read(beside)
    except OSError as error:
        raise ConfigError(f"{beside}: {error.strerror}; riskd needs a data directory it can write") from error
    if (following[0], following[1][:-1]) != (secret, added):
        raise ConfigError(f"{beside}: belongs to other keys than {path.name}; put back the two files that go together")
    return Pseudonyms(*following)


def finish_rotation(data_dir: Path) -> None:
    """Take the keys of a begun rotation into use, once every map key has gone through `rekey`; raises ConfigError."""
    beside = _next_path(data_dir)
    try:
        beside.replace(_path(data_dir))
        directory = os.open(beside.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # what is forgotten after this must not find the old keys in use again
        finally:
            os.close(directory)
    except OSError as error:
        raise ConfigError(f"{beside}: {error.strerror}; the rotation is not finished") from error


def _next_path(data_dir: Path) -> Path:
    return data_dir / "secrets" / "identity.next"


def _path(data_dir: Path) -> Path:
    return data_dir / "secrets" / "identity"


def _write_new(path: Path, keys: list[bytes]) -> None:
    """Create the file whole or not at all; leave the one alone that another process made meanwhile."""
    beside = _temporary(path, keys)
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()


def _temporary(path: Path, keys: list[bytes]) -> Path:
    """Write keys to a private file beside `path`, one line of hex key and check sum each."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write("".join(f"{key.hex()} {_check(key, n)}\n" for n, key in enumerate(keys)).encode())
        file.flush()
        os.fsync(file.fileno())
    return beside


def _read(path: Path) -> tuple[bytes, tuple[bytes, ...]]:
    damaged = ConfigError(f"{path}: damaged; put the file back from a backup (a new one would forget every device)")
    try:
        lines = path.read_text("ascii").split("\n")
        pairs = [line.split(" ") for line in lines[:-1]]
        keys = [bytes.fromhex(key) for key, _ in pairs]
    except ValueError:
        raise damaged from None
    good = all(
        compare_digest(_check(key, n), check) for n, (key, (_, check)) in enumerate(zip(keys, pairs, strict=True))
    )
    if not keys or lines[-1] or not good or any(len(key) != KEY_BYTES for key in keys):
        raise damaged
    return keys[0], tuple(keys[1:])


def _check(key: bytes, number: int) -> str:
    return blake2b(key, digest_size=_CHECK_BYTES, salt=number.to_bytes(8, "big"), person=b"check").hexdigest()
