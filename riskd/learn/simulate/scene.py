"""What attackers find: the honest attempts, indexed, and the bookkeeping of which of them were replaced.

An attack never adds to a victim's rhythm: it takes the place of an attempt that the victim would have made, at the same
moment, and what the victim would have done next in that session goes too.
Attackers' addresses and browsers are borrowed from logins that somebody else makes *later*, so that nothing about them
is odd in itself; the device id alone is new.
"""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from random import Random

from riskd.learn.simulate.attempt import LOGIN, Attempt

_TRIES = 40
"""Draws after which no donor is looked for any more."""
_FEWEST_DONORS = 40


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
        self._first_login: dict[str, float] = {}
        for n, attempt in enumerate(attempts):
            if attempt.session is not None:
                self._sessions.setdefault(attempt.session, []).append(n)
            if attempt.action == LOGIN and attempt.password_right:
                if attempt.subject in self._first_login:
                    self._known.add(n)
                self._first_login.setdefault(attempt.subject, attempt.time)

    def bases(self, *, least_actions: int = 0, known: bool = True) -> list[list[Attempt]]:
        """Return sessions that may be taken: of people with an earlier login, with that many actions after it.

        `known` False asks for the first sessions of people instead, whom nothing is known of.
        """
        found = []
        for members in self._sessions.values():
            first = members[0]
            if (
                (first in self._known) is not known
                or self._attempts[first].time >= self.until
                or len(members) <= least_actions
            ):
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

    def off_rhythm(self, base: Attempt) -> float:
        """Return when someone else might log in: a login's time drawn uniformly after the victim's first one."""
        low = bisect_right(self._login_times, self._first_login[base.subject])
        high = bisect_right(self._login_times, self.until)
        return self._login_times[self.rng.randrange(low, high)] if low < high else base.time

    def logins_by(self, key: Callable[[Attempt], Hashable]) -> dict[Hashable, list[int]]:
        """Return the places of all logins, grouped, each group in the order of time."""
        groups: dict[Hashable, list[int]] = {}
        for n in self._logins:
            groups.setdefault(key(self._attempts[n]), []).append(n)
        return groups

    def rare_networks(self, share: float) -> list[int]:
        """Return the places of the logins from the rarest networks, which together make at most `share` of all.

        In a small world they are more, a few dozen, or nobody would be left to borrow from.
        """
        most = max(_FEWEST_DONORS, share * len(self._logins))
        groups = self.logins_by(lambda login: login.origin.network.asn)
        places: list[int] = []
        for group in sorted(groups.values(), key=len):
            if places and len(places) + len(group) > most:
                break
            places += group
        return sorted(places)

    def donor_among(self, base: Attempt, group: Sequence[int], fits: Callable[[Attempt], bool]) -> Attempt | None:
        """Return a later login by someone else out of a group of `logins_by`; None when the tries bring none."""
        low = bisect_right(group, base.time, key=lambda n: self._attempts[n].time)
        for _ in range(_TRIES if low < len(group) else 0):
            login = self._attempts[group[self.rng.randrange(low, len(group))]]
            if login.subject != base.subject and fits(login):
                return login
        return None

    def donor(self, base: Attempt, fits: Callable[[Attempt], bool], *, tries: int = _TRIES) -> Attempt | None:
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
