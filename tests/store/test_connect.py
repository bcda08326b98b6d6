"""Reading the store's URL."""

import pytest

from riskd.errors import ConfigError
from riskd.store.connect import Address, parse


@pytest.mark.parametrize(
    ("url", "dialect", "addresses", "db"),
    [
        ("redis://localhost", "single", ("localhost:6379",), 0),
        ("redis://127.0.0.1:7000/3", "single", ("127.0.0.1:7000",), 3),
        ("redis://[::1]:7000?db=2", "single", ("::1:7000",), 2),
        ("rediss://store.example", "single", ("store.example:6379",), 0),
        ("unix:///run/redis%20a.sock?db=1", "single", ("/run/redis a.sock",), 1),
        ("redis+sentinel://a,b:7001/main?db=4", "sentinel", ("a:26379", "b:7001"), 4),
        ("redis+cluster://a:1,b:2,c:3", "cluster", ("a:1", "b:2", "c:3"), 0),
    ],
)
def test_urls(url: str, dialect: str, addresses: tuple[str, ...], db: int) -> None:
    """Each form names its servers and database."""
    target = parse(url)
    assert (target.dialect, tuple(map(str, target.addresses)), target.credentials.db) == (dialect, addresses, db)
    assert (target.tls is not None) == url.startswith("rediss")


def test_credentials_are_read_and_never_shown() -> None:
    """User and password are unquoted; no repr shows a password."""
    target = parse("redis+sentinel://ada:p%40ss%2Fword@h/main?sentinel_user=eve&sentinel_password=secret")
    assert (target.credentials.user, target.credentials.password) == ("ada", "p@ss/word")
    assert (target.sentinel_credentials.user, target.sentinel_credentials.password) == ("eve", "secret")
    assert target.addresses == (Address("h", 26379),)
    assert not any(word in repr(target) for word in ("p@ss", "word", "secret"))
    assert parse("redis://:only@h").credentials.user is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://:secret@h", "unknown scheme"),
        ("", "unknown scheme"),
        ("redis://", "host is missing"),
        ("redis://:secret@h:port", "no host and port"),
        ("redis://h:99999", "no host and port"),
        ("redis://h/one", "no database number"),
        ("redis://h?db=-1", "no database number"),
        ("redis://:secret@a,b", "several hosts"),
        ("redis://h?retries=3", "unknown option 'retries'"),
        ("redis+cluster://h/1", "no database numbers"),
        ("redis+sentinel://h", "name the service"),
        ("unix://relative/path", "absolute path"),
        ("unix://", "absolute path"),
        ("rediss://h?ca=/does/not/exist", "TLS files"),
        ("redis+cluster://h?tls=true&cert=/does/not/exist", "TLS files"),
    ],
)
def test_mistakes(url: str, why: str) -> None:
    """Each mistake says what is wrong, and never the password."""
    with pytest.raises(ConfigError, match=why) as refused:
        parse(url)
    assert "secret" not in str(refused.value)
