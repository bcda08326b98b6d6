"""Judges recorded decisions again, by the very function that serves: replay and tuning share this pass.

What a record holds is judged, nothing is looked up anew. Where the facts must be read otherwise under the new policy or
model, `restated` says how; where they cannot answer it, `why_not` says why, and the evaluation must not be counted.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from riskd.contract import Outcome
from riskd.evaluation import Evaluation, Scorer, evaluate_all
from riskd.learn.replay.judgeable import why_not
from riskd.learn.replay.relook import restated
from riskd.policy import Policy
from riskd.policy.decide import by_score, with_evidence
from riskd.record.schema import DecisionRecord

BATCH = 256
"""Attempts that the model scores in one call."""


class Judged(Struct, frozen=True):
    """One recorded decision, judged again."""

    record: DecisionRecord
    """What was decided."""
    evaluation: Evaluation
    """What would be decided."""
    why_not: str | None
    """Why the record cannot answer the policy or model, in a few fixed words; None when it can. The evaluation is then
    not to be counted."""

    def outcome_at(self, step_up: float, deny: float) -> Outcome:
        """Return the outcome under other thresholds (scores 0 to 100): floors and fresh evidence count as they do."""
        evaluation = self.evaluation
        demanded = max(by_score(evaluation.score, step_up, deny), evaluation.floor)
        return with_evidence(demanded, fresh=evaluation.evidence_fresh)


def judge(
    records: Iterable[DecisionRecord], policy: Policy, model: Scorer | None, known: Sequence[Policy] = ()
) -> Iterator[Judged]:
    """Judge records under a policy and a model, in the order given, `BATCH` at a time; memory is that of one batch.

    A record in which the model it names was down is judged without this one if it is the same model. `known` are
    policies that records may have been made under: what they have in common with `policy` needs no doubt.
    """
    policies = {past.revision: past for past in (*known, policy)}
    left = iter(records)
    while batch := list(islice(left, BATCH)):
        pasts = [policies.get(record.policy_revision) for record in batch]
        facts = [restated(record, past, policy, model) for record, past in zip(batch, pasts, strict=True)]
        for record, past, evaluation in zip(batch, pasts, evaluate_all(facts, policy, model), strict=True):
            yield Judged(record, evaluation, why_not(record, past, policy, model, evaluation))
