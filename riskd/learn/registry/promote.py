"""Changes which model is current: promotion, and the way back. Services follow CURRENT without a restart.

Under a lock, what is to become current is loaded as a service would load it, the history is written, and then CURRENT
is replaced: killed in between, the old model is current, and the history is read so that it does no harm.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from riskd.anomaly.artifact import CURRENT_FILE, Manifest
from riskd.anomaly.load import Vouch, current_version, load_manifest, load_model, versions
from riskd.errors import ConfigError, ModelError
from riskd.features import MODEL_FEATURES
from riskd.learn.publish import make_current
from riskd.learn.registry.compare import Compared
from riskd.learn.registry.history import Entry, Event, append, former_of, read_history
from riskd.private_file import locked

_FAILING = "the current model cannot be changed"


def current_or_none(models: Path, *, strict: bool = True) -> str | None:
    """Return the version that CURRENT names, None without such a file.

    Raises ModelError where it names none; if not `strict`, such a file is as good as none.
    """
    if not (models / CURRENT_FILE).exists():
        return None
    try:
        return current_version(models)
    except ModelError:
        if strict:
            raise
        return None


def newest_candidate(models: Path) -> str:
    """Return the newest model made after the current one; raises ModelError where there is none.

    One that was current before is not meant: whoever rolled it back had a reason.
    """
    current = current_or_none(models)
    made = _manifests(models)
    since = made[current].created if current in made else None
    been = {version for entry in read_history(models) for version in (entry.version, entry.former)} | {current}
    newer = [one for one in made.values() if one.version not in been and (since is None or one.created > since)]
    if not newer:
        raise ModelError(f"{models}: no candidate is newer than the current model; name the version that you mean")
    return max(newer, key=lambda one: one.created).version


def promote(
    models: Path,
    version: str,
    compared: Compared | None,
    *,
    now: datetime,
    by: str,
    reason: str = "",
    force: bool = False,
    vouch: Vouch | None = None,
) -> Entry:
    """Make a model current and write down why; running services take it over.

    `compared` must be about this model and the current one, and its gates passed, unless `force` is set: that is the
    way out of a damaged CURRENT, too. Raises ConfigError otherwise, ModelError for a model that a service would refuse.
    """
    evidence: dict[str, Any] | None = None
    if compared is not None:
        evidence = msgspec.json.decode(msgspec.json.encode(compared))
    elif not force:
        raise ConfigError(f"{version}: no comparison with the current model was made")

    def chosen(current: str | None) -> str:
        if current == version:
            raise ConfigError(f"{version} is the current model already")
        if compared is not None and not force:
            if not compared.verdict.passed:
                raise ConfigError(f"{version}: its gates did not pass")
            if (compared.candidate, compared.current) != (version, current):
                raise ConfigError(
                    f"{compared.candidate} was compared with {compared.current}; now {current} is current"
                )
        return version

    return _change(models, "forced" if force else "promoted", chosen, now, by, reason, evidence, vouch)


def rollback(models: Path, *, now: datetime, by: str, reason: str = "", vouch: Vouch | None = None) -> Entry:
    """Make the former model current again; each call goes one promotion further back.

    Raises ConfigError where the history knows no former one, ModelError where a service would refuse it.
    """

    def chosen(current: str | None) -> str:
        former = None if current is None else former_of(current, read_history(models))
        if former is None:
            raise ConfigError(
                f"{models}: no promotion led to {current}, so there is no way back; choose one of `riskd models list`: "
                "riskd models promote VERSION --force --reason …"
            )
        return former

    return _change(models, "rolled_back", chosen, now, by, reason, None, vouch)


def _change(
    models: Path,
    event: Event,
    choose: Callable[[str | None], str],
    now: datetime,
    by: str,
    reason: str,
    evidence: dict[str, Any] | None,
    vouch: Vouch | None,
) -> Entry:
    if not models.is_dir():
        raise ModelError(f"{models}: no models are there; `riskd train` makes one")
    with locked(models / CURRENT_FILE, _FAILING):
        current = current_or_none(models, strict=event != "forced")
        version = choose(current)
        load_model(models, MODEL_FEATURES, version, vouch)
        entry = Entry(at=now, event=event, version=version, former=current, by=by, reason=reason, evidence=evidence)
        append(models, entry)
        try:
            make_current(models, version)
        except OSError as error:
            raise ConfigError(f"{models}: {_FAILING}: {error.strerror}") from error
    return entry


def _manifests(models: Path) -> dict[str, Manifest]:
    """Return the manifests that can be read."""
    found = {}
    for version in versions(models):
        try:
            found[version] = load_manifest(models, version)
        except ModelError:
            continue
    return found
