"""What the store is asked and what it answers.

`Attempt` and `Settlement` travel to the script as msgpack arrays in field order, and an `Attempt` is kept as it is
until its outcome is reported: append new fields at the end, with a default, so that what an older riskd kept stays
readable.
"""

from typing import Final

from msgspec import Struct

from riskd.facts import AddressCounts, DeviceCounts, NetworkCounts, PayloadSeen, SubjectHistory

MATURED = "matured"
"""A settlement's outcome when the policy's time passed and nobody had reported anything: void once somebody has."""


LIVE_S: Final = 1800.0
"""How long a session counts as live, and how soon a change of its circumstances is a hop."""


class Attempt(Struct, frozen=True, array_like=True):
    """One attempt to be counted. Keys and things presented are keyed hashes or short words; None is unknown."""

    decision_id: str
    """UUIDv7 of the decision to be made; names the attempt when its outcome is reported."""
    now: float
    """When the attempt happened, seconds since 1970."""
    token: str
    """Random token the subject gets when it has none."""
    request_id: str | None = None
    """The caller's id of the attempt; without one nothing is kept for a repeat."""
    request_digest: str = ""
    """Digest of the request body: the same id with another digest is a conflict."""
    subject: str | None = None
    """None for an anonymous attempt, which has no history."""
    address: str | None = None
    network: str | None = None
    device: str | None = None
    payload: str | None = None
    family: str | None = None
    country: str | None = None
    language: str | None = None
    recipient: str | None = None
    session: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy_km: float | None = None
    vague: bool = False
    """The address is a VPN, proxy, relay, Tor exit or mobile gateway."""
    rtt_ms: float | None = None
    amount: float | None = None
    currency: str | None = None
    sensitive: bool = False
    change: str | None = None
    """`contact`, `password`, `factor` or `recipient` when the action changes that."""
    session_window_s: float = LIVE_S
    """How long ago another session may have been seen to be a live one."""
    hop_window_s: float = LIVE_S
    """How soon after its own circumstances were last seen a session in other circumstances has hopped."""
    instead: str | None = None
    """Id of a decision on the same request whose place this one takes, with all that it counted and was told of it."""
    client: str | None = None
    """What the client looks like at any version."""
    os_family: str | None = None
    kind: str | None = None
    """mobile, tablet, desktop or other."""
    browser_major: int | None = None


class Settlement(Struct, frozen=True, array_like=True, kw_only=True):
    """What became of an attempt, and what the store shall do about it."""

    outcome: str
    """A value of `contract.Reported`, or `MATURED`."""
    decided: int
    """A `decision_id.Verdict`, as its number."""
    at: float
    """When it happened, seconds since 1970."""
    confirms: bool
    """What the attempt presented becomes known."""


class Observation(Struct, frozen=True, array_like=True, kw_only=True):
    """What the store knew when it counted the attempt; fields in the order in which the script answers."""

    decision_id: str
    """The attempt's own, or the first's when repeated; likewise `time`."""
    time: float
    history: SubjectHistory | None
    address_counts: AddressCounts | None
    network_counts: NetworkCounts | None
    device_counts: DeviceCounts | None
    payload: PayloadSeen | None
    velocities: dict[str, float | None] = {}
    """What the policy's velocities count, by their keys; None where the attempt does not present what they are per."""
    repeated: bool = False
    """The same request was counted before: these are the first's values, and nothing was counted."""
    history_lost: bool = False
    """The store came back without its history: what is not known says nothing."""
    answered: str | None = None
    """Of a repeat, what `Store.note_answered` noted of the request last; None when nobody did."""
    took_place: bool = False
    """The attempt takes the place of one that was counted before: these are its values, under an id of its own."""
