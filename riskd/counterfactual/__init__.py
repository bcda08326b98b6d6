"""What would have turned a decision: small changes of the facts, judged by the very evaluation that decided."""

from riskd.counterfactual.catalogue import changes_for, documented
from riskd.counterfactual.change import Change
from riskd.counterfactual.search import MAX_EVALUATIONS, counterfactuals, in_steps
from riskd.counterfactual.wire import Counterfactual, ExplainedDecision, FactChange

__all__ = [
    "MAX_EVALUATIONS",
    "Change",
    "Counterfactual",
    "ExplainedDecision",
    "FactChange",
    "changes_for",
    "counterfactuals",
    "documented",
    "in_steps",
]
