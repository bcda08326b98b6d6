"""Takes over what changed on disk while serving: keys, databases, lists, policy, model, candidates.

What is damaged, gone, half written or not signed as it must be changes nothing: the last good one stays in use, and the
reason is counted, logged once and shown on /readyz. A policy takes effect as a whole, in one step of the event loop; a
request under way goes on by the engine or outcomes that it began with, and so by their policy.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import structlog

from riskd.anomaly.artifact import CURRENT_FILE
from riskd.anomaly.model import Model
from riskd.app.candidates import NONE, CandidateFiles
from riskd.app.model_source import ModelSource
from riskd.app.parts import Parts, list_files
from riskd.app.source import PolicySource, State, Vouched, stamps
from riskd.engine import Engine
from riskd.enrich.enrich import Enricher
from riskd.enrich.sources import Source, sources
from riskd.errors import ConfigError, ModelError, StoreUnavailable
from riskd.ledger import Ledger
from riskd.outcome import Outcomes
from riskd.policy import Policy
from riskd.settings import Settings
from riskd.tokens.keys import KeyRing
from riskd.trial import Breakers, Candidates

REST_S: Final = 0.03
"""A file that did not change for so long is taken to be written to its end."""
LONGEST_UNREST: Final = 30
"""Looks at a file that changes on and on, before it is read as it is."""

log = structlog.stdlib.get_logger("riskd.reload")

Made = TypeVar("Made")


class Loaded:
    """What is in use right now, as far as it can change."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        source: PolicySource,
        vouched: Vouched,
        model: Model | None,
        now: datetime,
        policy_problem: ConfigError | None = None,
    ) -> None:
        """Begin with a policy and model that were just loaded; `policy_problem` says why it is not the one on disk.

        Raises ConfigError for lists or keys that are wrong, and for a policy older than one used before.
        """
        self._settings = settings
        self._models = ModelSource.of(settings)
        self._parts = parts
        self._source = source
        self._looking = asyncio.Lock()
        self._named: dict[str, State] = {"policy": {}, "model": {}, "candidates": {}}
        """Files that the policy and the model last read name, as they were before those were read."""
        self.vouched = vouched
        self.policy_since = now
        """When the policy in use was taken into use."""
        self.model = model
        self.problems: dict[str, str] = {}
        """Why something is not in use as it stands on disk now: keys, databases, policy, model, candidates."""
        self.policy_problem = policy_problem
        """What is wrong with the policy on disk; None when it is in use."""
        self._note("policy", None if policy_problem is None else str(policy_problem))
        on_disk = self._state("model")
        self._seen = {"policy": vouched.files, "model": on_disk if self._is_current() else {}}
        self._candidate_files = CandidateFiles(settings, source.path)
        self._next: Policy = self.policy
        """The policy whose candidates are looked at."""
        self._breakers = Breakers(parts.metrics)
        self.candidates: Candidates = self._first_candidates()
        """What is tried beside the policy in use."""
        self.enricher: Enricher = parts.enricher(self.policy, vouched.digests(source.path.parent))
        self.sources: tuple[Source, ...] = sources(self.enricher, settings.data_dir, now)
        self.keys = KeyRing.load(settings.data_dir / "secrets" / "keys.json")
        self.engine: Engine = self._make_engine()
        self.outcomes: Outcomes = parts.outcomes(self.policy)
        self.ledger: Ledger = parts.ledger(self.policy, self.enricher.named)
        source.remember(vouched)
        self._keep(vouched)
        for name in ("policy", "model", "candidates", "keys", "databases"):
            parts.metrics.load_errors.at(name)  # told as 0 from the first, so that a rise can be seen

    @property
    def policy(self) -> Policy:
        """The policy in use."""
        return self.vouched.policy

    async def refresh(self, now: datetime, *, again: bool = False) -> bool:
        """Look at everything once; return True when there is a new engine and new outcomes.

        With `again` the policy is read whether or not it seems changed, and so is a model that was refused.
        """
        async with self._looking:
            await asyncio.to_thread(self._refresh_data, now)
            ruled = await self._made_anew("policy", self._read_policy, again=again)
            if self.policy_problem is not None:
                ruled = await asyncio.to_thread(self._read_kept)
            model = await self._made_anew("model", self._read_model, again=again and "model" in self.problems)
            self._next = self.policy if ruled is None else ruled[0].policy
            candidates = await self._candidates_anew(again=again or ruled is not None, of_another=ruled is not None)
            if ruled is None and model is None and candidates is None:
                return False
            if ruled is not None and ruled[1].named.unread:  # a list is read before it counts
                with suppress(StoreUnavailable):
                    await self.ledger.follow(now)
            # From here to the end nothing is awaited: no request sees one part changed and another not.
            if ruled is not None:
                self.vouched, self.enricher = ruled
                self.policy_since = now
                self._parts.obey(self.policy)
                self.ledger.obey(self.policy, self.enricher.named)
                self.outcomes = self._parts.outcomes(self.policy)
            if model is not None:
                self.model = model
            if candidates is not None:
                self.candidates = candidates
            self.engine = self._make_engine()
            version = None if self.model is None else self.model.version
            log.info("reloaded", policy=self.policy.revision, model=version)
            return True

    def _make_engine(self) -> Engine:
        engine = self._parts.engine(self.policy, self.model, self.enricher, self.candidates, self._breakers)
        engine.sources = {source.name: source.version for source in self.sources}
        return engine

    def _refresh_data(self, now: datetime) -> None:
        self.keys.refresh()
        for name, problem in (("keys", self.keys.problem), ("databases", "; ".join(self.enricher.refresh()) or None)):
            if problem is not None and self.problems.get(name) != problem:
                self._parts.metrics.load_errors.at(name).inc()
            self._note(name, problem)
        self.sources = sources(self.enricher, self._settings.data_dir, now)
        self.engine.sources = {source.name: source.version for source in self.sources}

    async def _made_anew(self, name: str, make: Callable[[], Made], *, again: bool) -> Made | None:
        """Make a part from its files if they changed since the last look; None when they did not, or are wrong."""
        if not again and self._state(name) == self._seen[name]:
            return None
        seen = await self._at_rest(name)
        self._named[name] = {}
        problem: ConfigError | None = None
        try:
            made = await asyncio.to_thread(make)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file, the others are followed
            problem, made = _problem(name, error), None
            self._parts.metrics.load_errors.at(name).inc()
        if name == "policy":
            self.policy_problem = problem
        self._note(name, None if problem is None else str(problem))
        own = self._files(name)
        self._seen[name] = {path: stamp for path, stamp in (seen | self._named[name]).items() if path in own}
        return made

    def _first_candidates(self) -> Candidates:
        self._seen["candidates"] = self._state("candidates")
        try:
            return self._read_candidates()
        except Exception as error:  # noqa: BLE001 - a candidate is no reason not to start
            self._parts.metrics.load_errors.at("candidates").inc()
            self._note("candidates", str(_problem("candidates", error)))
            return NONE

    async def _candidates_anew(self, *, again: bool, of_another: bool) -> Candidates | None:
        """Make the candidates anew where they changed; wrong ones of another policy leave none to go on with."""
        if not self._files("candidates"):
            self._note("candidates", None)
            self._seen["candidates"] = {}
            return None if self.candidates == NONE else NONE
        made = await self._made_anew("candidates", self._read_candidates, again=again)
        return NONE if made is None and of_another else made

    async def _at_rest(self, name: str) -> State:
        """Wait until nobody seems to be writing any more; return the state of the files then."""
        state = self._state(name)
        for _ in range(LONGEST_UNREST):
            await asyncio.sleep(REST_S)
            if (later := self._state(name)) == state:
                break
            state = later
        return state

    def _is_current(self) -> bool:
        """Tell whether the model is the one on disk; a broken one is read once more, to be told of, and mended."""
        if self.model is None:
            return not (self._settings.models_dir / CURRENT_FILE).exists()
        with suppress(ModelError):
            return self._models.current() == self.model.version
        return False

    def _state(self, name: str) -> State:
        return stamps(self._files(name))

    def _files(self, name: str) -> Collection[Path]:
        """Return the files that decide what a part is; what these name counts while something is wrong with it."""
        if name == "candidates":
            return self._candidate_files.files(self._next)
        own = (self._source if name == "policy" else self._models).files()
        return {*own, *self._named[name]} if name in self.problems else own

    def _read_policy(self) -> tuple[Vouched, Enricher]:
        vouched = self._source.load()
        folder = self._source.path.parent
        self._named["policy"] = stamps([folder / name for name in list_files(vouched.policy)])
        return self._opened(vouched)

    def _read_kept(self) -> tuple[Vouched, Enricher] | None:
        """Return what another worker found good after our policy and before the wrong one; None for nothing."""
        try:
            later = self._source.kept(after=self.vouched)
            return None if later is None else self._opened(later)
        except ConfigError as error:
            log.warning("kept_policy_unused", reason=str(error))
            return None

    def _opened(self, vouched: Vouched) -> tuple[Vouched, Enricher]:
        digests = vouched.digests(self._source.path.parent)
        enricher = self._parts.enricher(vouched.policy, digests, like=self.enricher)
        self._source.remember(vouched)
        self._keep(vouched)
        return vouched, enricher

    def _keep(self, vouched: Vouched) -> None:
        """Leave the policy for other workers; one that cannot be kept is used all the same."""
        try:
            self._source.keep(vouched)
        except ConfigError as error:
            log.warning("policy_not_kept", reason=str(error))

    def _read_model(self) -> Model:
        # Not `open_model`: a policy that can do without a model still keeps the good one it has.
        version = self._models.current()
        self._named["model"] = stamps(self._models.files_of(version))
        return self._models.load(version)

    def _read_candidates(self) -> Candidates:
        return self._candidate_files.load(self._next)

    def _note(self, name: str, problem: str | None) -> None:
        if problem is None:
            self.problems.pop(name, None)
        elif self.problems.get(name) != problem:
            self.problems[name] = problem
            log.error("kept_last_good", part=name, reason=problem)


def _problem(name: str, error: Exception) -> ConfigError:
    """Return what is told of a part that could not be made."""
    return error if isinstance(error, ConfigError) else ConfigError(f"{name}: cannot be used: {error!r}")
