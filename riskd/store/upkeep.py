"""Upkeep of a store, off the decision path, through redis-py: look at it, and move subjects to new map keys.

Decisions use one pipelined connection of their own (`link`), an eighth of the CPU a client call costs. Here nothing is
hot, so the library does the work on one server, behind sentinels and on a cluster alike.
"""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec.structs import replace
from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from riskd.errors import StoreUnavailable
from riskd.store.attempt import Attempt
from riskd.store.connect import Target, parse
from riskd.store.keys import SUBJECT_PARTS, VELOCITIES, Keys
from riskd.store.velocities import sets_of

SCAN_COUNT = 1000
TIMEOUT_S = 10.0
BATCH = 500
MOVED_S = 180 * 86400
"""Seconds for which names moved are remembered: as long as any subject is kept."""
Client = Redis | RedisCluster

_decode = msgspec.msgpack.Decoder(Attempt).decode
_encode = msgspec.msgpack.Encoder().encode


class Rekeyed(msgspec.Struct, frozen=True):
    """What this run moved to new map keys."""

    subjects: int
    pending: int
    """Attempts that wait for their outcome."""


class State(msgspec.Struct, frozen=True):
    """What a store says of itself."""

    server: str
    version: str
    keys: int
    memory_bytes: int
    persistent: bool
    """It writes to disk, by append-only file or snapshots."""


def connect(url: str) -> Client:
    """Open a redis-py client for a store URL; raises ConfigError for a wrong URL."""
    target = parse(url)
    options: dict[str, Any] = {
        "username": target.credentials.user,
        "password": target.credentials.password,
        "socket_timeout": TIMEOUT_S,
        "retry": Retry(NoBackoff(), 1),
        **_tls(url, target),
    }
    first = target.addresses[0]
    if target.dialect == "cluster":
        nodes = [ClusterNode(a.host, a.port) for a in target.addresses]  # type: ignore[no-untyped-call]
        return RedisCluster(startup_nodes=nodes, **options)
    options["db"] = target.credentials.db
    if target.dialect == "sentinel":
        own = target.sentinel_credentials
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            [(a.host, a.port) for a in target.addresses],
            sentinel_kwargs={"username": own.user, "password": own.password, "socket_timeout": TIMEOUT_S},
            **options,
        )
        client: Redis = sentinel.master_for(target.service)  # type: ignore[no-untyped-call]
        return client
    if first.port == 0:
        return Redis(unix_socket_path=first.host, **options)
    return Redis(host=first.host, port=first.port, **options)


def _tls(url: str, target: Target) -> dict[str, Any]:
    if target.tls is None:
        return {}
    given = dict(parse_qsl(urlsplit(url).query))
    names = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
    return {"ssl": True, **{names[option]: path for option, path in given.items() if option in names}}


def state(url: str) -> State:
    """Ask a store for its state; raises StoreUnavailable."""
    try:
        with connect(url) as client:
            nodes = _nodes(client)
            infos = [node.info() for node in nodes]
            keys = sum(node.dbsize() for node in nodes)
    except RedisError as error:
        raise StoreUnavailable(f"the store does not answer: {error}") from error
    first = infos[0]
    return State(
        server="valkey" if first.get("server_name") == "valkey" else "redis",
        version=str(first.get("valkey_version") or first["redis_version"]),
        keys=keys,
        memory_bytes=sum(int(info["used_memory"]) for info in infos),
        persistent=all(info.get("aof_enabled") or info.get("rdb_last_save_time") for info in infos),
    )


