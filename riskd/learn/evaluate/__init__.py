"""How good decisions are, where the truth is known: one report of friction, catch, curves, fairness and misses."""

from riskd.learn.evaluate.report import Evaluated
from riskd.learn.evaluate.run import evaluate
from riskd.learn.share import Share

__all__ = ["Evaluated", "Share", "evaluate"]
