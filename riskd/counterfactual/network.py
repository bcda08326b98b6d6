"""Another address, network or place."""

from msgspec.structs import replace

from riskd.counterfactual.change import Change, in_history, is_fresh, known_age_s, share
from riskd.facts import AddressCounts, Facts, NetworkCounts, PlaceFacts

HIDDEN = {"tor": "Tor", "proxy": "a VPN or proxy", "relay": "a privacy relay", "hosting": "a hosting network"}
"""Flags of a network that hides who comes through it, in words."""


def known_network(facts: Facts) -> Change | None:
    """From a network and address that the subject is known by, at a known place, hidden by nothing, on no list."""
    history = facts.history
    if history is None or not history.known_networks or is_fresh(history.network_age_s):
        return None

    def apply(facts: Facts) -> Facts:
        past = facts.history
        if past is None:
            return facts
        network = replace(facts.network, ip=facts.network.ip or "known", key=facts.network.key or "known")
        known = _uncrowded(_unlisted(_at_known_place(replace(facts, network=network))))
        return in_history(
            _plain(known),
            network_age_s=known_age_s(past),
            network_count=max(past.network_count, share(past, past.known_networks)),
            ip_age_s=known_age_s(past),
            ip_count=max(past.ip_count, share(past, past.known_ips)),
        )

    return Change("known_network", "from a known network", apply)


def known_place(facts: Facts) -> Change | None:
    """From the place of the last confirmed success, through the same kind of network."""
    history = facts.history
    if history is None or not history.known_countries or facts.place == PlaceFacts():
        return None
    new_country = facts.place.country is not None and history.country_age_s is None
    return Change("known_place", f"from a known {'country' if new_country else 'place'}", _at_known_place)


def plain_network(facts: Facts) -> Change | None:
    """From the same place, through no Tor exit, VPN, proxy, privacy relay or hosting network."""
    found = [words for flag, words in HIDDEN.items() if getattr(facts.network, flag)]
    return Change("plain_network", f"not through {' or '.join(found)}", _plain) if found else None


def unlisted_address(facts: Facts) -> Change | None:
    """From an address that no deny list or threat feed names."""
    if not facts.network.listed and not facts.network.denied:
        return None
    return Change("unlisted_address", "from an address that no list names", _unlisted)


def quiet_address(facts: Facts) -> Change | None:
    """From an address and network without other subjects and without failures."""
    if _uncrowded(facts) == facts:
        return None
    return Change("quiet_address", "from an address without others and their failures", _uncrowded)


def _at_known_place(facts: Facts) -> Facts:
    history = facts.history
    if history is None:
        return facts
    place, age_s = PlaceFacts(country=facts.place.country), known_age_s(history)
    if history.places:
        last = history.places[0]
        place = PlaceFacts(
            country=last.country, latitude=last.latitude, longitude=last.longitude, accuracy_km=last.accuracy_km
        )
        age_s = last.age_s
    # The usual round trip was measured for the present country: from another one nothing is known of it.
    moved = replace(facts, place=place, device=replace(facts.device, rtt_ms=None))
    count = max(history.country_count, share(history, history.known_countries))
    return in_history(moved, country_age_s=age_s, country_count=count)


def _plain(facts: Facts) -> Facts:
    network = facts.network
    cleared = {flag: False for flag in HIDDEN if getattr(network, flag)}
    return replace(facts, network=replace(network, kind=None, **cleared)) if cleared else facts


def _unlisted(facts: Facts) -> Facts:
    network = facts.network
    return replace(
        facts,
        network=replace(
            network,
            listed=None if network.listed is None else (),
            denied=None if network.denied is None else False,
        ),
    )


def _uncrowded(facts: Facts) -> Facts:
    address, network = facts.address_counts, facts.network_counts
    if address is not None:
        address = AddressCounts(1, 1, 1, 0, 0, confirmed_subjects=address.confirmed_subjects)
    if network is not None:
        network = NetworkCounts(0, 0, confirmed_subjects=network.confirmed_subjects)
    return replace(facts, address_counts=address, network_counts=network)