def rekey(url: str, rename: Callable[[str], str], prefix: str = "riskd") -> Rekeyed:
    """Move every subject to the map key that `rename` gives for its old one, tokens and habits with it.

    A run that broke off anywhere is ended by another with the same `rename`: the store remembers the names given so
    far, until `forget_moved`. Stop the service first: what it writes meanwhile would stay under old keys. Raises
    StoreUnavailable.
    """
    keys = Keys(prefix)
    subjects = pending = 0
    try:
        with connect(url) as client:
            moves = _Moves(client, keys.moved(rename("")), rename)
            for names in _batches(_entities(client, f"{prefix}:{{s:")):
                for old, new in moves.begin(names).items():
                    sets = sets_of(client.get(keys.entity("s", old) + VELOCITIES))
                    for part in (*[f"{VELOCITIES}{name}" for name in sets], *SUBJECT_PARTS):
                        _move(client, keys.entity("s", old) + part, keys.entity("s", new) + part)
                    subjects += 1
            for names in _batches(_entities(client, f"{prefix}:{{o:")):
                pending += _readdress(client, [keys.pending(name) for name in names], moves)
    except RedisError as error:
        raise StoreUnavailable(f"the store does not answer: {error}") from error
    return Rekeyed(subjects, pending)


def forget_moved(url: str, rename: Callable[[str], str], prefix: str = "riskd") -> None:
    """Forget which names `rekey` gave, once their key is the one in use; raises StoreUnavailable."""
    try:
        with connect(url) as client:
            client.unlink(Keys(prefix).moved(rename("")))
    except RedisError as error:
        raise StoreUnavailable(f"the store does not answer: {error}") from error


class _Moves:
    """Tells old names from new ones, which look alike: new ones are noted in the store before anything is there."""

    def __init__(self, client: Client, noted: str, rename: Callable[[str], str]) -> None:
        self._client = client
        self._noted = noted
        self._rename = rename

    def begin(self, names: list[str]) -> dict[str, str]:
        """Return the old among `names` with their new names."""
        if not names:
            return {}
        known = self._client.smismember(self._noted, names)
        new = {name: self._rename(name) for name, moved in zip(names, known, strict=True) if not moved}
        if new:
            self._client.sadd(self._noted, *new.values())
            self._client.expire(self._noted, MOVED_S)
        return new


def _nodes(client: Client) -> list[Redis]:
    if isinstance(client, RedisCluster):
        return [client.get_redis_connection(node) for node in client.get_primaries()]  # type: ignore[no-untyped-call]
    return [client]


def _entities(client: Client, start: str) -> Iterator[str]:
    """Yield the names of all entities whose keys begin with `start`."""
    seen: set[str] = set()
    for key in client.scan_iter(match=start + "*", count=SCAN_COUNT):
        name = key.decode("utf-8", "replace").removeprefix(start).partition("}")[0]
        if name not in seen:
            seen.add(name)
            yield name


def _batches(names: Iterator[str]) -> Iterator[list[str]]:
    """Yield all names in lists; all are read before the first list, since the moves make new ones."""
    every = list(names)
    for start in range(0, len(every), BATCH):
        yield every[start : start + BATCH]


def _move(client: Client, old: str, new: str) -> None:
    # Old and new lie in different slots of a cluster, so RENAME would not do.
    value = client.dump(old)
    if value is None:
        return
    if not client.exists(new):  # else a run before this one broke off here
        client.restore(new, max(client.pttl(old), 0), value)
    client.unlink(old)


def _readdress(client: Client, keys: list[str], moves: _Moves) -> int:
    waiting = {key: attempt for key in keys if (attempt := _waiting(client.get(key))) is not None}
    new = moves.begin(list({str(attempt.subject) for attempt in waiting.values()}))
    old = {key: attempt for key, attempt in waiting.items() if attempt.subject in new}
    for key, attempt in old.items():
        client.set(key, _encode(replace(attempt, subject=new[str(attempt.subject)])), keepttl=True)
    return len(old)


def _waiting(kept: object) -> Attempt | None:
    """Read an attempt that has a subject."""
    if not isinstance(kept, bytes):
        return None
    try:
        attempt = _decode(kept)
    except msgspec.DecodeError:
        return None
    return attempt if attempt.subject is not None else None
