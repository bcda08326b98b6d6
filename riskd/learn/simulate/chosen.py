"""Attackers by the names that people give them."""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from riskd.errors import ConfigError
from riskd.learn.simulate.attackers import AttackRates
from riskd.learn.simulate.campaigns import CAMPAIGNS
from riskd.policy.finding import nearest

RATE: Final = 6.0
"""Attacks of each named kind per thousand honest logins where nobody says how many."""
MOST_RATE: Final = 50.0
"""More than one login in twenty for each kind leaves no honest population to attack."""
PER_VICTIM: Final = MappingProxyType(
    {
        "naive": "naive",
        "vpn": "vpn",
        "targeted": "in_network",
        "very-targeted": "very_targeted",
        "clone": "clone",
        "stolen-password": "stolen_password",
        "session-theft": "session_theft",
        "payment-fraud": "payment_fraud",
        "takeover": "takeover",
        "payout": "payout",
    }
)
"""Attackers of one victim each, and the rate of `AttackRates` that each of them has."""
CAMPAIGN_NAMES: Final = tuple(campaign.label for campaign in CAMPAIGNS)
NAMES: Final = (*PER_VICTIM, *CAMPAIGN_NAMES)
"""Every attacker that can be named; the label in the truth is the name with `_` for `-`."""
GATE_NAMES: Final = ("naive", "vpn", "targeted", "very-targeted", "stuffing", "spray", "takeover", "payout")
"""Those that a build is held to."""
_RATES: Final = (*PER_VICTIM.values(), "targeted")
_LONGEST_NAME = 40


def names_in(text: str) -> tuple[str, ...]:
    """Read names with commas between them, each once; raises ConfigError that tells the nearest right ones."""
    names = []
    for word in text.split(","):
        name = word.strip().casefold().replace("_", "-")
        if name not in NAMES:
            near = nearest(name, NAMES)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(NAMES)}"
            raise ConfigError(f"no such attacker: {word.strip()[:_LONGEST_NAME]!r}; {hint}")
        names.append(name)
    return tuple(dict.fromkeys(names))


def rates_of(names: Sequence[str], *, rate: float = RATE, off_rhythm: bool = False) -> AttackRates:
    """Return rates under which the attackers of `NAMES` that are named come, and nobody else.

    `rate` is attacks of each kind per thousand honest logins; campaigns come four times a month whatever it is.
    """
    chosen = frozenset(names)
    nobody = AttackRates(**dict.fromkeys(_RATES, 0.0), campaigns=())  # type: ignore[arg-type]
    return replace(
        nobody,
        **{field: rate for name, field in PER_VICTIM.items() if name in chosen},
        campaigns=tuple(campaign for campaign in CAMPAIGNS if campaign.label in chosen),
        off_rhythm=off_rhythm,
    )
