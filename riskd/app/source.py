"""Where the policy comes from: a file and, where only signed policies are used, what vouches for it.

A signed policy is used when its statement is signed by a trusted key, speaks of the very bytes that are read and of the
role that they are used in, and has a version that is not lower than any seen before. The highest one is kept in the
data folder, over all keys: an old policy does not come back because its signer's key was replaced since.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from riskd.app.kept import KEPT_FILE, Written, keep, kept
from riskd.errors import ConfigError, SignatureError
from riskd.policy import Policy
from riskd.policy.load import parse, read_file
from riskd.private_file import locked, replace_whole

if TYPE_CHECKING:
    from riskd.policy.signature import Role, Statement
    from riskd.signed import Keys

SEEN_FILE = "{role}-seen.json"
UNKEPT = "the highest version seen cannot be kept"
KEY_SUFFIXES = frozenset({".pub", ".pem"})
"""How files are called that are read in a folder of keys."""


State = dict[Path, tuple[int, ...] | None]
"""For each file what changes when it does; None for one that is not there."""


class Vouched(NamedTuple):
    """A policy and what is said for it."""

    policy: Policy
    statement: "Statement | None"
    """None where no signature is asked for."""
    files: State
    """What its files were like just before they were read."""
    written: Written

    def digests(self, folder: Path) -> dict[Path, str]:
        """Return the SHA-256 of each list that the signature pins; names are relative to `folder`."""
        return {} if self.statement is None else {folder / name: told for name, told in self.statement.files.items()}


class _Seen(Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    content: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    """SHA-256 over what was signed under this version."""


class PolicySource:
    """The policy of one riskd."""

    def __init__(self, path: Path, keys: Path | None, data_dir: Path, role: "Role" = "live") -> None:
        """`keys` is a file or folder of public keys; None takes any policy.

        A policy must be signed for its role. Versions rise for each role by itself, so that a newer candidate does not
        make the policy in use an old one.
        """
        self.path = path
        self._keys = keys
        self._role = role
        self._seen = data_dir / SEEN_FILE.format(role=role)
        self._kept = data_dir / KEPT_FILE

    def files(self) -> tuple[Path, ...]:
        """Return all files that decide which policy is used."""
        if self._keys is None:
            return (self.path,)
        return (self.path, signature_path(self.path), self._keys, *key_files(self._keys))

    def load(self) -> Vouched:
        """Read the policy; raises PolicyError for its mistakes, SignatureError when it may not be used.

        An old version is only told by `remember`, which is due when all else about the policy is right.
        """
        files = stamps(self.files())
        content = read_file(self.path)
        signature = None if self._keys is None else read_signature(self.path, self._role)
        return self._vouched(Written(content, signature, monotonic_ns()), files)

    def load_or_kept(self) -> tuple[Vouched, ConfigError | None]:
        """Read the policy; where it is wrong, return the last good one of this service, and what is wrong.

        Raises as `load` does where none is kept, and as `remember` does of an old version.
        """
        files = stamps(self.files())
        try:
            vouched = self.load()
            self._refuse_older(vouched)
        except ConfigError as problem:
            last_good = self.kept()
            if last_good is None:
                raise
            return last_good._replace(files=files), problem
        return vouched, None

    def kept(self, *, after: Vouched | None = None) -> Vouched | None:
        """Return the policy that a worker of this service had in use last; None for none, or none read `after`.

        Raises as `load` does, if it may not be used any more.
        """
        written = kept(self._kept)
        if written is None or (after is not None and written.read_at <= after.written.read_at):
            return None
        return self._vouched(written, stamps(self.files()))

    def keep(self, vouched: Vouched) -> None:
        """Keep a policy that is taken into use, for other workers; raises ConfigError where it cannot be written."""
        keep(self._kept, vouched.written)

    def _vouched(self, written: Written, files: State) -> Vouched:
        statement = None
        if self._keys is not None:
            statement = read_statement(self.path, written, read_keys(self._keys), self._role)
        return Vouched(parse(written.content, str(self.path)), statement, files, written)

    def remember(self, vouched: Vouched) -> None:
        """Take note of the version that is about to be used; raises SignatureError when a higher one was seen."""
        if vouched.statement is None:
            return
        with locked(self._seen, UNKEPT):
            if (now := self._refuse_older(vouched)) is not None:
                replace_whole(self._seen, msgspec.json.encode(now), UNKEPT)

    def _refuse_older(self, vouched: Vouched) -> _Seen | None:
        """Return what to take note of, if anything; raises SignatureError when a higher version was seen."""
        statement = vouched.statement
        if statement is None:
            return None
        told = [statement.policy, sorted(statement.files.items())]
        now = _Seen(statement.version, hashlib.sha256(msgspec.json.encode(told)).hexdigest())
        before = _read_seen(self._seen)
        if before is not None and now.version < before.version:
            raise SignatureError(
                f"{self.path}: version {now.version} is older than {before.version}, which was used before; "
                "to go back, sign the old policy anew"
            )
        if before is not None and now.version == before.version and now != before:
            raise SignatureError(f"{self.path}: another policy was used as version {now.version}; sign it anew")
        return None if now == before else now


def stamps(paths: Iterable[Path]) -> State:
    """Return the state of some files."""
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> tuple[int, ...] | None:
    with suppress(OSError):
        status = path.stat()
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
    return None


def signature_path(policy: Path) -> Path:
    """Return where the signature of a policy lies."""
    return policy.with_name(policy.name + ".sig")


def read_signature(policy: Path, role: "Role") -> bytes:
    """Return what the signature file of a policy holds; raises SignatureError when there is none."""
    from riskd.signed import read_beside  # noqa: PLC0415 - 7 MB that only signed policies need

    return read_beside(policy, signature_path(policy), SignatureError, f"riskd policy sign --role {role}")


def read_statement(policy: Path, written: Written, trusted: "Keys", role: "Role") -> "Statement":
    """Return what a trusted key says of a policy in its role; raises SignatureError when none does."""
    from riskd.policy.signature import verify  # noqa: PLC0415 - as above

    return verify(written.content, written.signature or b"", trusted, str(policy), role)


def read_keys(path: Path) -> "Keys":
    """Return the public keys of a file, or of all *.pub and *.pem files of a folder; raises ConfigError."""
    from riskd.signed import MAX_BYTES, key_id, public_keys  # noqa: PLC0415 - as above

    found = {}
    try:
        for file in key_files(path) if path.is_dir() else (path,):
            with file.open("rb") as opened:
                found.update({key_id(key): key for key in public_keys(opened.read(MAX_BYTES), str(file))})
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from error
    if not found:
        raise ConfigError(f"{path}: no public key is in it (in a folder, files named *.pub or *.pem are read)")
    return found


def key_files(path: Path) -> Iterable[Path]:
    """Return the files of a folder of keys; none when it is no folder."""
    with suppress(OSError):
        return sorted(file for file in path.iterdir() if file.suffix in KEY_SUFFIXES)
    return ()


def _read_seen(path: Path) -> _Seen | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Seen)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: damaged ({error}); restore it, or remove it to take any signed version") from error
