"""The parent's own part: the first key and what workers are told."""

from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr

from riskd.app.launch import NO_KEY, environment, first_key
from riskd.settings import Settings
from riskd.tokens.keyfile import load_keys, revoke_key

NOW = datetime(2026, 11, 2, tzinfo=UTC)


def test_the_first_key_is_shown_as_long_as_it_lives(tmp_path: Path) -> None:
    """It may decide and report outcomes; once revoked or its file gone, none is shown, and none is made."""
    text = first_key(tmp_path, NOW)
    keys = tmp_path / "secrets" / "keys.json"
    assert first_key(tmp_path, NOW) == text
    (key,) = load_keys(keys)
    assert set(key.scopes) == {"decide", "outcome"}
    revoke_key(keys, key.id, now=NOW)
    assert first_key(tmp_path, NOW) == NO_KEY
    (tmp_path / "secrets" / "default-key").unlink()
    assert first_key(tmp_path, NOW) == NO_KEY


def test_workers_get_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings survive the way through a worker's environment, secrets and lists included."""
    settings = Settings(
        data_dir=tmp_path,
        redis_url=SecretStr("redis://user:secret@host:6379/1"),
        trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
        workers=3,
        drain_seconds=1.5,
        log_level="debug",
        geo_city=tmp_path / "city.mmdb",
    )
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
