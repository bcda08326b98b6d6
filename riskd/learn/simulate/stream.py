"""All attempts of a world in the order of time, attackers among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from riskd.learn.simulate.attackers import AttackRates, attack
from riskd.learn.simulate.attempt import Attempt
from riskd.learn.simulate.life import live
from riskd.learn.simulate.people import Habits, Offices, new_person
from riskd.learn.simulate.rhythm import SPAN_DAYS, login_count
from riskd.learn.simulate.world import World

WORLD_START = datetime(2025, 1, 1, tzinfo=UTC)
"""The first day of the simulated world."""
DONOR_DAYS = 30
"""The last days are not played: they hold the later logins that attackers borrow from."""
MOST_DAYS = SPAN_DAYS - DONOR_DAYS
_STAFF = 25


@dataclass(frozen=True, slots=True)
class Size:
    """How much to simulate."""

    subjects: int = 20_000
    """People of the world; each makes 3.9 logins in its 392 days on average."""
    days: int = 120
    """How many days are played, at most `MOST_DAYS`; they end `DONOR_DAYS` before the world does."""
    seed: int = 1

    @property
    def end(self) -> datetime:
        """When the play ends."""
        return WORLD_START + timedelta(days=MOST_DAYS)

    @property
    def start(self) -> datetime:
        """When the play begins."""
        return self.end - timedelta(days=self.days)


def honest_attempts(size: Size, habits: Habits) -> list[Attempt]:
    """Return the honest attempts of the whole world, in the order of time."""
    world, rng = World(), Random(size.seed)  # noqa: S311 - a simulation wants numbers that repeat
    offices = Offices(world, _STAFF, size.subjects, rng)
    start = WORLD_START.timestamp()
    attempts: list[Attempt] = []
    for number in range(size.subjects):
        person = new_person(number, world, offices, habits, rng)
        attempts.extend(live(person, login_count(rng), start, habits, rng))
    attempts.sort(key=lambda attempt: attempt.time)
    return attempts


def simulate_stream(size: Size, habits: Habits | None = None, rates: AttackRates | None = None) -> Sequence[Attempt]:
    """Return the attempts of the days that are played, in the order of time; the same size gives the same stream.

    Raises ValueError for a size without subjects or with more days than the world has.
    """
    if size.subjects < 1 or not 1 <= size.days <= MOST_DAYS:
        raise ValueError(f"simulate at least one subject over 1 to {MOST_DAYS} days")
    habits = habits or Habits()
    begin, end = size.start.timestamp(), size.end.timestamp()
    attempts = [attempt for attempt in honest_attempts(size, habits) if attempt.time >= begin]
    attacked = attack(attempts, until=end, rates=rates or AttackRates(), rng=Random(size.seed + 1))  # noqa: S311
    return [attempt for attempt in attacked if attempt.time < end]
