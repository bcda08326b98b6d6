"""Which network: novelty, kind and rarity of the address."""

from riskd.facts import Facts
from riskd.features.feature import days_since, feature, flag, signal_feature
from riskd.features.population import Population


@feature
def ip_unseen_days(facts: Facts) -> float | None:
    """Days since the address was last part of a confirmed success of the subject; 3650 = never."""
    history = facts.history
    if history is None or facts.network.ip is None or not history.known_ips:
        return None
    return days_since(history.ip_age_s)


@feature
def network_unseen_days(facts: Facts) -> float | None:
    """Days since the network (ASN, else /24 or /48) was last part of a confirmed success; 3650 = never."""
    history = facts.history
    if history is None or facts.network.key is None or not history.known_networks:
        return None
    return days_since(history.network_age_s)


@signal_feature
def network_last_used_days(facts: Facts) -> float | None:
    """Days since the network was last part of a confirmed success; 3650 = never, a subject without history included.

    It explains away what would be odd of a network; a subject of whom nothing is known explains nothing.
    """
    if facts.network.key is None or (facts.history is None and "store" in facts.down):
        return None
    age_s = None if facts.history is None else facts.history.network_age_s
    return days_since(age_s)


@feature
def network_rarity_nats(facts: Facts, population: Population) -> float | None:
    """Rarity of the network among everybody's honest attempts, nats."""
    if population.empty or not population.native or facts.network.key is None:
        return None
    return population.network.nats(facts.network.key)


@signal_feature
def network_kind(facts: Facts) -> str | None:
    """Kind of network: residential, mobile, business, education, hosting, vpn, proxy, tor or relay."""
    return facts.network.kind


@signal_feature
def tor(facts: Facts) -> float | None:
    """1 when the address is a Tor exit, 0 when the list says it is none."""
    return flag(facts.network.tor)


@signal_feature
def proxy(facts: Facts) -> float | None:
    """1 when the address belongs to a commercial VPN or an open proxy."""
    return flag(facts.network.proxy)


@feature
def hosting(facts: Facts) -> float | None:
    """1 when the address belongs to a hosting or cloud network."""
    return flag(facts.network.hosting)


@signal_feature
def address_denied(facts: Facts) -> float | None:
    """1 when the policy denies the address, its prefix or its ASN."""
    return flag(facts.network.denied)


@signal_feature
def lists_naming_ip(facts: Facts) -> float | None:
    """How many deny lists or threat feeds hold the address."""
    return None if facts.network.listed is None else float(len(facts.network.listed))
