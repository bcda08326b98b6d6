"""From trusted attempts to the population's tables, and to those of the likelihood core.

A subject counts once for each value that he shows, and at most `MOST_ROWS` times for what he does: nobody can make his
own network common, or a change of address ordinary, by coming often.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from math import log
from random import Random
from statistics import fmean, pstdev

from msgspec.structs import replace

from riskd.facts import Facts, SubjectHistory
from riskd.features.likelihood import states as s
from riskd.features.likelihood.tables import (
    CLIENT_STATES,
    EQUIPMENTS,
    GAP_CLASSES,
    HABITS,
    PLACE_STATES,
    STEPS,
    Likelihood,
    Row,
)
from riskd.features.population import Population, Table, hour_shares
from riskd.learn.likelihood.fit import fit_weights

MOST_ROWS = 40
"""Attempts of one subject that are counted, the earliest."""
BACK_OFF = 20.0
"""Weight of the parent's shares, in attempts. With `MOST_ROWS` it bounds what one subject can do to another's ratio: a
factor of (40 + 20) / 20 for each of place and client, 3 for his network and 3 for his country, ln of all: 4.4 nats."""
LEAST_SETTLED = 200
"""Attempts by subjects with history below which no tables are claimed."""
LEAST_RTTS = 50
"""Round trips of a country below which its mean is not known."""
LEAST_RTT_OWN = 0.02
_RECENT = 300
Pairs = Iterable[tuple[str, str | None]]


def learn_population(facts: Sequence[Facts], split: int, *, native: bool, seed: int = 1) -> Population:
    """Learn all tables from the attempts before `split`, and the attackers' weights from those after it.

    `facts` are trusted attempts in the order of time, histories as the store answered them; `native` says whether they
    are this deployment's own traffic. The population has no likelihood where too few attempts have a history.
    """
    learnt = facts[:split]
    population = Population(
        native=native,
        country=_table((_who(f), f.place.country) for f in learnt),
        network=_table((_who(f), f.network.key) for f in learnt),
        family=_table((_who(f), f.device.family) for f in learnt),
        hour=hour_shares(f.time.hour for f in _capped(learnt)),
    )
    likelihood = learn_tables(learnt, seed)
    if likelihood is None:
        return population
    population = replace(population, likelihood=likelihood)
    return replace(population, likelihood=fit_weights(facts, split, population, likelihood, seed))


def _who(facts: Facts) -> str:
    return facts.subject.token or ""


def _table(pairs: Pairs) -> Table:
    """Count each subject once for each value."""
    return Table.of(value for _, value in set(pairs))


def _shares(pairs: Pairs) -> tuple[dict[str, float], float]:
    """Return each value's share of the subjects, and the share of a value that nobody showed."""
    counted = Counter(value for _, value in set(pairs) if value is not None)
    total = counted.total() + 1
    return {value: count / total for value, count in sorted(counted.items())}, 0.5 / total


def _capped(facts: Iterable[Facts]) -> Iterator[Facts]:
    """Yield the first `MOST_ROWS` of each subject."""
    taken: Counter[str] = Counter()
    for attempt in facts:
        who = _who(attempt)
        taken[who] += 1
        if taken[who] <= MOST_ROWS:
            yield attempt


class _Counts:
    """What honest people do, counted."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311
        self.place = [[[0.0] * PLACE_STATES for _ in range(GAP_CLASSES)] for _ in range(HABITS)]
        self.client = [[0.0] * CLIENT_STATES for _ in range(EQUIPMENTS)]
        self.drift = [[0.0] * STEPS for _ in range(GAP_CLASSES)]
        self.stray, self.stale = [0.0] * STEPS, [0.0] * STEPS
        self.settled = 0
        self.rtt: dict[str, list[float]] = defaultdict(list)
        self.rtt_pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
        """ln of the round trip, and the subject's mean before it."""
        self._versions: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._recent: dict[str, deque[tuple[str, int]]] = defaultdict(lambda: deque(maxlen=_RECENT))

    def take(self, facts: Facts) -> None:
        """Count one attempt."""
        history = facts.history
        if history is not None and s.settled(history):
            self.settled += 1
            self._count(facts, history)
        device = facts.device
        if device.browser_major is not None and device.client is not None and device.family is not None:
            self._versions[_who(facts), device.client].append(device.browser_major)
            self._recent[device.family].append((_who(facts), device.browser_major))
        if device.rtt_ms is not None and facts.place.country is not None:
            x = log(max(device.rtt_ms, 0.1))
            self.rtt[facts.place.country].append(x)
            if history is not None and history.rtt_count and history.rtt_mean_log_ms is not None:
                self.rtt_pairs[facts.place.country].append((history.rtt_mean_log_ms, x))

    def _count(self, facts: Facts, history: SubjectHistory) -> None:
        if facts.network.ip is not None and history.known_ips:
            state = s.place_state(history, facts.network, facts.place)
            if state != s.UNTOLD:
                self.place[s.habit(history)][s.gap_class(history.last_confirmed_age_s or 0.0)][state] += 1
        client = s.client_state(history, facts.device) if history.known_families else None
        if client is not None:
            self.client[s.equipment(history)][client] += 1
            if client <= s.KNOWN_CLIENT:
                self._count_version(facts, history)

    def _count_version(self, facts: Facts, history: SubjectHistory) -> None:
        device, known = facts.device, history.client_major
        if known is None or device.browser_major is None or device.client is None or device.family is None:
            return
        self.drift[s.gap_class(history.client_age_s or 0.0)][s.step(device.browser_major - known)] += 1
        earlier = self._versions[_who(facts), device.client]
        if earlier:
            self.stale[s.step(self._random.choice(earlier) - known)] += 1
        others = self._recent[device.family]
        if others:
            who, version = others[self._random.randrange(len(others))]
            if who != _who(facts):
                self.stray[s.step(version - known)] += 1


