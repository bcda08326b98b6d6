"""What one process does of a replay: judges a block of lines and returns its tally."""

from datetime import datetime
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from msgspec import Struct

from riskd.anomaly.load import current_version, load_model
from riskd.errors import ConfigError, ModelError
from riskd.evaluation import Scorer
from riskd.features import MODEL_FEATURES
from riskd.learn.replay.judge import judge
from riskd.learn.replay.tally import Tally
from riskd.policy import Policy
from riskd.policy.load import load
from riskd.record.schema import DecisionRecord, LineError, OutcomeRecord, decode

RECORDED = "recorded"
"""Each decision is judged with the very model it was made with, so that only the policy's change shows."""
CURRENT = "current"
NONE = "none"
_MODELS_OPEN = 4


class Order(Struct, frozen=True):
    """What is asked of a replay; small, since it travels with every block."""

    policy: Path
    revision: str
    """Of the policy, so that a file that changes while it runs is noticed."""
    known: tuple[Path, ...]
    """Policies that records were made under, as far as they are at hand."""
    models: Path
    model: str
    """A version, `recorded` or `none`."""
    since: datetime | None
    until: datetime | None
    examples: int

    @classmethod
    def of(
        cls,
        policy: Path,
        *,
        known: tuple[Path, ...] = (),
        models: Path,
        model: str = RECORDED,
        since: datetime | None = None,
        until: datetime | None = None,
        examples: int = 20,
    ) -> "Order":
        """Check what can be checked beforehand; raises ConfigError (PolicyError, ModelError) with what is wrong."""
        revision = load(policy).revision
        for path in known:
            load(path)
        version = current_version(models) if model == CURRENT else model
        if version not in {RECORDED, NONE}:
            load_model(models, MODEL_FEATURES, version)
        return cls(policy, revision, known, models, version, since, until, examples)


class Work:
    """A policy and its models, opened in one process."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._policy: Policy = load(order.policy)
        if self._policy.revision != order.revision:
            raise ConfigError(f"{order.policy} changed while the replay ran; start it again")
        self._known = tuple(load(path) for path in order.known)
        self._model = lru_cache(maxsize=_MODELS_OPEN)(self._open)
        self._lacking = lru_cache(maxsize=1024)(self._why_lacking)

    def tally(self, block: bytes) -> Tally:
        """Judge the decisions on these lines, and count the outcomes."""
        order, tally = self._order, Tally(self._order.examples)
        decisions: list[DecisionRecord] = []
        for line in block.splitlines():
            try:
                record = decode(line)
            except LineError as refused:
                tally.refused[refused.reason] += 1
                continue
            if order.since is not None and record.when < order.since:
                continue
            if isinstance(record, OutcomeRecord):
                tally.outcome(record)
            elif order.until is None or record.when < order.until:
                decisions.append(record)
        if order.model != RECORDED:
            self._judge(tally, decisions, None if order.model == NONE else order.model)
            return tally.seal()
        by_model = attrgetter("model_version")
        decisions.sort(key=lambda record: by_model(record) or "")
        for version, alike in groupby(decisions, by_model):
            self._judge(tally, list(alike), version)
        return tally.seal()

    def _judge(self, tally: Tally, decisions: list[DecisionRecord], version: str | None) -> None:
        model = None
        if version is not None:
            if (why := self._lacking(version)) is not None:
                for record in decisions:
                    tally.unanswered(record, why)
                return
            model = self._model(version)
        for judged in judge(decisions, self._policy, model, self._known):
            tally.judged(judged)

    def _open(self, version: str) -> Scorer:
        return load_model(self._order.models, MODEL_FEATURES, version)

    def _why_lacking(self, version: str) -> str | None:
        try:
            self._model(version)
        except ModelError:
            return f"its model {version[:64]} is not among the models here; choose one with --model"
        return None


_work = lru_cache(maxsize=1)(Work)


def tally_block(order: Order, block: bytes) -> Tally:
    """Do one block of a replay; policy and models stay open for the next."""
    return _work(order).tally(block)
