"""A policy, a model or both that judge beside what is obeyed: on the same facts, recorded and counted, never obeyed.

What goes wrong here costs the comparison, never the decision.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from riskd.evaluation import Evaluation, Measured, Scorer, judge, measure_all
from riskd.facts import Facts
from riskd.metrics import Metrics
from riskd.policy import Policy
from riskd.policy.rollout import told_to
from riskd.record.schema import ShadowRecord

SIGNAL: Final = "signal:"

log = structlog.stdlib.get_logger("riskd.shadow")


class Obeyed(Protocol):
    """A judged attempt."""

    policy: Policy
    """By which."""
    evaluation: Evaluation


class Shadow:
    """Judges beside; holds nothing of a request."""

    def __init__(self, policy: Policy | None, model: Scorer | None, metrics: Metrics) -> None:
        """Without a policy the one that is obeyed judges, without a model the one that is obeyed scores."""
        self._policy = policy
        self._model = model
        self._metrics = metrics
        self._failed = False

    def beside(
        self,
        many: Sequence[Facts],
        measured: Sequence[Measured],
        obeyed: Sequence[Obeyed],
        model: Scorer | None,
    ) -> list[ShadowRecord | None]:
        """Judge attempts beside; `measured` is by the `model` that is obeyed. None for each when it failed."""
        try:
            if self._model is not None:
                measured = measure_all(many, self._model)
            by = self._model or model
            version = None if by is None else by.version
            return [
                self._one(facts, features, one.policy, one.evaluation, version)
                for facts, features, one in zip(many, measured, obeyed, strict=True)
            ]
        except Exception as error:  # noqa: BLE001 - whatever is wrong beside, the decision stands
            self._metrics.shadow_errors.at().inc(len(many))
            if not self._failed:
                reason = f"{type(error).__name__}: {error}"
                log.error("shadow_failed", reason=reason, consequence="counted; told once")  # noqa: TRY400 - the whole story
            self._failed = True
            return [None] * len(many)

    def _one(
        self, facts: Facts, measured: Measured, policy: Policy, obeyed: Evaluation, version: str | None
    ) -> ShadowRecord:
        by = self._policy or policy
        found = judge(told_to(by, policy, facts), by, measured)
        self._metrics.shadow_decisions.at(obeyed.outcome.word, found.outcome.word).inc()
        codes, then = [hit.question.code for hit in found.hits], [hit.question.code for hit in obeyed.hits]
        return ShadowRecord(
            policy_revision=by.revision,
            model_version=version,
            outcome=found.outcome.word,
            score=found.score,
            new=tuple([code for code in codes if code not in then]),
            gone=tuple([code for code in then if code not in codes]),
            errors=tuple([source.removeprefix(SIGNAL) for source in found.degraded if source.startswith(SIGNAL)]),
        )


__all__ = ["Obeyed", "Shadow"]
