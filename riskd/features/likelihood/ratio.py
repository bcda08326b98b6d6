"""The likelihood ratio of an attempt: attackers against the subject, given how long ago the last success was.

    L = ln Σ weight of the attacker · p(attempt | attacker) / p(attempt | subject, gap)

Place, client and hour are factors. Below the first level that the subject has shown before, both sides draw from the
population, which cancels. What is unknown counts as what speaks least against the subject, so that knowing less never
raises L: terms that need it fall away, or take their smallest value.
"""

from math import cos, exp, hypot, log, pi, sin, sqrt

from riskd.facts import DeviceFacts, Facts, SubjectHistory
from riskd.features.likelihood import states as s
from riskd.features.likelihood.tables import Likelihood
from riskd.features.population import Population

HOUR_WEIGHT = 10.0
"""How many successes it takes for the subject's own hours to weigh as much as everybody's."""
MOST_RTT_NATS = 3.0
MOST_CONCENTRATED = 0.95
"""Largest mean resultant length of the hours: nobody's is known better."""


def log_ratio(facts: Facts, history: SubjectHistory, population: Population, t: Likelihood) -> float | None:
    """L in nats, above 0 where attackers explain the attempt better; None where the place cannot be told."""
    w = t.weights
    if not s.settled(history):
        rare = rare_ratio(facts, population)
        return None if rare is None else log(w.cold + w.cold_rare * rare)
    place = place_ratios(facts, history, population, t)
    if place is None:
        return None
    naive, vpn, targeted, rare_place = place
    strange, stale = client_ratios(facts.device, history, population, t)
    imitated = 1.0 - w.stale + w.stale * stale
    total = (w.naive * naive + w.vpn * vpn) * strange + (w.targeted * targeted + w.rare * rare_place) * imitated
    hour = 1.0 - w.hour + w.hour * hour_ratio(facts, history, population)
    return log(total * hour) + rtt_nats(facts, history, t)


def rare_ratio(facts: Facts, population: Population) -> float | None:
    """p(place | an attacker from anywhere) / p(place | anybody); None where either is unknown.

    From any network of a country as likely as from any other, and the likelier from a country the rarer that is here:
    of the takeovers published with the RBA data set (doi 10.1145/3546069) 56 % came from one country that had next to
    no honest logins.
    """
    network, country = facts.network.key, facts.place.country
    if network is None or country is None or not population.native:
        return None
    networks, countries = population.network, population.country
    kinds = (len(networks.counts) + 1) * (len(countries.counts) + 1)
    return 1.0 / (kinds * networks.probability(network) * countries.probability(country))


def place_ratios(
    facts: Facts, history: SubjectHistory, population: Population, t: Likelihood
) -> tuple[float, float, float, float] | None:
    """p(place | attacker) / p(place | subject, gap), of the naive, VPN, targeted and rare attacker.

    None for an attempt without address by a subject whose addresses are known.
    """
    if not history.known_ips:
        return 1.0, 0.0, 1.0, 0.0
    network, place = facts.network, facts.place
    if network.ip is None:
        return None
    state = s.place_state(history, network, place)
    n = float(history.confirmed)
    own = s.interpolated(t.place[s.habit(history)], history.last_confirmed_age_s or 0.0)
    p_network = 0.0 if network.key is None else population.network.probability(network.key)
    p_country = 0.0 if place.country is None else population.country.probability(place.country)
    if state <= s.KNOWN_NETWORK:
        naive, targeted = _near(state, own, history, p_network, t.address)
        # The network's share within its country, which is no more than all.
        within = min(1.0, p_network / p_country) if p_country else 0.0
        vpn = naive / p_network * within * (history.country_count + p_country) / (n + 1.0) if p_network else 0.0
    elif state <= s.KNOWN_COUNTRY:
        share = (history.country_count + p_country) / (n + 1.0)
        p = own[state] if state == s.LAST_COUNTRY else min(own[state] * share, own[s.LAST_COUNTRY])
        naive, vpn, targeted = p_country / p, share / p, 1.0
    elif state == s.NEW_COUNTRY:
        naive, vpn, targeted = 1.0 / own[state], 0.0, 1.0
    else:
        return 0.0, 0.0, 1.0, 0.0
    rare = rare_ratio(facts, population)
    return naive, vpn, targeted, 0.0 if rare is None else naive * rare


def _near(state: int, own: s.Shares, history: SubjectHistory, p_network: float, address: float) -> tuple[float, float]:
    """Ratios of the naive and the targeted attacker where address or network is known.

    A thing that is known of old is never likelier than the one of the last success.
    """
    n = float(history.confirmed)
    share = (max(history.network_count, 1) + p_network) / (n + 1.0)
    last = own[s.LAST_IP] + own[s.LAST_NETWORK]
    if state == s.LAST_IP:
        return p_network * address / own[state], last * address / own[state]
    if state == s.KNOWN_IP:
        p = min(own[state] * max(history.ip_count, 1) / n, own[s.LAST_IP])
        world = share * (own[s.KNOWN_IP] + own[s.KNOWN_NETWORK] + own[s.LAST_NETWORK])
        return p_network * address / p, world * address / p
    if state == s.LAST_NETWORK:
        return p_network / own[state], last / own[state]
    p = min(own[state] * share, own[s.LAST_NETWORK])
    return p_network / p, (own[s.KNOWN_IP] + own[s.KNOWN_NETWORK]) / own[state]


