"""The file that holds the API keys' digests, and every change to it.

Changes take a file lock, write a new file beside the old one and rename it, so a reader sees the old or the new state
and two changes never lose one another. File and folder are readable by their owner only.
"""

import hashlib
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from riskd.errors import ConfigError
from riskd.private_file import locked, replace_whole

Scope = Literal["decide", "outcome", "policy", "admin"]
SCOPES: tuple[Scope, ...] = ("decide", "outcome", "policy", "admin")

MAX_LIVE = 2
"""Keys of one name that may be in use at once: the old and the new one while callers move over."""
MAX_FILE = 4 * 2**20

_Instant = Annotated[datetime, Meta(tz=True)]


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One API key, without its secret."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{12}\Z")]
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")]
    """Who calls with it; written into every record."""
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)]
    digest: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    """SHA-256 of the key's whole text, in hex."""
    created: _Instant
    expires: _Instant | None = None
    revoked: _Instant | None = None

    @property
    def ends(self) -> datetime | None:
        """From when on it is refused; None for a key without end."""
        ends = [instant for instant in (self.expires, self.revoked) if instant is not None]
        return min(ends, default=None)

    def is_live(self, now: datetime) -> bool:
        """Whether it is accepted at `now`."""
        return self.ends is None or now < self.ends


class Issued(NamedTuple):
    """A new key, with the text that is shown once and kept nowhere."""

    text: str
    key: Key

    def __repr__(self) -> str:
        """Name the key without its text."""
        return f"Issued(id={self.key.id!r}, name={self.key.name!r})"


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    v: Literal[1] = 1
    keys: tuple[Key, ...] = ()


_decode = msgspec.json.Decoder(_File).decode


def load_keys(path: Path) -> tuple[Key, ...]:
    """Return the keys of a file, oldest first, ended ones included; none when it is missing.

    Raises ConfigError with one line when it cannot be read or is damaged.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_FILE + 1)
        if len(text) > MAX_FILE:
            raise ConfigError(f"{path}: a key file of more than {MAX_FILE} bytes is none")
        return _decode(text).keys
    except FileNotFoundError:
        return ()
    except OSError as failure:
        raise ConfigError(f"{path}: the key file cannot be read: {failure.strerror}") from failure
    except (msgspec.MsgspecError, ValueError, RecursionError) as failure:
        raise ConfigError(f"{path}: the key file is damaged ({failure}); restore it or remove it") from failure


def create_key(
    path: Path, name: str, scopes: Collection[str], *, now: datetime, expires: datetime | None = None
) -> Issued:
    """Add a key; raises ConfigError for a bad name or scope, or when the name has two live keys already."""
    with _changing(path) as keys:
        return _add(keys, name, scopes, now=now, expires=expires)


def rotate_key(path: Path, name: str, *, now: datetime, overlap: timedelta = timedelta(days=1)) -> Issued:
    """Add a key with the newest live one's scopes; the live one ends after `overlap`.

    Raises ConfigError when the name has no live key, or two.
    """
    with _changing(path) as keys:
        live = [key for key in keys if key.name == name and key.is_live(now)]
        if not live:
            raise ConfigError(f"no live key is named {name!r}; create one")
        issued = _add(keys, name, live[-1].scopes, now=now, expires=None)
        for index, key in enumerate(keys):
            if key in live:
                keys[index] = replace(key, expires=min(now + overlap, key.expires or now + overlap))
        return issued


def revoke_key(path: Path, key_id: str, *, now: datetime) -> Key:
    """End a key at once and return it; a key revoked before stays as it is. Raises ConfigError for an unknown id."""
    with _changing(path) as keys:
        for index, key in enumerate(keys):
            if key.id == key_id:
                keys[index] = key if key.revoked is not None else replace(key, revoked=now)
                return keys[index]
        raise ConfigError(f"no key has the id {key_id!r}")


def create_first_key(path: Path, *, now: datetime) -> Issued | None:
    """Add the key `default` (decide, outcome) to a file that holds none; None when there is one already."""
    with _changing(path) as keys:
        return None if keys else _add(keys, "default", ("decide", "outcome"), now=now, expires=None)


def _add(keys: list[Key], name: str, scopes: Collection[str], *, now: datetime, expires: datetime | None) -> Issued:
    if sum(key.name == name and key.is_live(now) for key in keys) >= MAX_LIVE:
        raise ConfigError(f"{name!r} has {MAX_LIVE} live keys; revoke one first")
    key_id = secrets.token_hex(6)
    text = f"rk_{key_id}_{secrets.token_urlsafe(32)}"
    plain = {
        "id": key_id,
        "name": name,
        "scopes": tuple(scope for scope in SCOPES if scope in scopes) + tuple(sorted({*scopes} - {*SCOPES})),
        "digest": hashlib.sha256(text.encode()).hexdigest(),
        "created": now,
        "expires": expires,
    }
    try:
        key = msgspec.convert(plain, Key)
    except msgspec.ValidationError as failure:
        raise ConfigError(
            f"no such key can be made ({failure}): a name is 1 to 64 letters, digits, '_', '.' or '-'; "
            f"scopes are one or more of {', '.join(SCOPES)}"
        ) from failure
    keys.append(key)
    return Issued(text, key)


@contextmanager
def _changing(path: Path) -> Iterator[list[Key]]:
    """Lock the file and yield its keys, to be changed in place; they are written when the block ends well."""
    with locked(path, "the key file cannot be changed"):
        before = load_keys(path)
        keys = list(before)
        yield keys
        if tuple(keys) != before:
            text = msgspec.json.format(msgspec.json.encode(_File(keys=tuple(keys))), indent=1) + b"\n"
            replace_whole(path, text, "the key file cannot be written")
