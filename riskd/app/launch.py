"""`riskd serve`: the parent process, with the embedded store and the key of the first start."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from riskd.app.kept import KEPT_FILE
from riskd.app.watch import changes
from riskd.errors import ConfigError
from riskd.http import serve as http
from riskd.http.logs import configure_logs
from riskd.settings import Settings
from riskd.store.embedded import Embedded
from riskd.tokens.keyfile import create_first_key
from riskd.tokens.keys import KeyRing

NO_KEY: Final = "none"
"""Shown when the first key is gone: `riskd keys create` makes another."""


def serve(settings: Settings) -> None:
    """Serve until a signal ends it; raises ConfigError when something riskd was told is wrong."""
    configure_logs(settings.log_level)
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"RISKD_DATA_DIR: {settings.data_dir} cannot be made: {error.strerror}") from error
    for stale in (settings.data_dir / "run" / "metrics").glob("*.json"):
        stale.unlink(missing_ok=True)  # counters begin at 0 with a new service, as Prometheus expects
    (settings.data_dir / KEPT_FILE).unlink(missing_ok=True)  # a start refuses a wrong policy
    plan = http.Plan(
        factory="riskd.app.service:create",
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        key=first_key(settings.data_dir, datetime.now(UTC)),
        environment=environment(settings),
        drain_seconds=settings.drain_seconds,
        store=lambda: _store(settings),
        changes=lambda: changes(watched_paths(settings)),
    )
    asyncio.run(http.serve(plan))


def first_key(data_dir: Path, now: datetime) -> str:
    """Return the key that the first start makes, as long as it is live, else `none`.

    Its secret is kept, readable by its owner only, so that every start can show a key that works. For production,
    make keys with `riskd keys create`, revoke this one and delete `secrets/default-key`.
    """
    secrets = data_dir / "secrets"
    kept = secrets / "default-key"
    issued = create_first_key(secrets / "keys.json", now=now)
    if issued is not None:
        try:
            with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
                file.write(issued.text + "\n")
        except OSError as error:
            raise ConfigError(f"{kept} cannot be written: {error.strerror}") from error
        return issued.text
    with suppress(OSError, UnicodeDecodeError):
        text = kept.read_text(encoding="ascii").strip()
        if KeyRing.load(secrets / "keys.json").verify(text, now=now) is not None:
            return text
    return NO_KEY


def environment(settings: Settings) -> Mapping[str, str]:
    """Return the variables that give a worker these very settings."""
    variables = {}
    for name, value in settings:
        match value:
            case None:
                continue
            case SecretStr():
                text = value.get_secret_value()
            case tuple():
                text = ",".join(str(part) for part in value if isinstance(part, IPv4Network | IPv6Network))
            case _:
                text = str(value)
        variables[f"RISKD_{name.upper()}"] = text
    return variables


def watched_paths(settings: Settings) -> tuple[Path, ...]:
    """Return what workers read while they serve, but for lists in other folders than the policy's."""
    keys = (settings.policy_keys, settings.model_keys)
    own = (settings.policy, *keys, settings.geo_city, settings.geo_asn, settings.geo_anonymous)
    return (
        *(path for path in own if path is not None),
        settings.models_dir / "CURRENT",
        settings.data_dir / "secrets" / "keys.json",
        settings.data_dir / "geo" / "city-ipv4.mmdb",
    )


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[Mapping[str, str]]:
    """Keep the embedded store while workers need it; they find it as they would find any other."""
    if settings.redis_url is not None:
        yield {}
        return
    embedded = Embedded(settings.data_dir)
    await asyncio.to_thread(embedded.start)
    try:
        yield {"RISKD_REDIS_URL": embedded.url}
    finally:
        await asyncio.to_thread(embedded.stop)