def learn_tables(facts: Sequence[Facts], seed: int) -> Likelihood | None:
    """Learn the likelihood core's tables, with the default weights; None where too few attempts have a history."""
    counts = _Counts(seed)
    for attempt in _capped(facts):
        counts.take(attempt)
    if counts.settled < LEAST_SETTLED:
        return None
    place = counts.place
    everybody = _backed_off(_summed(row for by_gap in place for row in by_gap), None)
    by_gap = [_backed_off(_summed(habit[gap] for habit in place), everybody) for gap in range(GAP_CLASSES)]
    clients = _backed_off(_summed(counts.client), None)
    steps = _backed_off(_summed(counts.drift), None)
    os, least_os = _shares((_who(f), f.device.os_family) for f in facts)
    kind, least_kind = _shares((_who(f), f.device.kind) for f in facts)
    rtt = {c: (fmean(xs), max(0.05, pstdev(xs))) for c, xs in sorted(counts.rtt.items()) if len(xs) >= LEAST_RTTS}
    return Likelihood(
        place=tuple(tuple(_backed_off(row, by_gap[gap]) for gap, row in enumerate(habit)) for habit in place),
        client=tuple(_backed_off(row, clients) for row in counts.client),
        drift=tuple(_backed_off(row, steps, BACK_OFF / 4) for row in counts.drift),
        stray=_backed_off(counts.stray, (1 / STEPS,) * STEPS, 1.0),
        stale=_backed_off(counts.stale, (1 / STEPS,) * STEPS, 1.0),
        same_client=_same_clients(facts),
        os=os,
        kind=kind,
        least=min(least_os, least_kind, 1.0),
        address=_usual_address(facts),
        rtt=rtt,
        rtt_own=_rtt_own(counts, rtt),
    )


def _summed(rows: Iterable[Sequence[float]]) -> list[float]:
    return [sum(column) for column in zip(*rows, strict=True)]


def _backed_off(counts: Sequence[float], parent: Row | None, strength: float = BACK_OFF) -> Row:
    """Return shares, backed off to the parent's; without one a tenth of an attempt is added to each."""
    if parent is None:
        parent, strength = (1 / len(counts),) * len(counts), 0.1 * len(counts)
    total = sum(counts) + strength
    return tuple((count + strength * share) / total for count, share in zip(counts, parent, strict=True))


def _same_clients(facts: Iterable[Facts]) -> dict[str, float]:
    """By family: chance that two subjects' clients of it look alike."""
    pairs = {(_who(f), f.device.family, f.device.client) for f in facts if f.device.client is not None}
    of_family: dict[str, Counter[str]] = defaultdict(Counter)
    for _, family, client in sorted(pairs, key=str):
        if family is not None and client is not None:
            of_family[family][client] += 1
    return {
        family: sum(count * count for count in clients.values()) / clients.total() ** 2
        for family, clients in sorted(of_family.items())
    }


def _usual_address(facts: Iterable[Facts]) -> float:
    """Half the share that a subject's address has of its network's subjects, where few share it: most are new.

    Averaged over each subject's addresses first: one who has thousands has one say.
    """
    pairs = {(_who(f), f.network.key, f.network.ip) for f in facts if f.network.key is not None and f.network.ip}
    of_network = Counter(network for _, network in {(who, network) for who, network, _ in pairs})
    of_address = Counter((network, ip) for _, network, ip in pairs)
    shares: dict[str, list[float]] = defaultdict(list)
    for who, network, ip in sorted(pairs, key=str):
        if of_address[network, ip] < 3:
            shares[who].append(1 / of_network[network])
    return min(1.0, fmean(fmean(own) for own in shares.values()) / 2) if shares else 1e-3


def _rtt_own(counts: _Counts, usual: dict[str, tuple[float, float]]) -> float:
    """Share of the variance of ln(rtt) that lies between subjects: the covariance with a subject's earlier mean."""
    top = bottom = 0.0
    for country, pairs in counts.rtt_pairs.items():
        if country in usual:
            mean, deviation = usual[country]
            top += sum((before - mean) * (x - mean) for before, x in pairs)
            bottom += len(pairs) * deviation**2
    share = top / bottom if bottom else 0.0
    return min(share, 0.99) if share > LEAST_RTT_OWN else 0.0
