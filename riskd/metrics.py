"""Counts and latencies of one process: plain numbers, no I/O, no lock, no global registry.

A `Metrics` is built once and handed on. Its hot path is an attribute addition; text is made elsewhere, from a
`Snapshot`, and the snapshots of several workers add up through `merge`.

Every family holds at most `MAX_CHILDREN` label combinations, whatever a caller sends: those beyond share one child
whose labels are all `other`.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Generic, Literal, TypeVar

from msgspec import Struct

MAX_CHILDREN = 512
MAX_TOGETHER = 4096
"""Combinations of label values that are counted as one: below a megabyte."""
OTHER = "other"
SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the latency buckets: from a cached lookup (50 µs) to a missed deadline (1 s)."""

Kind = Literal["counter", "gauge_sum", "gauge_max", "histogram"]


class Sample(Struct, frozen=True, array_like=True):
    """One child at one moment."""

    labels: tuple[str, ...]
    value: float
    """The count or level; for a histogram the sum of what was observed."""
    counts: tuple[int, ...] = ()
    """Histogram only: observations per bucket, not cumulated, the last one above every bound."""


class FamilySnapshot(Struct, frozen=True):
    """One metric with all its children at one moment."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    bounds: tuple[float, ...] = ()


class Snapshot(Struct, frozen=True):
    """What one process counted, or several together."""

    families: tuple[FamilySnapshot, ...] = ()


class Count:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def inc(self, by: float = 1) -> None:
        """Add `by`, which must not be negative."""
        self.value += by


class Level:
    """A number that goes up and down."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def set(self, value: float) -> None:
        """Set the level."""
        self.value = value

    def inc(self, by: float = 1) -> None:
        """Raise the level, or lower it by a negative amount."""
        self.value += by


