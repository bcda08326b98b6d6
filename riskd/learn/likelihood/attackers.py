"""Attackers who replace one real attempt of a victim, at its time: nothing is inserted, so that nothing betrays them.

Naive: address and client of somebody's later attempt. VPN: the same from the victim's country. Targeted: an address of
the victim's network, with the victim's client. Very targeted: as the real takeovers published with the RBA data set
(Wiefling et al., ACM TOPS 2022, doi 10.1145/3546069) were: a rare network, mostly of one country, the victim's client,
35 of 100 on subjects without history. Clone: all as in an earlier attempt of the victim, but for the hour.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import log
from random import Random
from typing import Final, Literal

from msgspec.structs import replace

from riskd.facts import DeviceFacts, Facts

Kind = Literal["naive", "vpn", "targeted", "very_targeted", "clone"]
KINDS: Final[tuple[Kind, ...]] = ("naive", "vpn", "targeted", "very_targeted", "clone")
Whose = Literal["replaced", "earlier", "iid"]
"""Whose network, country and client imitators take: those of the attempt that they replace (the hardest: nothing but
the address is wrong), or of an earlier one of the victim; `iid`: of an earlier one, and at a time of anybody's."""
TAKEOVER_COUNTRIES: Final = {"RO": 0.56, "NO": 0.07, "CA": 0.064, "BR": 0.064, "ID": 0.064}
"""Shares of the published takeovers; the rest is spread over the countries of the log."""
COLD_SHARE: Final = 0.35
"""Share of the published takeovers that hit subjects without history."""
RARITY: Final = (0.4, 0.014)
"""Shape and scale of the gamma law of the takeovers' networks, as quantiles among honest ones. The plain rule `rare
network` then has the AUC (.986) and the catch at 1 % false alarms (.658) that it has on the published takeovers."""
_DAY_S: Final = 86_400.0
_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Attack:
    """One replacement."""

    kind: Kind
    victim: int
    """Index of the attempt that it replaces."""
    before: int
    """How many attempts lie before it."""
    facts: Facts
    """What is presented, at the time of the attack; the history is that of the victim's attempt."""


