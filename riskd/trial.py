"""What is tried beside the policy in use: who judges an attempt, what else is counted of it, who judges beside."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from riskd.breaker import Breaker
from riskd.budget import WithinBudget
from riskd.evaluation import Evaluation, Measured, Scorer
from riskd.facts import Facts
from riskd.features.velocity import Counted
from riskd.metrics import Metrics
from riskd.policy import Plan, Policy
from riskd.policy.rollout import counted_together
from riskd.record.schema import ShadowRecord
from riskd.shadow import Obeyed, Shadow

WHOLE: Final = 100.0


class Candidates(Struct, frozen=True):
    """What a policy names to be tried, loaded; all None: nothing is."""

    rollout: Policy | None = None
    """By which a part of the subjects is judged."""
    shadow: Policy | None = None
    model: Scorer | None = None
    """Judge beside."""

    @property
    def policies(self) -> tuple[Policy, ...]:
        """All policies among them."""
        return tuple(policy for policy in (self.rollout, self.shadow) if policy is not None)


class Breakers:
    """The breakers of the policy in use and of the one that is rolled out; they outlive both."""

    def __init__(self, metrics: Metrics) -> None:
        self.own = Breaker(metrics)
        self.rollout = Breaker(metrics)


class Trial:
    """What is tried beside one policy."""

    def __init__(
        self,
        policy: Policy,
        metrics: Metrics,
        candidates: Candidates = Candidates(),  # noqa: B008 - frozen
        breakers: Breakers | None = None,
    ) -> None:
        breakers = breakers or Breakers(metrics)
        self._policy = policy
        self._rollout = candidates.rollout
        rules = policy.file.rollout
        self._name, self._share = ("", 0.0) if rules is None else (rules.policy, rules.percent / WHOLE)
        self._breakers = {policy.revision: breakers.own}
        breakers.own.follow(policy)
        if candidates.rollout is None:
            breakers.rollout.rest()
        else:
            self._breakers.setdefault(candidates.rollout.revision, breakers.rollout).follow(candidates.rollout)
        self._shadow: Shadow | None = None
        if candidates.shadow is not None or candidates.model is not None:
            budget_s = policy.file.deadlines.model.total_seconds()
            model = None if candidates.model is None else WithinBudget(candidates.model, budget_s)
            self._shadow = Shadow(candidates.shadow, model, metrics)
        together = (policy, *candidates.policies)
        self._counting = together if candidates.policies and any(p.velocities for p in together) else ()

    def policy_for(self, lot: Callable[[str], float | None]) -> Policy:
        """Return the policy that an attempt is judged by; `lot` draws its lot, 0 to below 1, for a rollout."""
        if self._rollout is None:
            return self._policy
        drawn = lot(self._name)
        return self._rollout if drawn is not None and drawn < self._share else self._policy

    def counted(self, plan: Plan, plan_by: Callable[[Policy], Plan]) -> Counted | None:
        """Return what is counted of an attempt: what any of the policies counts, so that each finds its own."""
        if not self._counting:
            return plan.counted
        try:
            return counted_together(tuple(plan_by(policy).counted for policy in self._counting))
        except Exception:  # noqa: BLE001 - a candidate's failure is not the decision's; it is told when it judges
            return plan.counted

    def tripped(self, facts: Facts, policy: Policy, now: datetime) -> Facts:
        """Return facts with the signals of a policy that have tripped."""
        tripped = self._breakers[policy.revision].look(now.timestamp())
        return replace(facts, tripped=tripped) if tripped else facts

    def count(self, facts: Facts, policy: Policy, evaluation: Evaluation, now: datetime) -> None:
        """Let the breakers count a judged attempt."""
        self._breakers[policy.revision].count(facts, evaluation, now.timestamp())

    def beside(
        self,
        facts: Sequence[Facts],
        measured: Sequence[Measured],
        obeyed: Sequence[Obeyed],
        model: Scorer | None,
    ) -> Sequence[ShadowRecord | None]:
        """Judge attempts beside what is obeyed; see `Shadow`. None for each where nothing does."""
        if self._shadow is None:
            return [None] * len(facts)
        return self._shadow.beside(facts, measured, obeyed, model)


__all__ = ["Breakers", "Candidates", "Trial"]
