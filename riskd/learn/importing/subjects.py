"""Which token is whose: the map that a store keeps, and records do not.

A record names its subject by a random token. Only the store knows the keyed hash of the id it belongs to, so that
deleting one entry there makes all records of a person anonymous. Who wants to teach a store from records must bring
that map: an import leaves it beside its log, a caller has it in his own log (which decision was whose), and a store
that lost only a part may have it still.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct
from redis.exceptions import RedisError

from riskd.enrich.identity import Pseudonyms
from riskd.errors import ConfigError, StoreUnavailable
from riskd.learn.importing.fields import text
from riskd.learn.importing.lines import read_lines
from riskd.learn.importing.row import Reading
from riskd.learn.importing.table import Table, Values, json_rows
from riskd.store.keys import Keys
from riskd.store.upkeep import SCAN_COUNT, connect

SUBJECTS_FILE: Final = "subjects.jsonl"
Hash = Annotated[str, Meta(pattern="^[0-9a-f]{24}$")]
_KEYS: Final = 200
"""Tokens asked for at once."""


class Held(Struct, frozen=True):
    """One line of `subjects.jsonl`."""

    token: Hash
    subject: Hash
    """Keyed hash of the id, as the store's keys have it."""


class _Ring(Struct, frozen=True):
    """The first line: which keys the hashes were made with."""

    ring: str


class Told(Struct, frozen=True):
    """Whose a decision was, by a caller's word."""

    by: Literal["decision_id", "request_id"]
    id: str
    subject: str
    """Keyed hash of the id."""


def held(url: str, prefix: str = "riskd") -> Iterator[Held]:
    """Yield the map that a store holds, some subjects perhaps twice; raises StoreUnavailable."""
    start = Keys(prefix).entity("s", "").removesuffix("}")
    try:
        with connect(url) as client:
            batch: list[str] = []
            for key in client.scan_iter(match=f"{start}*}}", count=SCAN_COUNT):
                batch.append(key.decode("utf-8", "replace"))
                if len(batch) == _KEYS:
                    yield from _tokens(client, start, batch)
                    batch = []
            yield from _tokens(client, start, batch)
    except RedisError as error:
        raise StoreUnavailable(f"the store does not answer: {error}") from error


def _tokens(client: object, start: str, keys: list[str]) -> Iterator[Held]:
    with client.pipeline(transaction=False) as asked:  # type: ignore[attr-defined]
        for key in keys:
            asked.hget(key, "token")
        for key, token in zip(keys, asked.execute(), strict=True):
            if isinstance(token, bytes):
                yield Held(token.decode("utf-8", "replace"), key.removeprefix(start).removesuffix("}"))


def ring_of(pseudonyms: Pseudonyms) -> str:
    """Return what tells the keys of subject hashes from others, and changes when they are rotated."""
    return pseudonyms.subject("", "riskd ring")


def write_subjects(path: Path, pairs: Iterable[Held], pseudonyms: Pseudonyms) -> None:
    """Write the map beside a log, for its owner's eyes only."""
    encode = msgspec.json.encode
    path.touch(mode=0o600)
    with path.open("wb") as file:
        file.write(encode(_Ring(ring_of(pseudonyms))) + b"\n")
        for pair in pairs:
            file.write(encode(pair) + b"\n")


def read_subjects(path: Path, pseudonyms: Pseudonyms) -> Iterator[Held]:
    """Yield the map beside a log; raises ConfigError for one that was made with other keys or is none."""
    lines = read_lines(path, Reading())
    try:
        ring = msgspec.json.decode(next(lines, ""), type=_Ring).ring
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path}: is no map of subjects ({error})") from None
    if ring != ring_of(pseudonyms):
        raise ConfigError(
            f"{path}: was made with other identity keys (another RISKD_DATA_DIR, or a rotation since); import again"
        )
    decode = msgspec.json.Decoder(Held).decode
    for line in lines:
        try:
            yield decode(line)
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{path}: is damaged ({error}); import again") from None


def read_told(path: Path, pseudonyms: Pseudonyms, reading: Reading) -> Iterator[Told]:
    """Yield whose decisions were, from a CSV with a header or a JSON Lines file of the caller's.

    Columns: `decision_id` or `request_id`, `subject_id`, and `subject_type` where that is not `user`. One decision of
    each subject is enough. Raises ConfigError when columns are missing.
    """
    if path.name.removesuffix(".gz").removesuffix(".zst").endswith((".jsonl", ".ndjson", ".json")):
        rows = json_rows(path, reading)
    else:
        table = Table(path, reading)
        if "subject_id" not in table.columns or not {"decision_id", "request_id"} & set(table.columns):
            raise ConfigError(f"{path}: needs the columns subject_id and decision_id (or request_id)")
        rows = table.rows()
    for values in rows:
        try:
            told = _told(values, pseudonyms)
        except ValueError:
            reading.unusable["row: not a decision and its subject"] += 1
            continue
        reading.rows += 1
        yield told


def _told(values: Values, pseudonyms: Pseudonyms) -> Told:
    subject_id = text(values.get("subject_id") or None)
    subject = pseudonyms.subject(subject_id, text(values.get("subject_type") or "user"))
    if values.get("decision_id"):
        return Told("decision_id", text(values["decision_id"]).strip().lower(), subject)
    return Told("request_id", pseudonyms.text(text(values.get("request_id") or None)), subject)
