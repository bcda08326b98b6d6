"""How often: counts per window, the window in the name. The present attempt is counted."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from msgspec import Struct

from riskd.facts import Facts
from riskd.features.feature import feature, signal_feature

ATTEMPTS = "attempts"
"""What a velocity of kind `count` counts."""
AMOUNT = "amount"
"""What a velocity sums that sums no attribute: the action's amount, each currency for itself."""
MAX_ADDEND = 1e15
"""Largest number, either way, that an attribute may add to a sum; what is beyond is not counted."""
ATTRIBUTE = "attributes."
"""Begins the name of an attribute, as what is counted or what it is counted on."""


class Velocity(Struct, frozen=True, kw_only=True, dict=True):
    """A velocity that a policy declares: what is counted, on what, and in which window."""

    name: str
    """The policy's name for it; the window is in the name."""
    kind: Literal["count", "sum", "distinct"]
    of: str
    """`attempts` of a count, `amount` or `attributes.<name>` of a sum; of a distinct count what must differ: `subject`,
    `ip`, `network`, `device`, `recipient`, `country` or `attributes.<name>`."""
    per: str
    """What it is counted on: `subject`, `ip`, `network`, `device`, `recipient` or `attributes.<name>`."""
    window_s: float
    actions: tuple[str, ...] = ()
    """Classes of actions whose attempts are counted, and are told the count; empty for all."""

    @cached_property
    def id(self) -> str:
        """What the store counts it under: 8 hex digits of the definition, name included."""
        said = repr((self.name, self.kind, self.of, self.per, float(self.window_s), tuple(sorted(self.actions))))
        return hashlib.sha256(said.encode()).hexdigest()[:8]

    @cached_property
    def key(self) -> str:
        """Name and id: what facts call it. Another definition under the same name is another velocity."""
        return f"{self.name}:{self.id}"


class Counted(Struct, frozen=True, eq=False, dict=True):
    """Velocities that are counted together, for one class of actions; equal only to itself, so a cheap key."""

    velocities: tuple[Velocity, ...]

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes that velocities are per, or count the distinct values of."""
        words = {word for v in self.velocities for word in (v.per, v.of if v.kind == "distinct" else "")}
        return tuple(sorted(word.removeprefix(ATTRIBUTE) for word in words if word.startswith(ATTRIBUTE)))

    @cached_property
    def summed(self) -> tuple[str, ...]:
        """Names of the attributes that are summed."""
        words = {v.of for v in self.velocities if v.kind == "sum"} - {AMOUNT}
        return tuple(sorted(word.removeprefix(ATTRIBUTE) for word in words))


class Counts(Struct, frozen=True):
    """What velocities find of one attempt."""

    counted: Counted
    keys: Mapping[str, str | None]
    """What the attempt presents, by the words that velocities use: `ip`, `country`, `attributes.plan`, …; keyed hashes,
    or short words that are no secret. None, or left out: not presented."""
    amounts: Mapping[str, float | None]
    """What may be summed: `amount`, in the attempt's currency, and `attributes.<name>`."""


@feature
def attempts_5m(facts: Facts) -> float | None:
    """Attempts of the subject in five minutes."""
    return None if facts.history is None else float(facts.history.attempts_5m)


@feature
def attempts_1h(facts: Facts) -> float | None:
    """Attempts of the subject in one hour."""
    return None if facts.history is None else float(facts.history.attempts_1h)


@signal_feature
def attempts_24h(facts: Facts) -> float | None:
    """Attempts of the subject in 24 hours."""
    return None if facts.history is None else float(facts.history.attempts_24h)


@feature
def ips_5m(facts: Facts) -> float | None:
    """Distinct addresses of the subject in five minutes."""
    return None if facts.history is None else float(facts.history.ips_5m)


@feature
def ips_1h(facts: Facts) -> float | None:
    """Distinct addresses of the subject in one hour."""
    return None if facts.history is None else float(facts.history.ips_1h)


@signal_feature
def ips_24h(facts: Facts) -> float | None:
    """Distinct addresses of the subject in 24 hours."""
    return None if facts.history is None else float(facts.history.ips_24h)


@feature
def failures_10m(facts: Facts) -> float | None:
    """Failures of the subject in ten minutes."""
    return None if facts.history is None else float(facts.history.failures_10m)


@feature
def failures_1h(facts: Facts) -> float | None:
    """Failures of the subject in one hour."""
    return None if facts.history is None else float(facts.history.failures_1h)


@signal_feature
def failure_ips_1h(facts: Facts) -> float | None:
    """Distinct addresses among the subject's failures of one hour."""
    return None if facts.history is None else float(facts.history.failure_ips_1h)


@feature
def sensitive_10m(facts: Facts) -> float | None:
    """Sensitive actions of the subject in ten minutes."""
    return None if facts.history is None else float(facts.history.sensitive_10m)


@signal_feature
def subjects_on_ip_1h(facts: Facts) -> float | None:
    """Distinct subjects on the address in one hour."""
    return None if facts.address_counts is None else float(facts.address_counts.subjects_1h)


@signal_feature
def subjects_on_ip_24h(facts: Facts) -> float | None:
    """Distinct subjects on the address in 24 hours."""
    return None if facts.address_counts is None else float(facts.address_counts.subjects_24h)


@signal_feature
def confirmed_subjects_on_ip(facts: Facts) -> float | None:
    """Distinct subjects with a confirmed success on the address in 30 days; an office exit has many."""
    return None if facts.address_counts is None else float(facts.address_counts.confirmed_subjects)


@signal_feature
def failures_on_ip_1h(facts: Facts) -> float | None:
    """Failures on the address in one hour, over all subjects."""
    return None if facts.address_counts is None else float(facts.address_counts.failures_1h)


@signal_feature
def failed_subjects_on_ip_1h(facts: Facts) -> float | None:
    """Distinct subjects that failed on the address in one hour."""
    return None if facts.address_counts is None else float(facts.address_counts.failed_subjects_1h)


@signal_feature
def failed_subjects_on_network_1h(facts: Facts) -> float | None:
    """Distinct subjects that failed on the network in one hour."""
    return None if facts.network_counts is None else float(facts.network_counts.failed_subjects_1h)


@signal_feature
def confirmed_subjects_on_network(facts: Facts) -> float | None:
    """Distinct subjects with a confirmed success on the network in 30 days."""
    return None if facts.network_counts is None else float(facts.network_counts.confirmed_subjects)


@signal_feature
def subjects_on_device_24h(facts: Facts) -> float | None:
    """Distinct subjects on the device id in 24 hours."""
    return None if facts.device_counts is None else float(facts.device_counts.subjects_24h)


@signal_feature
def subjects_on_device_30d(facts: Facts) -> float | None:
    """Distinct subjects on the device id in 30 days."""
    return None if facts.device_counts is None else float(facts.device_counts.subjects_30d)
