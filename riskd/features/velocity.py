"""How often: counts per window, the window in the name. The present attempt is counted."""

from riskd.facts import Facts
from riskd.features.feature import feature, signal_feature


@feature
def attempts_5m(facts: Facts) -> float | None:
    """Attempts of the subject in five minutes."""
    return None if facts.history is None else float(facts.history.attempts_5m)


@feature
def attempts_1h(facts: Facts) -> float | None:
    """Attempts of the subject in one hour."""
    return None if facts.history is None else float(facts.history.attempts_1h)


@signal_feature
def attempts_24h(facts: Facts) -> float | None:
    """Attempts of the subject in 24 hours."""
    return None if facts.history is None else float(facts.history.attempts_24h)


@feature
def ips_5m(facts: Facts) -> float | None:
    """Distinct addresses of the subject in five minutes."""
    return None if facts.history is None else float(facts.history.ips_5m)


@feature
def ips_1h(facts: Facts) -> float | None:
    """Distinct addresses of the subject in one hour."""
    return None if facts.history is None else float(facts.history.ips_1h)


@signal_feature
def ips_24h(facts: Facts) -> float | None:
    """Distinct addresses of the subject in 24 hours."""
    return None if facts.history is None else float(facts.history.ips_24h)


@feature
def failures_10m(facts: Facts) -> float | None:
    """Failures of the subject in ten minutes."""
    return None if facts.history is None else float(facts.history.failures_10m)


@feature
def failures_1h(facts: Facts) -> float | None:
    """Failures of the subject in one hour."""
    return None if facts.history is None else float(facts.history.failures_1h)


@signal_feature
def failure_ips_1h(facts: Facts) -> float | None:
    """Distinct addresses among the subject's failures of one hour."""
    return None if facts.history is None else float(facts.history.failure_ips_1h)


@feature
def sensitive_10m(facts: Facts) -> float | None:
    """Sensitive actions of the subject in ten minutes."""
    return None if facts.history is None else float(facts.history.sensitive_10m)


@signal_feature
def subjects_on_ip_1h(facts: Facts) -> float | None:
    """Distinct subjects on the address in one hour."""
    return None if facts.address_counts is None else float(facts.address_counts.subjects_1h)


@signal_feature
def subjects_on_ip_24h(facts: Facts) -> float | None:
    """Distinct subjects on the address in 24 hours."""
    return None if facts.address_counts is None else float(facts.address_counts.subjects_24h)


@signal_feature
def confirmed_subjects_on_ip(facts: Facts) -> float | None:
    """Distinct subjects with a confirmed success on the address in 30 days; an office exit has many."""
    return None if facts.address_counts is None else float(facts.address_counts.confirmed_subjects)


@signal_feature
def failures_on_ip_1h(facts: Facts) -> float | None:
    """Failures on the address in one hour, over all subjects."""
    return None if facts.address_counts is None else float(facts.address_counts.failures_1h)


@signal_feature
def failed_subjects_on_ip_1h(facts: Facts) -> float | None:
    """Distinct subjects that failed on the address in one hour."""
    return None if facts.address_counts is None else float(facts.address_counts.failed_subjects_1h)


@signal_feature
def failed_subjects_on_network_1h(facts: Facts) -> float | None:
    """Distinct subjects that failed on the network in one hour."""
    return None if facts.network_counts is None else float(facts.network_counts.failed_subjects_1h)


@signal_feature
def confirmed_subjects_on_network(facts: Facts) -> float | None:
    """Distinct subjects with a confirmed success on the network in 30 days."""
    return None if facts.network_counts is None else float(facts.network_counts.confirmed_subjects)


@signal_feature
def subjects_on_device_24h(facts: Facts) -> float | None:
    """Distinct subjects on the device id in 24 hours."""
    return None if facts.device_counts is None else float(facts.device_counts.subjects_24h)


@signal_feature
def subjects_on_device_30d(facts: Facts) -> float | None:
    """Distinct subjects on the device id in 30 days."""
    return None if facts.device_counts is None else float(facts.device_counts.subjects_30d)
