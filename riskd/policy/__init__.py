"""Everything a user may tune, and how it decides."""

from riskd.policy.policy import Plan, Policy, Question

__all__ = ["Plan", "Policy", "Question"]
