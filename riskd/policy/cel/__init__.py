"""Expressions of custom signals in CEL, the Common Expression Language: checked at load, fast to ask."""

from riskd.policy.cel.cost import LONGEST, MAX_STEPS
from riskd.policy.cel.library import Expression, WrongExpressionError, by_library, expression
from riskd.policy.cel.mistakes import FUNCTIONS, Wrong

__all__ = [
    "FUNCTIONS",
    "LONGEST",
    "MAX_STEPS",
    "Expression",
    "Wrong",
    "WrongExpressionError",
    "by_library",
    "expression",
]
