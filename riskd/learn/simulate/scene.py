"""What attackers find: the honest attempts, indexed, and the bookkeeping of which of them were replaced.

An attack never adds to a victim's rhythm: it takes the place of an attempt that the victim would have made, at the same
moment, and what the victim would have done next in that session goes too.
Attackers' addresses and browsers are borrowed from logins that somebody else makes *later*, so that nothing about them
is odd in itself; the device id alone is new.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from random import Random

from riskd.learn.simulate.attempt import LOGIN, Attempt


class Scene:
    """The attempts of a world under attack."""

    def __init__(self, attempts: Sequence[Attempt], until: float, rng: Random) -> None:
        """Index attempts that are in the order of time; only those before `until` are attacked."""
        self.rng = rng
        self.until = until
        self.first_time = attempts[0].time if attempts else until
        self._attempts = attempts
        self._logins = [n for n, attempt in enumerate(attempts) if attempt.action == LOGIN and attempt.password_right]
        self._login_times = [attempts[n].time for n in self._logins]
        self._replaced: dict[int, Attempt | None] = {}
        self._added: list[Attempt] = []
        self._devices = 0
        self._sessions: dict[str, list[int]] = {}
        self._known: set[int] = set()
        seen: set[str] = set()
        for n, attempt in enumerate(attempts):
            if attempt.session is not None:
                self._sessions.setdefault(attempt.session, []).append(n)
            if attempt.action == LOGIN and attempt.password_right:
                if attempt.subject in seen:
                    self._known.add(n)
                seen.add(attempt.subject)

    def bases(self, *, least_actions: int = 0) -> list[list[Attempt]]:
        """Return sessions that may be taken: of people with an earlier login, with that many actions after it."""
        found = []
        for members in self._sessions.values():
            first = members[0]
            if first not in self._known or self._attempts[first].time >= self.until or len(members) <= least_actions:
                continue
            if not any(n in self._replaced for n in members):
                found.append([self._attempts[n] for n in members])
        return found

    def logins_between(self, begin: float, end: float) -> list[Attempt]:
        """Return the logins of a while that were not replaced yet."""
        low, high = bisect_right(self._login_times, begin), bisect_right(self._login_times, min(end, self.until))
        return [self._attempts[n] for n in self._logins[low:high] if n not in self._replaced]

    def any_login_time(self) -> float:
        """Return the time of a login drawn uniformly."""
        return self.rng.choice(self._login_times[: bisect_right(self._login_times, self.until)])

    def donor(self, base: Attempt, fits: Callable[[Attempt], bool], *, tries: int = 40) -> Attempt | None:
        """Return a later login by someone else that fits, drawn uniformly; None when the tries bring none."""
        low = bisect_right(self._login_times, base.time)
        for _ in range(tries if low < len(self._logins) else 0):
            login = self._attempts[self._logins[self.rng.randrange(low, len(self._logins))]]
            if login.subject != base.subject and fits(login):
                return login
        return None

    def new_device_id(self) -> str:
        """Return a device id that nobody had."""
        self._devices += 1
        return f"device-x{self._devices}"

    def replace(self, session: str, attacks: Iterable[tuple[Attempt, Attempt]], *, keep_rest: bool = False) -> None:
        """Put each attack in the place of its base; the rest of the session disappears unless it is kept."""
        position = {id(self._attempts[n]): n for n in self._sessions[session]}
        if not keep_rest:
            self._replaced.update(dict.fromkeys(position.values()))
        for base, attack in attacks:
            self._replaced[position[id(base)]] = attack
        if keep_rest:
            # Even so the session is taken: nobody else attacks it.
            self._replaced.update({n: self._attempts[n] for n in position.values() if n not in self._replaced})

    def add(self, attempt: Attempt) -> None:
        """Add an attempt on an account that does not exist: it has no rhythm to disturb."""
        self._added.append(attempt)

    def result(self) -> list[Attempt]:
        """Return all attempts after the attacks, in the order of time."""
        kept = [self._replaced.get(n, attempt) for n, attempt in enumerate(self._attempts)]
        return sorted([*(a for a in kept if a is not None), *self._added], key=lambda attempt: attempt.time)
