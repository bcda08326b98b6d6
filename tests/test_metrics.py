"""Counting, and adding up what several processes counted."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.metrics import (
    MAX_CHILDREN,
    MAX_TOGETHER,
    OTHER,
    Counter,
    FamilySnapshot,
    Gauge,
    Histogram,
    Metrics,
    Snapshot,
    TogetherCounter,
    merge,
)


def value(snapshot: Snapshot, name: str, *labels: str) -> float:
    """Return one number of a snapshot."""
    (family,) = (family for family in snapshot.families if family.name == name)
    (sample,) = (sample for sample in family.samples if sample.labels == labels)
    return sample.value


def test_a_child_is_the_same_each_time() -> None:
    """A child may be kept: it counts into its family."""
    counter = Counter("c_total", "C.", ("kind",))
    child = counter.at("late")
    child.inc()
    child.inc(2)
    assert counter.at("late") is child
    assert counter.snapshot().samples[0].value == 3


def test_the_wrong_number_of_labels_is_refused() -> None:
    """A child needs a value for each label."""
    with pytest.raises(ValueError, match="has the labels"):
        Counter("c_total", "C.", ("kind",)).at()


def test_children_are_bounded() -> None:
    """Whatever labels callers send, a family stays small; the surplus is counted as `other`."""
    counter = Counter("c_total", "C.", ("one", "two"))
    for number in range(MAX_CHILDREN + 500):
        counter.at(str(number), "x").inc()
    samples = counter.snapshot().samples
    assert len(samples) == MAX_CHILDREN + 1
    assert samples[-1].labels == (OTHER, OTHER)
    assert samples[-1].value == 500


def test_actions_that_the_policy_does_not_know_are_one() -> None:
    """The action label takes the policy's names only."""
    metrics = Metrics()
    metrics.actions = frozenset({"login"})
    for action in ("login", "hunter2", "'; drop"):
        metrics.decided("deny", action)
    assert metrics.decisions.at("deny", "login").value == 1
    assert metrics.decisions.at("deny", OTHER).value == 2


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(-1.0, 0), (0.0, 0), (0.1, 0), (0.100001, 1), (1.0, 1), (2.0, 2), (float("inf"), 2)]
)
def test_a_bucket_holds_what_is_at_most_its_bound(seconds: float, bucket: int) -> None:
    """Bounds belong to the bucket below them, as Prometheus counts."""
    histogram = Histogram("h_seconds", "H.", bounds=(0.1, 1.0))
    histogram.at().observe(seconds)
    assert histogram.at().counts.index(1) == bucket


@given(st.lists(st.integers(0, 2_000), max_size=50), st.integers(1, 4))
def test_snapshots_of_workers_add_up(observed: list[int], workers: int) -> None:
    """Dealt out over workers, sent through JSON and merged, the numbers are those of one process."""
    alone, team = Metrics(), [Metrics() for _ in range(workers)]
    for number, milliseconds in enumerate(observed):
        for metrics in (alone, team[number % workers]):
            metrics.decided("allow", "login")
            metrics.degraded.at(f"source{milliseconds % 3}").inc()
            metrics.stage_seconds.at("store").observe(milliseconds / 1024)
            metrics.scored(milliseconds / 2048, milliseconds % 101, (f"s{milliseconds % 5}",))
    sent = [msgspec.json.decode(msgspec.json.encode(each.snapshot()), type=Snapshot) for each in team]

    assert msgspec.to_builtins(sort(merge(sent))) == msgspec.to_builtins(sort(alone.snapshot()))


def test_what_a_decision_was_made_from_is_counted() -> None:
    """Scores fall into their buckets, no model counts nowhere, and unknown signals count by code at every snapshot."""
    metrics = Metrics()
    metrics.scored(0.95, 12.0, ("new_device", "new_country"))
    metrics.scored(0.9995, 80.0, ("new_device",))
    metrics.snapshot()
    metrics.scored(None, 0.0, ("new_device",))
    found = {family.name: family for family in metrics.snapshot().families}
    (anomaly,) = found["riskd_anomaly_score"].samples
    assert (anomaly.counts, anomaly.value) == ((0, 0, 1, 0, 1), pytest.approx(1.9495))
    (score,) = found["riskd_score"].samples
    assert sum(score.counts) == 3
    assert value(metrics.snapshot(), "riskd_signals_unknown_total", "new_device") == 3
    assert value(metrics.snapshot(), "riskd_signals_unknown_total", "new_country") == 1


