"""How unlike the subject, against how unlike anybody: the likelihood ratio of place, device and hour."""

from math import cos, exp, hypot, log, pi, sin, sqrt

from riskd.facts import Facts, SubjectHistory
from riskd.features.feature import feature
from riskd.features.population import Population
from riskd.features.timing import MIN_HOUR_COUNT, hour_of_day

BACK_OFF = 1.0
"""Weight of the parent level, in successes: `p_u = (c + a·p_parent) / (n + a)` with a = 1."""


@feature
def rarity_log_ratio(facts: Facts, population: Population) -> float | None:
    """Log likelihood ratio, everybody against the subject, nats; above 0 the attempt is more like a stranger's.

    After Freeman et al., NDSS 2016, doi 10.14722/ndss.2016.23240: the sum over attributes of ln p(x) minus
    ln p(x | subject). The subject's own probability backs off from the network to its country and from both to the
    population with weight 1; the hour adds a von Mises density around the mean hour. Unknown without confirmed
    history.
    """
    history = facts.history
    if history is None or population.empty or not history.confirmed:
        return None
    parts = [_place(facts, history, population), _family(facts, history, population), _hour(facts, history, population)]
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _backed_off(count: float, total: float, parent: float) -> float:
    return (count + BACK_OFF * parent) / (total + BACK_OFF)


def _place(facts: Facts, history: SubjectHistory, population: Population) -> float | None:
    total = float(history.confirmed)
    country, network = facts.place.country, facts.network.key
    everybody, own = 1.0, 1.0
    if country is not None and history.known_countries:
        everybody = population.country.probability(country)
        own = _backed_off(history.country_count, total, everybody)
    if network is not None and history.known_networks:
        # The network's share within its country, so that a new network of the usual country stays a small surprise.
        within = min(1.0, population.network.probability(network) / everybody)
        own = _backed_off(history.network_count, total, within * own)
        everybody *= within
    elif own == everybody:
        return None
    return log(everybody / own)


def _family(facts: Facts, history: SubjectHistory, population: Population) -> float | None:
    family = facts.device.family
    if family is None or not history.known_families:
        return None
    everybody = population.family.probability(family)
    return log(everybody / _backed_off(history.family_count, float(history.confirmed), everybody))


def _hour(facts: Facts, history: SubjectHistory, population: Population) -> float | None:
    if history.hour_count < MIN_HOUR_COUNT:
        return None
    everybody = population.hour[facts.time.hour]
    resultant = min(hypot(history.hour_sin, history.hour_cos) / history.hour_count, 0.95)
    # Banerjee et al., JMLR 6 (2005): the usual closed approximation of the von Mises concentration in two dimensions.
    kappa = resultant * (2 - resultant**2) / (1 - resultant**2)
    angle = hour_of_day(facts) * pi / 12
    toward_mean = (cos(angle) * history.hour_cos + sin(angle) * history.hour_sin) / max(
        hypot(history.hour_sin, history.hour_cos), 1e-9
    )
    density = exp(kappa * toward_mean) / (24 * _bessel_i0(kappa))
    return log(everybody / _backed_off(density * history.hour_count, float(history.hour_count), everybody))


def _bessel_i0(x: float) -> float:
    """Modified Bessel function of the first kind, order 0, for x ≥ 0, to 2e-7.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 9.8.1 and 9.8.2.
    """
    t = x / 3.75
    if t <= 1:
        t *= t
        return 1 + t * (
            3.5156229 + t * (3.0899424 + t * (1.2067492 + t * (0.2659732 + t * (0.0360768 + t * 0.0045813))))
        )
    u = 1 / t
    series = 0.00916281 + u * (-0.02057706 + u * (0.02635537 + u * (-0.01647633 + u * 0.00392377)))
    return exp(x) / sqrt(x) * (0.39894228 + u * (0.01328592 + u * (0.00225319 + u * (-0.00157565 + u * series))))
