"""`/metrics` speaks Prometheus' text format."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from riskd.http.metrics import CONTENT_TYPE, render
from riskd.metrics import Metrics, Snapshot, merge


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Parse as a Prometheus server does."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_what_is_counted_is_rendered() -> None:
    """Counters, histograms and gauges of two workers come out added up, under their own names."""
    workers = Metrics(), Metrics()
    for metrics in workers:
        metrics.actions = frozenset({"login"})
        metrics.decided("step_up", "login")
        metrics.record_written.at().inc(5)
        metrics.in_flight.at().set(2)
        for seconds in (0.00004, 0.0003, 5.0):
            metrics.stage_seconds.at("store").observe(seconds)
    got = samples(render(merge(metrics.snapshot() for metrics in workers)))
    login = frozenset({("outcome", "step_up"), ("action", "login")})
    assert got["riskd_decisions_total", login] == 2
    assert got["riskd_record_written_total", frozenset()] == 10
    assert got["riskd_requests_in_flight", frozenset()] == 4
    store = ("stage", "store")
    assert got["riskd_stage_seconds_bucket", frozenset({store, ("le", "5e-05")})] == 2
    assert got["riskd_stage_seconds_bucket", frozenset({store, ("le", "0.0005")})] == 4
    assert got["riskd_stage_seconds_bucket", frozenset({store, ("le", "+Inf")})] == 6
    assert got["riskd_stage_seconds_count", frozenset({store})] == 6
    assert got["riskd_stage_seconds_sum", frozenset({store})] == pytest.approx(10.00068)


def test_labels_cannot_forge_a_line() -> None:
    """Quotes, newlines and backslashes in a label stay inside it."""
    metrics = Metrics()
    evil = 'x"} 1\nriskd_record_dropped_total 99\\'
    metrics.degraded.at(evil).inc()
    got = samples(render(metrics.snapshot()))
    assert got["riskd_degraded_total", frozenset({("source", evil)})] == 1
    assert ("riskd_record_dropped_total", frozenset()) not in got


def test_nothing_counted_yet_is_valid() -> None:
    """A fresh process, and no process at all, render without a count."""
    assert set(samples(render(Metrics().snapshot())).values()) <= {0.0}
    assert render(Snapshot()) == b""
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
