"""How unlike the subject, and how like an attacker: the likelihood ratio of place, client, hour and round trip."""

from riskd.facts import Facts
from riskd.features.feature import feature
from riskd.features.likelihood.ratio import log_ratio
from riskd.features.population import Population


@feature
def rarity_log_ratio(facts: Facts, population: Population) -> float | None:
    """Log likelihood ratio, attackers against the subject, nats; above 0 the attempt is more like an attacker's.

    After Freeman et al., NDSS 2016, doi 10.14722/ndss.2016.23240, with attackers of several kinds, a hierarchy of
    novelty for place and client, and all conditional on the gap since the last success: a new address is ordinary
    after forty days and not after four minutes. Without confirmed history it is the rarity of the network and country.
    Unknown without learnt tables, or without a place.
    """
    history, tables = facts.history, population.likelihood
    if history is None or tables is None:
        return None
    return log_ratio(facts, history, population, tables)
