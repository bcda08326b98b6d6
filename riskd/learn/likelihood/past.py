"""A stand-in for the store: what it would have answered of any attempt at any time, from confirmed attempts alone.

A log tells what the store knew of what was presented. Of what an attacker would have presented in its place it tells
nothing: that is rebuilt here from the subject's confirmed attempts, with the store's bounds and memory.
"""

from collections.abc import Callable
from math import cos, log, pi, sin
from typing import Any, Final

from msgspec.structs import fields, replace

from riskd.facts import Facts, SubjectHistory
from riskd.features.likelihood.states import MEMORY_S
from riskd.features.likelihood.tables import DAY_S

_BOUNDS: Final[dict[str, int]] = {
    "ip": 50, "network": 20, "country": 20, "client": 20, "family": 20, "os": 10, "kind": 5,
}  # fmt: skip
"""How many of each kind are known, as in the store's script."""
_PRESENTED: Final[dict[str, Callable[[Facts], str | None]]] = {
    "ip": lambda facts: facts.network.ip,
    "network": lambda facts: facts.network.key,
    "country": lambda facts: facts.place.country,
    "client": lambda facts: facts.device.client,
    "family": lambda facts: facts.device.family,
    "os": lambda facts: facts.device.os_family,
    "kind": lambda facts: facts.device.kind,
}
_TOLD: Final = ("ip", "network", "country", "client", "family")
"""Kinds of which the store answers the age; of the others only the count."""
_PLURALS: Final = {
    "ip": "ips", "network": "networks", "country": "countries", "client": "clients", "family": "families",
}  # fmt: skip
_NOTHING: Final[dict[str, Any]] = {
    field.name: 0 if field.type in {int, float} else () if field.name in {"places", "sessions"} else None
    for field in fields(SubjectHistory)
    if field.name not in {"token", "confirmed"}
}
"""A history of which nothing is known: every count 0, every age unknown."""


class Past:
    """One subject's confirmed habits."""

    __slots__ = ("_cos", "_first", "_held", "_last", "_rtt", "_sin", "confirmed", "token")

    def __init__(self, token: str) -> None:
        self.token = token
        self.confirmed = 0
        self._first = self._last = self._sin = self._cos = 0.0
        self._held: dict[str, dict[str, tuple[float, int, int | None]]] = {kind: {} for kind in _BOUNDS}
        self._rtt: dict[str, tuple[int, float]] = {}

    def learn(self, facts: Facts) -> None:
        """Take in a confirmed attempt; attempts come in the order of time."""
        time = facts.time.timestamp()
        self._first = time if not self.confirmed else self._first
        self.confirmed += 1
        self._last = time
        angle = 2 * pi * (time % DAY_S) / DAY_S
        self._sin += sin(angle)
        self._cos += cos(angle)
        major = facts.device.browser_major
        for kind, held in self._held.items():
            value = _PRESENTED[kind](facts)
            if value is None:
                continue
            _, count, newest = held.get(value, (0.0, 0, None))
            if not count and len(held) >= _BOUNDS[kind]:
                del held[min(held, key=lambda other: held[other][0])]
            held[value] = (time, count + 1, major if newest is None else max(newest, major or 0))
        if facts.device.rtt_ms is not None and facts.place.country is not None:
            count, mean = self._rtt.get(facts.place.country, (0, 0.0))
            x = log(max(facts.device.rtt_ms, 0.1))
            self._rtt[facts.place.country] = (count + 1, mean + (x - mean) / (count + 1))
        self._forget(time)

    def _forget(self, time: float) -> None:
        """Drop what is too old, as the store does when a success is confirmed."""
        for held in self._held.values():
            for value in [value for value, (last, *_) in held.items() if time - last > MEMORY_S]:
                del held[value]
        self._rtt = {country: rtt for country, rtt in self._rtt.items() if country in self._held["country"]}

    def answer(self, facts: Facts) -> SubjectHistory:
        """Return the history that the store would answer to this attempt, as far as the likelihood core reads it."""
        time = facts.time.timestamp()
        known: dict[str, Any] = _NOTHING | self.presented(facts)
        if self.confirmed:
            remembered = time - self._last <= MEMORY_S
            known |= {"first_confirmed_age_s": time - self._first, "last_confirmed_age_s": max(0.0, time - self._last)}
            known |= {"hour_sin": self._sin, "hour_cos": self._cos, "hour_count": self.confirmed if remembered else 0}
            if remembered:
                known |= {f"known_{plural}": len(self._held[kind]) for kind, plural in _PLURALS.items()}
        return SubjectHistory(token=self.token, confirmed=self.confirmed, **known)

    def within(self, history: SubjectHistory, facts: Facts) -> SubjectHistory:
        """Return a history as the store answered it, but of what these facts present."""
        return replace(history, **self.presented(facts))

    def presented(self, facts: Facts) -> dict[str, Any]:
        """Return the fields of a history that depend on what is presented."""
        time = facts.time.timestamp()
        told: dict[str, Any] = {}
        for kind, held in self._held.items():
            value = _PRESENTED[kind](facts)
            last, count, major = (0.0, 0, None) if value is None else held.get(value, (0.0, 0, None))
            if not count or time - last > MEMORY_S:
                last, count, major = time, 0, None
            told[f"{kind}_count"] = count
            if kind in _TOLD:
                told[f"{kind}_age_s"] = max(0.0, time - last) if count else None
            if kind == "client":
                told["client_major"] = major
        remembered = self.confirmed and time - self._last <= MEMORY_S
        count, mean = self._rtt.get(facts.place.country or "", (0, 0.0)) if remembered else (0, 0.0)
        return told | {"rtt_count": count, "rtt_mean_log_ms": mean if count else None}
