"""The assurance ladder: what a session proves, what a step-up must achieve, and by which methods."""

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from riskd.contract import StepUp, made
from riskd.policy.schema import Assurance, Level, Method

MAX_WAYS = 4096
"""Combinations of level, enrolled methods and kind of attack that are kept worked out."""
FIRST_CHOICE_METHODS = 5
"""How many methods an answer names at most."""


class Attack(Struct, frozen=True):
    """What the hits say about the kind of attack, as far as it bears on the choice of a method."""

    guessing: bool = False
    """Somebody guesses or replays passwords: a prompt that only needs a tap would be bombed."""
    contact_changed: bool = False
    """Contact data changed lately: a code sent there goes to whoever changed it."""


class Ladder:
    """The policy's assurance ladder, indexed once at load."""

    def __init__(self, assurance: Assurance) -> None:
        self._levels = {step.level: step for step in assurance.levels}
        self._methods = assurance.methods
        self._dialect = assurance.dialect
        self._expires = assurance.step_up_expires
        self._ways = lru_cache(maxsize=MAX_WAYS)(self._find_ways)
        self.level_of: dict[str, int] = {}
        """Level that each known `acr` proves, over all dialects: the highest where several claim it."""
        for step in assurance.levels:
            for values in step.acr.values():
                for acr in values:
                    self.level_of[acr] = max(step.level, self.level_of.get(acr, 0))

    def max_age(self, level: int) -> timedelta:
        """Return how fresh a step-up to a level must be."""
        return self._levels[level].max_age

    def satisfied(self, acr: str | None, auth_age_s: float | None, level: int, max_age: timedelta) -> bool:
        """Return True when the session's `acr` reaches the level and was proven at most `max_age` ago."""
        if acr is None or auth_age_s is None:
            return False
        return self.level_of.get(acr, 0) >= level and auth_age_s <= max_age.total_seconds()

    def step_up(
        self, level: int, max_age: timedelta, now: datetime, enrolled: tuple[str, ...] | None, attack: Attack
    ) -> StepUp:
        """Say what a step-up to `level` must achieve, how fresh it must be, and which methods suit, best first."""
        acr_values, amr_values, methods = self._ways(level, enrolled, attack)
        return made(
            StepUp,
            level=level,
            acr_values=acr_values,
            amr_values=amr_values,
            methods=methods,
            max_age=int(max_age.total_seconds()),
            expires_at=now + self._expires,
        )

    def _find_ways(
        self, level: int, enrolled: tuple[str, ...] | None, attack: Attack
    ) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        step = self._levels[level]
        methods = self._rank(level, enrolled, attack)
        return (
            self._acr_values(level),
            self._amr_values(step, methods),
            tuple(method.name for method in methods),
        )

    def _acr_values(self, level: int) -> tuple[str, ...]:
        """Values of the dialect that prove this level or a higher one, this level's first."""
        values: list[str] = []
        for number, step in self._levels.items():
            if number >= level:
                values.extend(v for v in step.acr.get(self._dialect, ()) if v not in values)
        return tuple(values)

    def _amr_values(self, step: Level, methods: list[Method]) -> tuple[str, ...]:
        values: list[str] = []
        for method in methods:
            values.extend(v for v in method.amr if v not in values)
        return tuple(values) or step.amr

    def _rank(self, level: int, enrolled: Collection[str] | None, attack: Attack) -> list[Method]:
        fit = [m for m in self._methods if m.level >= level and not (m.uses_contact and attack.contact_changed)]
        if enrolled is not None:
            # With nothing fitting enrolled, every fitting method is named: the caller may let the subject enrol one.
            fit = [m for m in fit if m.name in enrolled] or fit
        # sorted() is stable: the policy's order decides among equals.
        fit = sorted(fit, key=lambda m: (attack.guessing and m.can_be_bombed, not m.phishing_resistant))
        return fit[:FIRST_CHOICE_METHODS]
