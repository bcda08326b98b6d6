"""How new an attempt's place and client are to the subject: classes over the history that the store answers.

Each state is the first level of a hierarchy that the subject has shown before. What attackers and the subject have in
common below that level cancels, so that only the level itself has to be learnt.
"""

from bisect import bisect_left
from collections.abc import Sequence
from math import log

from riskd.facts import DeviceFacts, NetworkFacts, PlaceFacts, SubjectHistory
from riskd.features.likelihood.tables import DAY_S, GAPS_S, LOG_TYPICAL

# Of the place: address < network < country, and whether it is the one of the last success.
LAST_IP, KNOWN_IP, LAST_NETWORK, KNOWN_NETWORK, LAST_COUNTRY, KNOWN_COUNTRY, NEW_COUNTRY = range(7)
UNTOLD = 7
"""No state of the place: what would tell it is not known."""
# Of the client: the client < its family < its operating system < its kind.
LAST_CLIENT, KNOWN_CLIENT, KNOWN_FAMILY, KNOWN_OS, KNOWN_KIND, NEW_KIND = range(6)
MEMORY_S = 180 * DAY_S
"""Seconds for which habits are kept: who was last here before then has none left."""
Shares = Sequence[float]
"""Probabilities of the states, or of the steps."""
_SAME_S = 1e-3
"""Times are kept to the millisecond: ages that differ by less are of one success."""


def settled(history: SubjectHistory) -> bool:
    """Whether there are habits to compare with."""
    gap_s = history.last_confirmed_age_s
    return history.confirmed > 0 and gap_s is not None and gap_s <= MEMORY_S


def habit(history: SubjectHistory) -> int:
    """How settled the subject is.

    0 one success, 1 one address, 2 one network, 3 several networks, 4 several networks and mostly new addresses.
    """
    n = history.confirmed
    if n < 2:
        return 0
    if history.known_ips < 2:
        return 1
    if history.known_networks < 2:
        return 2
    return 3 if 2 * (history.known_ips - 1) < n - 1 else 4


def equipment(history: SubjectHistory) -> int:
    """How many clients the subject has, and how well that is known: 0..4."""
    n = history.confirmed
    known = 0 if n < 2 else 1 if n < 5 else 2
    return known if max(history.known_clients, history.known_families) < 2 else 2 + known


def place_state(history: SubjectHistory, network: NetworkFacts, place: PlaceFacts) -> int:
    """State of the place of an attempt that has an address, or UNTOLD.

    A network or country that is not known, or of which the subject never showed any, tells nothing; a new country
    tells that the network is new too.
    """
    last = (history.last_confirmed_age_s or 0.0) + _SAME_S
    if history.ip_age_s is not None:
        return LAST_IP if history.ip_age_s <= last else KNOWN_IP
    if history.network_age_s is not None:
        return LAST_NETWORK if history.network_age_s <= last else KNOWN_NETWORK
    if place.country is None or not history.known_countries:
        return UNTOLD
    if history.country_age_s is None:
        return NEW_COUNTRY
    if network.key is None or not history.known_networks:
        return UNTOLD
    return LAST_COUNTRY if history.country_age_s <= last else KNOWN_COUNTRY


def client_state(history: SubjectHistory, device: DeviceFacts) -> int | None:
    """State of the client; None when it does not say what the subject's clients say otherwise.

    Of a subject whose clients are not known, since none was kept yet, the families stand in for them.
    """
    if device.family is None:
        return None
    last = (history.last_confirmed_age_s or 0.0) + _SAME_S
    if not history.known_clients:
        age_s = history.family_age_s
    elif device.client is None:
        return None
    else:
        age_s = history.client_age_s
    if age_s is not None:
        return LAST_CLIENT if age_s <= last else KNOWN_CLIENT
    if history.family_age_s is not None:
        return KNOWN_FAMILY
    if history.os_count:
        return KNOWN_OS
    return KNOWN_KIND if history.kind_count else NEW_KIND


def step(delta: int) -> int:
    """Class of a difference of browser versions."""
    if delta < 4:
        return 0 if delta < 0 else 1 + delta
    return 5 if delta < 6 else 6 if delta < 10 else 7


def gap_class(seconds: float) -> int:
    """Class of a gap."""
    return bisect_left(GAPS_S, seconds)


def interpolated(rows: Sequence[Shares], seconds: float) -> Shares:
    """Return the shares at this gap, between those of the classes around it."""
    x = log(max(seconds, 1.0))
    if x <= LOG_TYPICAL[0]:
        return rows[0]
    i = bisect_left(LOG_TYPICAL, x) - 1
    if i >= len(LOG_TYPICAL) - 1:
        return rows[-1]
    f = (x - LOG_TYPICAL[i]) / (LOG_TYPICAL[i + 1] - LOG_TYPICAL[i])
    return [p + f * (q - p) for p, q in zip(rows[i], rows[i + 1], strict=True)]
