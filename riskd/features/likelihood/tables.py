"""What the likelihood core has learnt of honest people: plain numbers, a few kilobytes, carried by the artifact.

They are counted when a model is trained, on trusted attempts only, and hold no address, token or hash.
"""

from collections.abc import Iterable
from math import isfinite, log
from typing import Final

from msgspec import Struct

DAY_S: Final = 86_400.0
GAPS_S: Final = (60.0, 300.0, 1200.0, 3600.0, 4 * 3600.0, *(d * DAY_S for d in (1, 3, 7, 15, 30, 90)))
"""Upper edges of the classes of a gap, seconds; the last class is open."""
TYPICAL_S: Final = (
    *(30.0, 140.0, 600.0, 2100.0, 7500.0, 41_000.0),
    *(d * DAY_S for d in (1.7, 4.7, 10.5, 21, 52, 140)),
)
"""A typical gap of each class: between them the shares are interpolated, over ln of the gap."""
LOG_TYPICAL: Final = tuple(log(seconds) for seconds in TYPICAL_S)
GAP_CLASSES: Final = len(TYPICAL_S)

HABITS: Final = 5
"""Classes of how settled a subject is: see `states.habit`."""
PLACE_STATES: Final = 7
CLIENT_STATES: Final = 6
EQUIPMENTS: Final = 5
"""Classes of how many clients a subject has: see `states.equipment`."""
STEPS: Final = 8
"""Classes of how a browser's version differs: back, none, +1, +2, +3, +4..5, +6..9, +10 and more."""

Row = tuple[float, ...]
"""Probabilities above 0."""


class Weights(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much each attacker counts. Only their proportions decide who is how odd; their scale moves the threshold.

    The defaults were chosen on the validation slices of generated logs; training fits them to a deployment.
    """

    naive: float = 0.014
    """Address and client of somebody, from anywhere."""
    vpn: float = 0.08
    """The same from the subject's country."""
    targeted: float = 1.26
    """An address of the subject's network, with the subject's client."""
    rare: float = 0.0051
    """A network drawn without regard to its size, with the subject's client: as in real takeovers."""
    cold: float = 1.05
    """Without history: anybody."""
    cold_rare: float = 0.031
    """Without history: a network drawn without regard to its size."""
    stale: float = 0.02
    """Share of imitators whose copy of the subject's client has the version of an earlier day."""
    hour: float = 0.2
    """Share of attackers that keep hours of their own."""


class Likelihood(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Shares among honest attempts; tables that are not whole raise ValueError, and are refused when decoded."""

    place: tuple[tuple[Row, ...], ...]
    """[habit][class of the gap since the last success][state of the place]."""
    client: tuple[Row, ...]
    """[equipment][state of the client]."""
    drift: tuple[Row, ...]
    """[class of the gap since the client's last success][step of the version] on a client that is known."""
    stray: Row
    """[step] of somebody else's version of the same family."""
    stale: Row
    """[step] of a version that the same subject showed some time ago."""
    same_client: dict[str, float] = {}
    """By family: chance that two successes of different people come from clients that look alike; 1 for any other."""
    os: dict[str, float] = {}
    """Share of each operating system."""
    kind: dict[str, float] = {}
    """Share of each kind of device."""
    least: float = 1e-4
    """Share of a system or kind that nobody showed."""
    address: float = 1e-3
    """Share of an address within its network: of a usual one, since the tables hold no addresses."""
    rtt: dict[str, tuple[float, float]] = {}
    """By country: mean and standard deviation of ln(rtt_ms)."""
    rtt_own: float = 0.0
    """Share of that variance that lies between subjects of one country; at 0 the round trip says nothing."""
    weights: Weights = Weights()

    def __post_init__(self) -> None:
        """Refuse what is not whole."""
        _whole("place", (row for habit in self.place for row in habit), PLACE_STATES, HABITS * GAP_CLASSES)
        _whole("client", self.client, CLIENT_STATES, EQUIPMENTS)
        _whole("drift", self.drift, STEPS, GAP_CLASSES)
        _whole("stray", (self.stray,), STEPS, 1)
        _whole("stale", (self.stale,), STEPS, 1)
        if any(len(habit) != GAP_CLASSES for habit in self.place):
            raise ValueError("likelihood.place: every habit needs all classes of gaps")
        w = self.weights
        shares = (*self.same_client.values(), *self.os.values(), *self.kind.values(), self.least, self.address)
        if not all(0 < share <= 1 for share in shares):
            raise ValueError("likelihood: same_client, os, kind, least and address are shares above 0")
        if not all(isfinite(mean) and 0 < deviation < 100 for mean, deviation in self.rtt.values()):
            raise ValueError("likelihood.rtt: a finite mean and a standard deviation above 0")
        if not (0 <= self.rtt_own < 1 and 0 <= w.stale < 1 and 0 <= w.hour < 1):
            raise ValueError("likelihood: rtt_own, weights.stale and weights.hour lie in 0..1")
        if not all(0 <= x <= 1e6 for x in (w.naive, w.vpn, w.rare, w.cold_rare)) or min(w.targeted, w.cold) <= 0:
            raise ValueError("likelihood.weights: numbers of 0 or more, targeted and cold above 0")
        if not (w.targeted <= 1e6 and w.cold <= 1e6):
            raise ValueError("likelihood.weights: at most a million")


def _whole(name: str, rows: Iterable[Row], width: int, count: int) -> None:
    """Raise ValueError unless there are `count` rows of `width` shares above 0 that add up to 1."""
    held = list(rows)
    if len(held) != count or any(len(row) != width for row in held):
        raise ValueError(f"likelihood.{name}: needs {count} rows of {width} shares")
    if any(min(row) <= 0 or not abs(sum(row) - 1) < 1e-3 for row in held):
        raise ValueError(f"likelihood.{name}: shares above 0 that add up to 1")