class Attackers:
    """Draws attacks on the attempts [first, last) of a log in the order of time.

    Donors come from later attempts, before `until`. Victims have an address and a subject; `warm` tells of each attempt
    whether the subject had history.
    """

    def __init__(
        self, facts: Sequence[Facts], first: int, last: int, *, until: int, seed: int, whose: Whose = "replaced",
        rarity: tuple[float, float] = RARITY,
    ) -> None:  # fmt: skip
        self._facts, self._first, self._last, self._until = facts, first, last, until
        self._whose, self._rarity, self._random = whose, rarity, Random(seed)  # noqa: S311
        self._times = [f.time.timestamp() for f in facts]
        self._of: dict[str, list[int]] = defaultdict(list)
        self._in_country: dict[str, list[int]] = defaultdict(list)
        self._in_network: dict[str, list[int]] = defaultdict(list)
        self._networks: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._usable: list[int] = []
        self._warm: list[int] = []
        self._cold: list[int] = []
        for i, f in enumerate(facts[:until]):
            who, network, country = f.subject.token, f.network.key, f.place.country
            if who is None or f.network.ip is None or network is None or country is None:
                continue
            if first <= i < last:
                (self._warm if self._of[who] else self._cold).append(i)
            self._usable.append(i)
            self._of[who].append(i)
            self._in_country[country].append(i)
            self._in_network[network].append(i)
            self._networks[country][network].append(i)
        self._quantile = self._quantiles()

    def draw(self, kind: Kind, count: int) -> list[Attack]:
        """Draw attacks of a kind; fewer than asked for where the log has too few victims or donors."""
        one = {
            "naive": self._naive, "vpn": self._vpn, "targeted": self._targeted,
            "very_targeted": self._very_targeted, "clone": self._clone,
        }[kind]  # fmt: skip
        out: list[Attack] = []
        if not self._warm or (not self._cold and kind == "very_targeted"):
            return out
        for _ in range(_TRIES * count):
            made = one()
            if made is not None:
                out.append(made)
                if len(out) == count:
                    break
        return out

    def _quantiles(self) -> dict[str, float]:
        """Of each network the share of attempts on networks at most as common."""
        counted = Counter({network: len(held) for network, held in self._in_network.items()})
        by_count: Counter[int] = Counter()
        for count in counted.values():
            by_count[count] += count
        total, below, at_most = max(counted.total(), 1), 0, {}
        for count in sorted(by_count):
            below += by_count[count]
            at_most[count] = below / total
        return {network: at_most[count] for network, count in counted.items()}

    def _later(self, of: Sequence[int], before: int, victim: int) -> Facts | None:
        """Return a random attempt of somebody else, not before the attack."""
        at = bisect_right(of, before)
        if at >= len(of):
            return None
        for _ in range(_TRIES):
            donor = self._facts[of[self._random.randrange(at, len(of))]]
            if donor.subject.token != self._facts[victim].subject.token:
                return donor
        return None

    def _moment(self, *, warm: bool = True) -> tuple[int, float, int]:
        """Return the attempt to replace, the time of the attack, and how many attempts lie before it.

        With `iid` times are anybody's: a day of the slice, the hour of a random attempt.
        """
        if self._whose != "iid" or not warm:
            i = self._random.choice(self._warm if warm else self._cold)
            return i, self._times[i], i
        low, high = self._times[self._first], self._times[self._last - 1]
        while True:
            i = self._random.choice(self._warm)
            hour_s = self._times[self._random.choice(self._usable)] % _DAY_S
            time = self._random.uniform(low, high) // _DAY_S * _DAY_S + hour_s
            before = bisect_left(self._times, time)
            if low <= time <= high and self._mine(i)[0] < before:
                return i, time, before

    def _mine(self, i: int) -> list[int]:
        return self._of[self._facts[i].subject.token or ""]

    def _profile(self, i: int, before: int) -> Facts:
        """Return the attempt whose network, country and client an imitator takes."""
        if self._whose == "replaced":
            return self._facts[i]
        mine = self._mine(i)
        earlier = mine[: bisect_left(mine, before)]
        return self._facts[self._random.choice(earlier)] if earlier else self._facts[i]

    def _made(
        self, kind: Kind, moment: tuple[int, float, int], donor: Facts | None, device: DeviceFacts | None = None
    ) -> Attack | None:
        """Put the donor's place, and his device or the imitated one, into the victim's attempt."""
        if donor is None:
            return None
        i, time, before = moment
        device = donor.device if device is None else replace(device, rtt_ms=donor.device.rtt_ms)
        when = datetime.fromtimestamp(time, UTC)
        facts = replace(self._facts[i], time=when, network=donor.network, place=donor.place, device=device)
        return Attack(kind, i, before, facts)

    def _naive(self) -> Attack | None:
        moment = self._moment()
        return self._made("naive", moment, self._later(self._usable, moment[2], moment[0]))

    def _vpn(self) -> Attack | None:
        moment = i, _, before = self._moment()
        country = self._profile(i, before).place.country or ""
        return self._made("vpn", moment, self._later(self._in_country[country], before, i))

    def _targeted(self) -> Attack | None:
        moment = i, _, before = self._moment()
        own = self._profile(i, before)
        return self._made(
            "targeted", moment, self._later(self._in_network[own.network.key or ""], before, i), own.device
        )

    def _very_targeted(self) -> Attack | None:
        moment = i, _, before = self._moment(warm=self._random.random() >= COLD_SHARE)
        own = self._profile(i, before)
        networks = self._networks[self._country()]
        want = max(self._random.gammavariate(*self._rarity), 1e-5)
        left = [network for network, held in networks.items() if bisect_right(held, before) < len(held)]
        if not left:
            return None
        best = min(left, key=lambda network: (abs(log(self._quantile[network] / want)), self._random.random()))
        return self._made("very_targeted", moment, self._later(networks[best], before, i), own.device)

    def _country(self) -> str:
        draw = self._random.random()
        for country, share in TAKEOVER_COUNTRIES.items():
            draw -= share
            if draw < 0 and country in self._networks:
                return country
        others = sorted(country for country in self._networks if country not in TAKEOVER_COUNTRIES)
        return self._random.choice(others or sorted(self._networks))

    def _clone(self) -> Attack | None:
        i = self._random.choice(self._warm)
        mine = self._mine(i)
        at = bisect_left(mine, i)
        own = self._facts[self._random.choice(mine[:at])]
        hour_s = self._times[self._random.choice(self._usable)] % _DAY_S
        time = max(self._times[i] // _DAY_S * _DAY_S + hour_s, self._times[mine[at - 1]] + 1.0)
        return self._made("clone", (i, time, bisect_left(self._times, time)), own, own.device)
