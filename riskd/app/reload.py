"""Takes over what changed on disk while serving: keys, databases, lists, policy, model.

What is damaged, gone or half written changes nothing: the last good one stays in use, and the reason is logged once and
shown on /readyz. A policy's `record`, `deadlines` and `learning` take effect when workers are replaced (HUP).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import structlog

from riskd.anomaly.artifact import CURRENT_FILE
from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.app.parts import Parts
from riskd.engine import Engine
from riskd.enrich.enrich import Enricher
from riskd.enrich.sources import Source, sources
from riskd.errors import ConfigError
from riskd.features import MODEL_FEATURES
from riskd.policy import Policy
from riskd.policy.load import load
from riskd.settings import Settings
from riskd.tokens.keys import KeyRing

log = structlog.stdlib.get_logger("riskd.reload")


class Loaded:
    """What is in use right now, as far as it can change."""

    def __init__(self, settings: Settings, parts: Parts, policy: Policy, model: Model | None, now: datetime) -> None:
        """Begin with a policy and model that were just loaded; raises ConfigError for lists or keys that are wrong."""
        self._settings = settings
        self._parts = parts
        self._watched = {"policy": parts.policy_path, "model": settings.models_dir / CURRENT_FILE}
        self._seen = {name: _state(path) for name, path in self._watched.items()}
        self.policy = policy
        self.model = model
        self.enricher: Enricher = parts.enricher(policy)
        self.sources: tuple[Source, ...] = sources(self.enricher, settings.data_dir, now)
        self.keys = KeyRing.load(settings.data_dir / "secrets" / "keys.json")
        self.engine: Engine = self._make_engine()
        self.problems: dict[str, str] = {}
        """Why something is not in use as it stands on disk now: keys, databases, policy, model."""

    async def refresh(self, now: datetime) -> bool:
        """Look at everything once; return True when there is a new engine."""
        await asyncio.to_thread(self._refresh_data, now)
        changed = False
        for name, make in (("policy", self._reload_policy), ("model", self._reload_model)):
            state = _state(self._watched[name])
            if state != self._seen[name]:
                self._seen[name] = state
                changed |= await self._try(name, make)
        if changed:
            self.engine = self._make_engine()
        return changed

    def _make_engine(self) -> Engine:
        engine = self._parts.engine(self.policy, self.model, self.enricher)
        engine.sources = {source.name: source.version for source in self.sources}
        return engine

    def _refresh_data(self, now: datetime) -> None:
        self.keys.refresh()
        self._note("keys", self.keys.problem)
        self._note("databases", "; ".join(self.enricher.refresh()) or None)
        self.sources = sources(self.enricher, self._settings.data_dir, now)
        self.engine.sources = {source.name: source.version for source in self.sources}

    async def _try(self, name: str, make: Callable[[], None]) -> bool:
        try:
            await asyncio.to_thread(make)
        except ConfigError as error:
            self._note(name, str(error))
            return False
        self._note(name, None)
        version = None if self.model is None else self.model.version
        log.info("reloaded", part=name, policy=self.policy.revision, model=version)
        return True

    def _reload_policy(self) -> None:
        policy = load(self._parts.policy_path)
        self.enricher = self._parts.enricher(policy)
        self.policy = policy

    def _reload_model(self) -> None:
        # Not `open_model`: a policy that can do without a model still keeps the good one it has.
        self.model = load_model(self._settings.models_dir, MODEL_FEATURES)

    def _note(self, name: str, problem: str | None) -> None:
        if problem is None:
            self.problems.pop(name, None)
        elif self.problems.get(name) != problem:
            self.problems[name] = problem
            log.error("kept_last_good", part=name, reason=problem)


def _state(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file does; None when it is not there."""
    with suppress(OSError):
        status = path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
    return None
