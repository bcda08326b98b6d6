"""Learning the likelihood core: tables from trusted attempts, attackers' weights from replacements of them."""

from riskd.learn.likelihood.learn import learn_population

__all__ = ["learn_population"]
