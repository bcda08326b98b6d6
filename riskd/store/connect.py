"""Where the store is: reads `RISKD_REDIS_URL` into an address, a dialect and credentials.

    redis://[user:password@]host[:port][/db]        rediss://…  the same over TLS
    unix://[user:password@]/path/to.sock[?db=0]
    redis+sentinel://[user:password@]host[:port],host[:port]/service[?db=0]
    redis+cluster://[user:password@]host[:port],host[:port]

TLS, also for `redis+sentinel` and `redis+cluster` with `?tls=true`: `ca=`, `cert=`, `key=` name PEM files. With
`?sentinel_user=` and `?sentinel_password=` the sentinels have credentials of their own. Passwords never appear in an
error or a repr.
"""

import ssl
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from riskd.errors import ConfigError

Dialect = Literal["single", "sentinel", "cluster"]
_SCHEMES: dict[str, Dialect] = {
    "redis": "single",
    "rediss": "single",
    "unix": "single",
    "redis+sentinel": "sentinel",
    "redis+cluster": "cluster",
}
_OPTIONS = frozenset({"db", "tls", "ca", "cert", "key", "sentinel_user", "sentinel_password"})


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port, or the path of a unix socket with port 0."""

    host: str
    port: int

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.host}:{self.port}" if self.port else self.host


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a connection says first."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Where the store is and how to reach it."""

    dialect: Dialect
    addresses: tuple[Address, ...]
    """The server, the sentinels, or the cluster nodes to ask first."""
    credentials: Credentials = Credentials()
    sentinel_credentials: Credentials = Credentials()
    service: str = ""
    """Name of the sentinels' service."""
    tls: ssl.SSLContext | None = field(default=None, repr=False)


def _refuse(why: str) -> ConfigError:
    return ConfigError(f"RISKD_REDIS_URL: {why}")


def _addresses(hosts: str, port: int) -> tuple[Address, ...]:
    found = []
    for text in hosts.split(","):
        try:
            parts = urlsplit(f"//{text}")
            host, number = parts.hostname, parts.port
        except ValueError as error:
            raise _refuse(f"{text!r} is no host and port") from error
        if not host or "@" in text:
            raise _refuse("a host is missing; write e.g. redis://localhost:6379/0")
        found.append(Address(host, number or port))
    return tuple(found)


def _context(parts: SplitResult, options: dict[str, str]) -> ssl.SSLContext | None:
    if parts.scheme != "rediss" and (parts.scheme == "unix" or options.get("tls", "false") != "true"):
        return None
    try:
        context = ssl.create_default_context(cafile=options.get("ca"))
        if "cert" in options:
            context.load_cert_chain(options["cert"], options.get("key"))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise _refuse(f"the TLS files ca=, cert= or key= cannot be used ({error})") from error
    return context


def _db(text: str) -> int:
    if not text.isdecimal() or len(text) > 5:
        raise _refuse(f"{text!r} is no database number")
    return int(text)


def parse(url: str) -> Target:
    """Read a store URL; raises ConfigError with the way out, never showing a password."""
    parts = urlsplit(url)
    dialect = _SCHEMES.get(parts.scheme)
    if dialect is None:
        raise _refuse(f"unknown scheme {parts.scheme[:32]!r}; use one of {', '.join(s + '://' for s in _SCHEMES)}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if strange := sorted(set(options) - _OPTIONS):
        raise _refuse(f"unknown option {strange[0][:32]!r}; known are {', '.join(sorted(_OPTIONS))}")
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    path = unquote(parts.path)
    name = path.strip("/")
    db = _db(options.get("db") or (name if dialect == "single" and parts.scheme != "unix" and name else "0"))
    if dialect == "cluster" and (db or name):
        raise _refuse("a cluster has no database numbers; leave the path and db= out")
    if dialect == "sentinel" and not name:
        raise _refuse("name the service: redis+sentinel://host:26379/service")
    if parts.scheme == "unix":
        if hosts or not name:
            raise _refuse("a unix socket needs an absolute path: unix:///run/redis.sock")
        addresses: tuple[Address, ...] = (Address(path, 0),)
    else:
        addresses = _addresses(hosts, 26379 if dialect == "sentinel" else 6379)
        if dialect == "single" and len(addresses) > 1:
            raise _refuse("several hosts need redis+sentinel:// or redis+cluster://")
    return Target(
        dialect=dialect,
        addresses=addresses,
        credentials=Credentials(unquote(user) or None, unquote(password) or None, db),
        sentinel_credentials=Credentials(options.get("sentinel_user"), options.get("sentinel_password")),
        service=name if dialect == "sentinel" else "",
        tls=_context(parts, options),
    )
