"""riskd: a policy decision point for step-up authentication."""

__version__ = "0.1.0"