def client_ratios(
    device: DeviceFacts, history: SubjectHistory, population: Population, t: Likelihood
) -> tuple[float, float]:
    """p(client | a stranger) / p(client | subject), and the same for a thief who imitates the subject's client."""
    if not history.known_families:
        return 1.0, 1.0
    state = s.client_state(history, device)
    if state is None or device.family is None:
        return 0.0, 0.0
    own = t.client[s.equipment(history)]
    n = float(history.confirmed)
    p = own[state]
    if state <= s.KNOWN_CLIENT:
        everybody = population.family.probability(device.family)
        count = history.family_count
        if history.known_clients:
            everybody *= t.same_client.get(device.family, 1.0)
            count = history.client_count
        if state == s.KNOWN_CLIENT:
            p *= max(count, 1) / n
        strayed, stale = _version_ratios(device, history, t)
        return everybody / p * strayed, stale
    return _new_client(state, own, device, history, population, t), 1.0


def _new_client(
    state: int, own: s.Shares, device: DeviceFacts, history: SubjectHistory, population: Population, t: Likelihood
) -> float:
    """p(client | a stranger) / p(client | subject) of a client that is not known."""
    n = float(history.confirmed)
    if state == s.KNOWN_FAMILY:
        return population.family.probability(device.family or "") * n / (own[state] * max(history.family_count, 1))
    if not history.known_clients:
        return 1.0 / (own[s.KNOWN_OS] + own[s.KNOWN_KIND] + own[s.NEW_KIND])
    if state == s.KNOWN_OS:
        return t.os.get(device.os_family or "", t.least) * n / (own[state] * history.os_count)
    if state == s.KNOWN_KIND:
        return t.kind.get(device.kind or "", t.least) * n / (own[state] * history.kind_count)
    return 1.0 / own[state]


def _version_ratios(device: DeviceFacts, history: SubjectHistory, t: Likelihood) -> tuple[float, float]:
    """The same of the version on a client that is known: of a stranger's, and of one copied some time ago."""
    if history.client_major is None:
        return 1.0, 1.0
    drift = s.interpolated(t.drift, history.client_age_s or 0.0)
    if device.browser_major is None:
        return min(stray / own for stray, own in zip(t.stray, drift, strict=True)), 0.0
    k = s.step(device.browser_major - history.client_major)
    return t.stray[k] / drift[k], t.stale[k] / drift[k]


def hour_ratio(facts: Facts, history: SubjectHistory, population: Population) -> float:
    """p(hour | anybody) / p(hour | subject), whose hours are von Mises around their mean."""
    count = float(history.hour_count)
    if count <= 0:
        return 1.0
    time = facts.time
    everybody = population.hour[time.hour]
    length = hypot(history.hour_sin, history.hour_cos)
    # Shrunk, as if one more success had been spread over the day.
    r = min(length / (count + 1.0), MOST_CONCENTRATED)
    # Banerjee et al., JMLR 6 (2005): the usual closed approximation of the concentration in two dimensions.
    kappa = r * (2.0 - r * r) / (1.0 - r * r)
    angle = (time.hour + time.minute / 60 + time.second / 3600) * pi / 12
    toward = (cos(angle) * history.hour_cos + sin(angle) * history.hour_sin) / max(length, 1e-9)
    density = exp(kappa * (toward - 1.0)) / (24.0 * _i0_scaled(kappa))
    return everybody * (count + HOUR_WEIGHT) / (density * count + everybody * HOUR_WEIGHT)


def rtt_nats(facts: Facts, history: SubjectHistory, t: Likelihood) -> float:
    """How much unlike the subject's the round trip is: everybody's normal density of ln(rtt) in this country over his.

    Between 0, also where it is unknown, and 3 nats. The subject's mean is shrunk towards the country's by how much of
    the variance lies between subjects.
    """
    own_share, rtt_ms, own_mean = t.rtt_own, facts.device.rtt_ms, history.rtt_mean_log_ms
    usual = t.rtt.get(facts.place.country or "")
    if own_share <= 0 or rtt_ms is None or own_mean is None or usual is None or not history.rtt_count:
        return 0.0
    mean, deviation = usual
    x = log(max(rtt_ms, 0.1))
    keep = history.rtt_count * own_share / (1.0 - own_share + history.rtt_count * own_share)
    z_own = (x - mean - keep * (own_mean - mean)) / (deviation * sqrt(1.0 - own_share * keep))
    z = (x - mean) / deviation
    return min(max(0.5 * (z_own * z_own - z * z) + 0.5 * log(1.0 - own_share * keep), 0.0), MOST_RTT_NATS)


def _i0_scaled(x: float) -> float:
    """exp(-x) · I0(x), the modified Bessel function of order 0, for x ≥ 0, to 2e-7.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 9.8.1 and 9.8.2.
    """
    t = x / 3.75
    if t <= 1:
        t *= t
        series = 3.0899424 + t * (1.2067492 + t * (0.2659732 + t * (0.0360768 + t * 0.0045813)))
        return exp(-x) * (1 + t * (3.5156229 + t * series))
    u = 1 / t
    series = 0.00916281 + u * (-0.02057706 + u * (0.02635537 + u * (-0.01647633 + u * 0.00392377)))
    return (0.39894228 + u * (0.01328592 + u * (0.00225319 + u * (-0.00157565 + u * series)))) / sqrt(x)
