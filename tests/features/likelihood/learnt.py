"""Tables of a plausible population, for tests: a new address is rare after minutes and ordinary after weeks."""

from typing import Any

from riskd.features.likelihood.tables import GAP_CLASSES, HABITS, Likelihood, Row
from riskd.features.population import Population, Table


def _place(gap: int) -> Row:
    stays = 0.95 - 0.06 * gap
    rest = 1 - stays
    return (stays, *(rest * share for share in (0.25, 0.3, 0.1, 0.2, 0.1, 0.05)))


def whole(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields vary in type
    """Return the fields of whole tables, but for some changes."""
    steps = (0.02, 0.6, 0.2, 0.08, 0.04, 0.03, 0.02, 0.01)
    return {
        "place": (tuple(_place(gap) for gap in range(GAP_CLASSES)),) * HABITS,
        "client": ((0.8, 0.1, 0.04, 0.03, 0.02, 0.01),) * 5,
        "drift": (steps,) * GAP_CLASSES,
        "stray": (0.3, 0.3, 0.15, 0.1, 0.05, 0.04, 0.03, 0.03),
        "stale": (0.5, 0.4, 0.03, 0.02, 0.02, 0.01, 0.01, 0.01),
        "same_client": {"Windows|Chrome": 0.5},
        "os": {"Windows": 0.7, "Linux": 0.05},
        "kind": {"desktop": 0.8, "mobile": 0.2},
        "rtt": {"NO": (3.5, 0.5)},
        "rtt_own": 0.3,
        **changes,
    }


POPULATION = Population(
    country=Table(counts={"NO": 900, "SE": 90, "KP": 1}, total=1000),
    network=Table(counts={"AS1": 500, "AS2": 60, "AS3": 1}, total=1000),
    family=Table(counts={"Windows|Chrome": 600, "Linux|Firefox": 10}, total=1000),
    likelihood=Likelihood(**whole()),
)

MINUTE_S, DAY_S = 60.0, 86_400.0
USUAL: dict[str, Any] = {
    "confirmed": 40, "first_confirmed_age_s": 90 * DAY_S, "last_confirmed_age_s": DAY_S, "known_ips": 3,
    "known_networks": 1, "known_countries": 1, "known_families": 1, "known_clients": 1, "ip_age_s": DAY_S,
    "ip_count": 30, "network_age_s": DAY_S, "network_count": 40, "country_age_s": DAY_S, "country_count": 40,
    "family_age_s": DAY_S, "family_count": 40, "client_age_s": DAY_S, "client_count": 40, "client_major": 120,
    "os_count": 40, "kind_count": 40,
}  # fmt: skip
"""Somebody well known, who was here yesterday with all that he presents."""
NEW_IP: dict[str, Any] = {"ip_age_s": None, "ip_count": 0}
NEW_NETWORK: dict[str, Any] = {**NEW_IP, "network_age_s": None, "network_count": 0}
NEW_COUNTRY: dict[str, Any] = {**NEW_NETWORK, "country_age_s": None, "country_count": 0}
NEW_CLIENT: dict[str, Any] = {"client_age_s": None, "client_count": 0, "client_major": None}
NEW_FAMILY: dict[str, Any] = {**NEW_CLIENT, "family_age_s": None, "family_count": 0}
NEW_OS: dict[str, Any] = {**NEW_FAMILY, "os_count": 0}
AT_HOME: dict[str, Any] = {
    "place": {"country": "NO"},
    "network": {"ip": "home", "key": "AS1"},
    "device": {
        "family": "Windows|Chrome", "os_family": "Windows", "kind": "desktop", "browser_major": 120, "rtt_ms": 30.0,
    },
}  # fmt: skip