class Distribution:
    """How often values fell into each bucket, and their sum."""

    __slots__ = ("_bounds", "counts", "value")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.value: float = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value that occurred `times` times; a bucket holds what is at most its bound (Prometheus' `le`)."""
        self.counts[bisect_left(self._bounds, value)] += times
        self.value += value * times


Child = TypeVar("Child", Count, Level, Distribution)


class Family(Generic[Child]):
    """One metric and its children, one per combination of label values."""

    def __init__(self, kind: Kind, name: str, text: str, labels: tuple[str, ...], new: Callable[[], Child]) -> None:
        """`new` makes a child."""
        self.kind = kind
        self._new: Callable[[], Child] = new
        self.name = name
        self.text = text
        self.labels = labels
        self._children: dict[tuple[str, ...], Child] = {}

    def at(self, *values: str) -> Child:
        """Return the child for these label values, to be kept and used many times."""
        child = self._children.get(values)
        return child if child is not None else self._add(values)

    def _add(self, values: tuple[str, ...]) -> Child:
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {len(values)} values")
        if len(self._children) >= MAX_CHILDREN:
            values = (OTHER,) * len(values)
        return self._children.setdefault(values, self._new())

    def snapshot(self) -> FamilySnapshot:
        """Return every child's numbers; a child made meanwhile may be missing, none is torn."""
        samples = tuple(
            Sample(values, child.value, tuple(child.counts) if isinstance(child, Distribution) else ())
            for values, child in list(self._children.items())
        )
        return FamilySnapshot(self.name, self.kind, self.text, self.labels, samples)


class Counter(Family[Count]):
    """A family of counts; its name ends in `_total`."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = ()) -> None:
        super().__init__("counter", name, text, labels, Count)


class TogetherCounter(Counter):
    """Counts with one label, many of which grow at once, by combinations that come again and again.

    Counting a combination costs one look into a dictionary; those beyond `MAX_TOGETHER` are counted one by one.
    """

    def __init__(self, name: str, text: str, label: str) -> None:
        super().__init__(name, text, (label,))
        self._together: dict[tuple[str, ...], int] = {}

    def inc_all(self, values: tuple[str, ...]) -> None:
        """Add one to the count of each of these label values."""
        times = self._together.get(values)
        if times is not None:
            self._together[values] = times + 1
        elif len(self._together) < MAX_TOGETHER:
            self._together[values] = 1
        else:
            for value in values:
                self.at(value).inc()

    def snapshot(self) -> FamilySnapshot:
        """Return every value's count. Nothing is moved for it, so that it may be asked for in any thread."""
        whole = Counter(self.name, self.text, self.labels)
        for sample in super().snapshot().samples:
            whole.at(*sample.labels).inc(sample.value)
        for values, times in list(self._together.items()):
            for value in values:
                whole.at(value).inc(times)
        return whole.snapshot()


class Gauge(Family[Level]):
    """A family of levels, which several workers' snapshots either add (`sum`) or take the greatest of (`max`)."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = (), *, across: Literal["sum", "max"]) -> None:
        super().__init__("gauge_sum" if across == "sum" else "gauge_max", name, text, labels, Level)

    def only(self, *values: str) -> None:
        """Leave one child alone, at level 1: what is no longer so is no longer told."""
        child = Level()
        child.set(1)
        self._children = {values: child}


class Histogram(Family[Distribution]):
    """A family of distributions over the same ascending bounds."""

    def __init__(
        self, name: str, text: str, labels: tuple[str, ...] = (), *, bounds: tuple[float, ...] = SECONDS
    ) -> None:
        super().__init__("histogram", name, text, labels, lambda: Distribution(bounds))
        self.bounds = bounds

    def snapshot(self) -> FamilySnapshot:
        """Return every child's numbers together with the bounds."""
        plain = super().snapshot()
        return FamilySnapshot(plain.name, plain.kind, plain.text, plain.labels, plain.samples, self.bounds)


class Metrics:
    """Everything riskd counts."""

    def __init__(self) -> None:
        self.decisions = Counter("riskd_decisions_total", "Decisions by outcome and action.", ("outcome", "action"))
        self.signal_hits = Counter("riskd_signal_hits_total", "Hits by reason code.", ("code",))
        self.exempt_hits = Counter(
            "riskd_exempt_hits_total", "Hits that an exemption or allow list lifted, by reason code.", ("code",)
        )
        self.signal_errors = Counter("riskd_signal_errors_total", "Signals that failed, by reason code.", ("code",))
        self.breaker_trips = Counter("riskd_breaker_trips_total", "Signals that lost the power to deny.", ("code",))
        self.breaker_tripped = Gauge(
            "riskd_breaker_tripped", "Workers in which a signal steps up at most.", ("code",), across="sum"
        )
        self.shadow_signals = Counter(
            "riskd_shadow_signals_total", "What signals in shadow said: hit, clear, unknown, error.", ("code", "state")
        )
        self.shadow_decisions = Counter(
            "riskd_shadow_decisions_total",
            "Decisions judged beside, by the outcome obeyed and theirs.",
            ("outcome", "shadow"),
        )
        self.shadow_errors = Counter("riskd_shadow_errors_total", "Decisions that could not be judged beside.")
        self.anomaly_scores = Histogram(
            "riskd_anomaly_score",
            "Anomaly scores; of honest attempts 10 % are above 0.9, 1 % above 0.99 and 0.1 % above 0.999.",
            bounds=(0.5, 0.9, 0.99, 0.999),
        )
        self.scores = Histogram(
            "riskd_score", "Scores of decisions, 0 to 100.", bounds=(10, 20, 30, 40, 50, 60, 70, 80, 90)
        )
        self.unknown_signals = TogetherCounter(
            "riskd_signals_unknown_total", "Signals that could not tell, for want of a fact, by reason code.", "code"
        )
        self.stage_seconds = Histogram("riskd_stage_seconds", "Time a decision spends in each stage.", ("stage",))
        self.store_failures = Counter("riskd_store_failures_total", "Store calls that failed, by kind.", ("kind",))
        self.held_entries = Gauge(
            "riskd_list_entries", "Entries of lists in the store as a worker knows them.", ("list",), across="max"
        )
        self.record_written = Counter("riskd_record_written_total", "Records that reached the log.")
        self.record_dropped = Counter("riskd_record_dropped_total", "Records lost; accepted = written + dropped.")
        self.record_failures = Counter("riskd_record_failures_total", "Why records were lost.", ("kind",))
        self.record_slow = Counter("riskd_record_slow_total", "Writes to the log that took longer than 25 ms.")
        self.degraded = Counter("riskd_degraded_total", "Decisions made without a source, by source.", ("source",))
        self.outcomes = Counter("riskd_outcomes_total", "Outcomes reported, by outcome.", ("outcome",))
        self.refused = Counter("riskd_requests_refused_total", "Requests answered 4xx or 5xx, by status.", ("status",))
        self.in_flight = Gauge("riskd_requests_in_flight", "Requests being answered.", across="sum")
        self.load_errors = Counter(
            "riskd_config_load_errors_total",
            "Files that could not be taken over while serving, by part: policy, model, candidates, keys, databases.",
            ("part",),
        )
        self.workers = Gauge("riskd_workers", "Workers by what they judge by.", ("policy", "model"), across="sum")
        self.info = Gauge("riskd_info", "What is running; always 1.", ("version", "policy", "model"), across="max")
        self._anomaly_scores, self._scores = self.anomaly_scores.at(), self.scores.at()
        self.actions: frozenset[str] = frozenset()
        """The action names that the policy knows; every other name is counted as `other`."""

    def decided(self, outcome: str, action: str) -> None:
        """Count one decision."""
        self.decisions.at(outcome, action if action in self.actions else OTHER).inc()

    def scored(self, anomaly: float | None, score: float, unknown: tuple[str, ...]) -> None:
        """Count what a decision was made from: half a microsecond."""
        if anomaly is not None:
            self._anomaly_scores.observe(anomaly)
        self._scores.observe(score)
        self.unknown_signals.inc_all(unknown)

    def snapshot(self) -> Snapshot:
        """Return all numbers as they are now, in the order in which the families are declared."""
        families = (family for family in vars(self).values() if isinstance(family, Family))
        return Snapshot(tuple(family.snapshot() for family in families))


def merge(living: Iterable[Snapshot], departed: Iterable[Snapshot] = ()) -> Snapshot:
    """Add up the snapshots of several processes.

    Counts of `departed` processes stay in the sum, so that no counter falls when a worker ends; their levels do not.
    A family whose labels or bounds differ from the first one seen (another release) is left out.
    """
    merged: dict[str, tuple[FamilySnapshot, dict[tuple[str, ...], Sample]]] = {}
    for is_living, snapshots in ((True, living), (False, departed)):
        for snapshot in snapshots:
            for family in snapshot.families:
                if not is_living and family.kind.startswith("gauge"):
                    continue
                first, samples = merged.setdefault(family.name, (family, {}))
                if (family.kind, family.labels, family.bounds) == (first.kind, first.labels, first.bounds):
                    for sample in family.samples:
                        known = samples.get(sample.labels)
                        samples[sample.labels] = _add(family.kind, known, sample) if known else sample
    return Snapshot(
        tuple(
            FamilySnapshot(first.name, first.kind, first.text, first.labels, tuple(samples.values()), first.bounds)
            for first, samples in merged.values()
        )
    )


def _add(kind: Kind, one: Sample, other: Sample) -> Sample:
    value = max(one.value, other.value) if kind == "gauge_max" else one.value + other.value
    counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
    return Sample(one.labels, value, counts)
