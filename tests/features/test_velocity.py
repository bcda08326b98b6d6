"""Counts per window."""

import pytest

from riskd.features import FEATURES
from tests.attempts import attempt, history

OF_THE_SUBJECT = {
    "attempts_5m", "attempts_1h", "attempts_24h", "ips_5m", "ips_1h", "ips_24h", "failures_10m", "failures_1h",
    "failure_ips_1h", "sensitive_10m",
}  # fmt: skip
ON_THE_REST = {
    "subjects_on_ip_1h": ("address_counts", "subjects_1h"),
    "subjects_on_ip_24h": ("address_counts", "subjects_24h"),
    "confirmed_subjects_on_ip": ("address_counts", "confirmed_subjects"),
    "failures_on_ip_1h": ("address_counts", "failures_1h"),
    "failed_subjects_on_ip_1h": ("address_counts", "failed_subjects_1h"),
    "failed_subjects_on_network_1h": ("network_counts", "failed_subjects_1h"),
    "confirmed_subjects_on_network": ("network_counts", "confirmed_subjects"),
    "subjects_on_device_24h": ("device_counts", "subjects_24h"),
    "subjects_on_device_30d": ("device_counts", "subjects_30d"),
}


@pytest.mark.parametrize("name", sorted(OF_THE_SUBJECT))
def test_counts_of_the_subject(name: str) -> None:
    """A count of the subject is the store's number of the same name, unknown without history."""
    assert FEATURES[name].compute(attempt(history=history(**{name: 7}))) == 7.0
    assert FEATURES[name].compute(attempt(history=history())) == 0.0
    assert FEATURES[name].compute(attempt()) is None


@pytest.mark.parametrize("name", sorted(ON_THE_REST))
def test_counts_on_address_network_and_device(name: str) -> None:
    """A count over all subjects is the store's number, unknown while the store says nothing."""
    group, number = ON_THE_REST[name]
    assert FEATURES[name].compute(attempt(**{group: {number: 7}})) == 7.0
    assert FEATURES[name].compute(attempt(**{group: {}})) == 0.0
    assert FEATURES[name].compute(attempt()) is None


def test_every_count_is_tested() -> None:
    """Every feature of the family stands in one of the two lists."""
    declared = {f.name for f in FEATURES.values() if f.compute.__module__ == "riskd.features.velocity"}
    assert declared == OF_THE_SUBJECT | set(ON_THE_REST)
