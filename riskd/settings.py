"""Process environment only: where things are. What a user tunes is policy.

Each field is read from the environment variable of the same name with the prefix `RISKD_`.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

LOG_FOLDER: Final = "log"
"""The folder of a decision log, below the data folder or that of a simulation."""


class Settings(BaseSettings):
    """Where riskd finds and keeps things."""

    model_config = SettingsConfigDict(env_prefix="RISKD_", frozen=True, extra="ignore")

    data_dir: Path = Path("data")
    """State: the embedded store, decision log, databases, secrets."""
    policy: Path = Path("riskd.yaml")
    """The policy file."""
    policy_keys: Path | None = None
    """A file or folder of Ed25519 public keys (PEM, or Base64, one a line). Set, only a policy signed by one of them is
    used; see `riskd policy sign`."""
    models_dir: Path = Path("models")
    """Model artifacts: `<version>/` folders and `CURRENT`."""
    model_keys: Path | None = None
    """A file or folder of Ed25519 public keys, as for `policy_keys`. Set, only a model signed by one of them is used;
    see `riskd models sign`."""
    redis_url: SecretStr | None = None
    """`redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `redis+cluster://`; unset means the embedded store."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    drain_seconds: Annotated[float, Field(ge=0, le=60)] = 0.5
    """How long a worker goes on taking requests after /readyz has begun to say 503; behind a load balancer, set what it
    needs to notice."""
    rate_limit: Annotated[float, Field(ge=0)] = 0
    """Requests a second that one API key may send to one worker; beyond is a 429. 0 means no limit."""
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Requests that one worker holds at once; beyond is a 503 before any work. At a quarter of a millisecond each, the
    last of 64 waits some 15 ms."""
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Comma-separated CIDRs whose forwarded headers are believed."""
    geo_city: Path | None = None
    """A City or Country mmdb of yours; unset means what `riskd data install` put in place, else the built-in tables."""
    geo_asn: Path | None = None
    """An ASN mmdb of yours."""
    geo_anonymous: Path | None = None
    """An Anonymous-IP mmdb of yours."""
    log_level: Annotated[str, Field(pattern=r"^(debug|info|warning|error)$")] = "info"

    @property
    def log_dir(self) -> Path:
        """Where the decision log is written."""
        return self.data_dir / LOG_FOLDER

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
        return value
