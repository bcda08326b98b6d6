"""`/metrics`: the merged snapshots of all workers in Prometheus' text format."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

from riskd.metrics import FamilySnapshot, Snapshot

__all__ = ["CONTENT_TYPE", "render"]


def render(snapshot: Snapshot) -> bytes:
    """Return the text that a Prometheus server scrapes; its media type is `CONTENT_TYPE`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(snapshot))
    return generate_latest(registry)


class _Numbers(Collector):
    """Hands one snapshot to prometheus_client."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield each family once."""
        return map(_metric, self._snapshot.families)

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: the registry holds this collector alone, so no name can clash."""
        return iter(())


def _metric(family: FamilySnapshot) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.text, labels=family.labels)
        bounds = [*map(str, family.bounds), "+Inf"]
        for sample in family.samples:
            cumulated = list(zip(bounds, map(float, accumulate(sample.counts)), strict=True))
            histogram.add_metric(sample.labels, buckets=cumulated, sum_value=sample.value)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.text, labels=family.labels)
    for sample in family.samples:
        metric.add_metric(sample.labels, sample.value)
    return metric
