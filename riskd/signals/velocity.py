"""Too much, too fast: bursts, guessing, spraying and sharing."""

from riskd.signals.signal import signal


@signal(weight=0.35)
def ip_churn(
    ips_5m: float, ips_1h: float, ips_24h: float, *, max_5m: float = 3.0, max_1h: float = 5.0, max_24h: float = 15.0
) -> bool:
    """The subject's attempts come from many addresses in a short time.

    False alarms: phones between cells and Wi-Fi, rotating carrier gateways.
    """
    return ips_5m > max_5m or ips_1h > max_1h or ips_24h > max_24h


@signal(weight=0.55)
def users_per_ip(
    subjects_on_ip_1h: float,
    subjects_on_ip_24h: float,
    confirmed_subjects_on_ip: float,
    *,
    max_1h: float = 8.0,
    max_24h: float = 20.0,
    learned_ratio: float = 1.5,
) -> bool:
    """Many subjects attempt from one address.

    False alarms: an office or campus exit until it is learned: the limits rise to `learned_ratio` times the subjects
    that confirmed successes there.
    """
    learned = learned_ratio * confirmed_subjects_on_ip
    return subjects_on_ip_1h > max(max_1h, learned) or subjects_on_ip_24h > max(max_24h, learned)


@signal(weight=0.45)
def users_per_device(
    subjects_on_device_24h: float, subjects_on_device_30d: float, *, max_24h: float = 4.0, max_30d: float = 10.0
) -> bool:
    """Many subjects attempt from one device.

    False alarms: a family tablet, a shared kiosk.
    """
    return subjects_on_device_24h > max_24h or subjects_on_device_30d > max_30d


@signal(weight=0.30)
def event_burst(
    attempts_5m: float,
    attempts_1h: float,
    attempts_24h: float,
    *,
    max_5m: float = 20.0,
    max_1h: float = 60.0,
    max_24h: float = 120.0,
) -> bool:
    """The subject attempts more than a person does.

    False alarms: a broken client that retries, a page that asks on every click.
    """
    return attempts_5m > max_5m or attempts_1h > max_1h or attempts_24h > max_24h


@signal(weight=0.75)
def failed_logins(
    failures_10m: float,
    failures_1h: float,
    *,
    small: float = 3.0,
    medium: float = 6.0,
    high: float = 10.0,
    very_high: float = 15.0,
) -> float:
    """The subject's attempts failed repeatedly in a short time.

    False alarms: a forgotten password (small), a stale password in a mail client (medium).
    """
    failures = max(failures_10m, failures_1h)
    if failures < small:
        return 0.0
    return 1.0 if failures >= very_high else 0.7 if failures >= high else 0.4 if failures >= medium else 0.15


@signal(weight=0.50)
def distributed_failures(failures_1h: float, failure_ips_1h: float, *, min_ips: float = 4.0) -> bool:
    """Attempts on one account fail from many addresses.

    False alarms: several own devices with one stale password.
    """
    return failure_ips_1h >= min_ips and failures_1h >= failure_ips_1h


@signal(weight=0.70)
def password_spray(
    failed_subjects_on_ip_1h: float,
    failed_subjects_on_network_1h: float,
    confirmed_subjects_on_ip: float,
    confirmed_subjects_on_network: float,
    *,
    min_subjects_ip: float = 3.0,
    min_subjects_network: float = 30.0,
    learned_share: float = 0.3,
) -> bool:
    """Attempts fail over many accounts from one address or network.

    False alarms: an office exit or a provider on a bad morning; the limits rise with the subjects that confirmed
    successes there.
    """
    return failed_subjects_on_ip_1h >= max(
        min_subjects_ip, learned_share * confirmed_subjects_on_ip
    ) or failed_subjects_on_network_1h >= max(min_subjects_network, learned_share * confirmed_subjects_on_network)


@signal(weight=0.45)
def success_after_failures(success_after_failures_hours: float, *, window_hours: float = 1.0) -> bool:
    """A login succeeded straight after a burst of failures.

    False alarms: a person who finally remembered the password.
    """
    return success_after_failures_hours <= window_hours


@signal(weight=0.50)
def sensitive_burst(sensitive_10m: float, *, medium: float = 3.0, high: float = 5.0, very_high: float = 10.0) -> float:
    """Sensitive actions follow each other fast.

    False alarms: an administrator on a maintenance day, a month-end payment run.
    """
    if sensitive_10m < medium:
        return 0.0
    return 1.0 if sensitive_10m >= very_high else 0.6 if sensitive_10m >= high else 0.25
