"""What lies in the models folder: each version with its standing, and what is wrong with it if anything is."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from riskd.anomaly.artifact import Manifest
from riskd.anomaly.load import Vouch, load_manifest, load_model, versions
from riskd.errors import ModelError
from riskd.features import MODEL_FEATURES
from riskd.learn.registry.history import Entry, read_history
from riskd.learn.registry.promote import current_or_none

Standing = Literal["current", "candidate", "former", "older"]
"""Newer than the current one and never it: a candidate. Once current: a former one. Neither: older."""
_TABLES = ("population", "calibration", "background", "features", "joined")
"""What of a manifest is for the machine."""


class Listed(Struct, frozen=True, kw_only=True):
    """One version."""

    version: str
    standing: Standing
    signature: str
    """`unsigned`, or whose it is."""
    problem: str | None
    """Why a service would refuse it; None: it would load."""
    created: datetime | None = None
    """All else is None where the manifest cannot be read."""
    trained_from: datetime | None = None
    trained_until: datetime | None = None
    rows: int | None = None
    source: str | None = None


class Shown(Struct, frozen=True, kw_only=True):
    """One version in full."""

    listed: Listed
    manifest: dict[str, Any]
    """Without the tables that only the machine reads."""
    features: int
    history: tuple[Entry, ...]
    """Changes of the current model that it had a part in, oldest first."""


def list_models(models: Path, signature: Callable[[Path], str], vouch: Vouch | None = None) -> list[Listed]:
    """Return all versions, newest first; each is loaded as a service would. Raises ConfigError for a damaged history.

    `signature` tells whose signature lies in a version's folder, `vouch` whether it is needed.
    """
    manifests = {version: _manifest(models, version) for version in versions(models)}
    current = current_or_none(models, strict=False)  # who mends a damaged CURRENT needs the list
    now = manifests.get(current) if current is not None else None
    been = {version for entry in read_history(models) for version in (entry.version, entry.former)}
    listed = [
        _listed(models, version, manifest, _standing(version, manifest, current, now, been), signature, vouch)
        for version, manifest in manifests.items()
    ]
    # Those that tell no time come last.
    return sorted(
        listed, key=lambda one: (one.created is not None, one.created and one.created.timestamp()), reverse=True
    )


def show_model(models: Path, version: str, signature: Callable[[Path], str], vouch: Vouch | None = None) -> Shown:
    """Return one version in full; raises ModelError when its manifest cannot be read."""
    manifest = load_manifest(models, version)
    listed = next(one for one in list_models(models, signature, vouch) if one.version == version)
    plain = {name: value for name, value in msgspec.to_builtins(manifest).items() if name not in _TABLES}
    history = tuple(entry for entry in read_history(models) if version in {entry.version, entry.former})
    return Shown(listed=listed, manifest=plain, features=len(manifest.features), history=history)


def _manifest(models: Path, version: str) -> Manifest | ModelError:
    try:
        return load_manifest(models, version)
    except ModelError as error:
        return error


def _standing(
    version: str,
    manifest: Manifest | ModelError,
    current: str | None,
    now: Manifest | ModelError | None,
    been: set[Any],
) -> Standing:
    if version == current:
        return "current"
    if version in been:
        return "former"
    if isinstance(manifest, Manifest) and isinstance(now, Manifest) and manifest.created <= now.created:
        return "older"
    return "candidate"


def _listed(
    models: Path,
    version: str,
    manifest: Manifest | ModelError,
    standing: Standing,
    signature: Callable[[Path], str],
    vouch: Vouch | None,
) -> Listed:
    told = signature(models / version)
    if isinstance(manifest, ModelError):
        return Listed(version=version, standing=standing, signature=told, problem=str(manifest))
    problem = None
    try:
        load_model(models, MODEL_FEATURES, version, vouch)
    except ModelError as error:
        problem = str(error)
    return Listed(
        version=version,
        standing=standing,
        signature=told,
        problem=problem,
        created=manifest.created,
        trained_from=manifest.trained_from,
        trained_until=manifest.trained_until,
        rows=manifest.rows,
        source=manifest.source,
    )