def test_counts_that_grow_together_are_right_in_bounded_memory() -> None:
    """However many combinations and values come, few are held, all combinations count, and surplus values are one."""
    counter = TogetherCounter("c_total", "C.", "code")
    for number in range(2 * MAX_TOGETHER):
        counter.inc_all(tuple(f"s{bit}" for bit in range(13) if number >> bit & 1))
    for number in range(2 * MAX_CHILDREN):
        counter.inc_all((f"rare{number}",))
    counts = {sample.labels: sample.value for sample in counter.snapshot().samples}
    assert len(counter._together) == MAX_TOGETHER
    assert len(counts) <= MAX_CHILDREN + 1
    assert counts["s0",] == counts["s12",] == MAX_TOGETHER
    assert counts[OTHER,] > 0
    assert sum(counts.values()) == 13 * MAX_TOGETHER + 2 * MAX_CHILDREN


def sort(snapshot: Snapshot) -> list[FamilySnapshot]:
    """Return the families with their samples in the order of their labels."""
    return [
        msgspec.structs.replace(family, samples=tuple(sorted(family.samples, key=lambda sample: sample.labels)))
        for family in snapshot.families
    ]


def test_counts_of_a_worker_that_ended_stay_and_its_levels_go() -> None:
    """No counter falls when a worker is replaced, and nobody waits for the requests it had in flight."""
    living, ended = Metrics(), Metrics()
    for metrics in (living, ended):
        metrics.outcomes.at("login_failed").inc(2)
        metrics.in_flight.at().set(3)
        metrics.in_flight.at().inc(-1)
        metrics.info.at("0.1.0", "5be1", "none").set(1)
    merged = merge([living.snapshot()], [ended.snapshot()])
    assert value(merged, "riskd_outcomes_total", "login_failed") == 4
    assert value(merged, "riskd_requests_in_flight") == 2
    both = merge([living.snapshot(), ended.snapshot()])
    assert value(both, "riskd_requests_in_flight") == 4
    assert value(both, "riskd_info", "0.1.0", "5be1", "none") == 1


def test_a_family_of_another_release_is_left_out() -> None:
    """Buckets or labels that differ cannot be added; the first worker's stand."""
    one = Histogram("h", "H.", bounds=(0.1,))
    other = Histogram("h", "H.", bounds=(0.1, 0.2))
    relabelled = Gauge("h", "H.", ("kind",), across="sum")
    one.at().observe(1)
    other.at().observe(2)
    relabelled.at("x").set(4)
    merged = merge(Snapshot((family.snapshot(),)) for family in (one, other, relabelled))
    assert value(merged, "h") == 1
    assert len(merged.families) == 1


def test_every_name_is_what_dashboards_know() -> None:
    """Metric names and labels are public: they change on purpose only."""
    names = {family.name: family.labels for family in Metrics().snapshot().families}
    assert names == {
        "riskd_decisions_total": ("outcome", "action"),
        "riskd_signal_hits_total": ("code",),
        "riskd_exempt_hits_total": ("code",),
        "riskd_signal_errors_total": ("code",),
        "riskd_breaker_trips_total": ("code",),
        "riskd_breaker_tripped": ("code",),
        "riskd_shadow_signals_total": ("code", "state"),
        "riskd_shadow_decisions_total": ("outcome", "shadow"),
        "riskd_shadow_errors_total": (),
        "riskd_anomaly_score": (),
        "riskd_score": (),
        "riskd_signals_unknown_total": ("code",),
        "riskd_stage_seconds": ("stage",),
        "riskd_store_failures_total": ("kind",),
        "riskd_list_entries": ("list",),
        "riskd_record_written_total": (),
        "riskd_record_dropped_total": (),
        "riskd_record_failures_total": ("kind",),
        "riskd_record_slow_total": (),
        "riskd_degraded_total": ("source",),
        "riskd_outcomes_total": ("outcome",),
        "riskd_requests_refused_total": ("status",),
        "riskd_requests_in_flight": (),
        "riskd_config_load_errors_total": ("part",),
        "riskd_workers": ("policy", "model"),
        "riskd_info": ("version", "policy", "model"),
    }
