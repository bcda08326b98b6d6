"""Too much, too fast: bursts, guessing, spraying and sharing.

Most of it a stranger can cause from elsewhere, on anybody's account or address. So that nobody can be denied by what
others do, it weighs less (`familiar_strength`) on a device and network that are the subject's own of old: together
these signals then ask for a step-up, and do not deny.
"""

from riskd.signals.signal import signal


def _eased(strength: float, familiar: float, familiar_strength: float) -> float:
    """Strength of a hit, lower and never higher where it is explained by others' doing."""
    return strength * min(1.0, familiar_strength) if familiar > 0 else strength


@signal(weight=0.35)
def ip_churn(
    ips_5m: float,
    ips_1h: float,
    ips_24h: float,
    familiar: float,
    *,
    max_5m: float = 3.0,
    max_1h: float = 5.0,
    max_24h: float = 15.0,
    familiar_strength: float = 0.3,
) -> float:
    """The subject's attempts come from many addresses in a short time.

    False alarms: phones between cells and Wi-Fi, rotating carrier gateways; somebody else's guessing, seen from the
    subject's own device and network, which lowers the strength.
    """
    churns = ips_5m > max_5m or ips_1h > max_1h or ips_24h > max_24h
    return _eased(churns, familiar, familiar_strength)


@signal(weight=0.55)
def users_per_ip(
    subjects_on_ip_1h: float,
    subjects_on_ip_24h: float,
    confirmed_subjects_on_ip: float,
    familiar: float,
    *,
    max_1h: float = 8.0,
    max_24h: float = 20.0,
    learned_ratio: float = 1.5,
    max_learned: float = 200.0,
    familiar_strength: float = 0.3,
) -> float:
    """Many subjects attempt from one address.

    False alarms: an office or campus exit until it is learned: the limits rise to `learned_ratio` times the subjects
    that confirmed successes there, and to `max_learned` at most, as counts stop at 256. The subject's own device and
    network lower the strength.
    """
    learned = min(learned_ratio * confirmed_subjects_on_ip, max_learned)
    shared = subjects_on_ip_1h > max(max_1h, learned) or subjects_on_ip_24h > max(max_24h, learned)
    return _eased(shared, familiar, familiar_strength)


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
    familiar: float,
    *,
    max_5m: float = 20.0,
    max_1h: float = 60.0,
    max_24h: float = 100.0,
    familiar_strength: float = 0.3,
) -> float:
    """The subject attempts more than a person does.

    False alarms: a broken client that retries, a page that asks on every click; somebody else's guessing, seen from the
    subject's own device and network, which lowers the strength. Counts stop at 120: a higher limit is never passed.
    """
    bursts = attempts_5m > max_5m or attempts_1h > max_1h or attempts_24h > max_24h
    return _eased(bursts, familiar, familiar_strength)


@signal(weight=0.75)
def failed_logins(
    failures_10m: float,
    failures_1h: float,
    familiar: float,
    *,
    small: float = 3.0,
    medium: float = 6.0,
    high: float = 10.0,
    very_high: float = 15.0,
    familiar_strength: float = 0.7,
) -> float:
    """The subject's attempts failed repeatedly in a short time.

    False alarms: a forgotten password (small), a stale password in a mail client (medium); somebody else's guessing,
    seen from the subject's own device and network, which lowers the strength: a little only, since guessing may happen
    on that very device.
    """
    failures = max(failures_10m, failures_1h)
    if failures < small:
        return 0.0
    strength = 1.0 if failures >= very_high else 0.7 if failures >= high else 0.4 if failures >= medium else 0.15
    return _eased(strength, familiar, familiar_strength)


@signal(weight=0.50)
def distributed_failures(
    failures_1h: float,
    failure_ips_1h: float,
    familiar: float,
    *,
    min_ips: float = 4.0,
    familiar_strength: float = 0.3,
) -> float:
    """Attempts on one account fail from many addresses.

    False alarms: several own devices with one stale password; the account's owner, whose own device and network lower
    the strength.
    """
    distributed = failure_ips_1h >= min_ips and failures_1h >= failure_ips_1h
    return _eased(distributed, familiar, familiar_strength)


@signal(weight=0.70)
def password_spray(
    failed_subjects_on_ip_1h: float,
    failed_subjects_on_network_1h: float,
    confirmed_subjects_on_ip: float,
    confirmed_subjects_on_network: float,
    familiar: float,
    *,
    min_subjects_ip: float = 3.0,
    min_subjects_network: float = 30.0,
    learned_share: float = 0.3,
    familiar_strength: float = 0.3,
) -> float:
    """Attempts fail over many accounts from one address or network.

    False alarms: an office exit or a provider on a bad morning; the limits rise with the subjects that confirmed
    successes there. A sprayer's neighbours, too; the subject's own device and network lower the strength.
    """
    sprayed = failed_subjects_on_ip_1h >= max(
        min_subjects_ip, learned_share * confirmed_subjects_on_ip
    ) or failed_subjects_on_network_1h >= max(min_subjects_network, learned_share * confirmed_subjects_on_network)
    return _eased(sprayed, familiar, familiar_strength)


@signal(weight=0.45)
def success_after_failures(
    success_after_failures_hours: float, familiar: float, *, window_hours: float = 1.0, familiar_strength: float = 0.3
) -> float:
    """A login succeeded straight after a burst of failures.

    False alarms: a person who finally remembered the password, or who logged in amid somebody else's guessing; the
    subject's own device and network lower the strength.
    """
    return _eased(success_after_failures_hours <= window_hours, familiar, familiar_strength)


@signal(weight=0.50)
def sensitive_burst(sensitive_10m: float, *, medium: float = 3.0, high: float = 5.0, very_high: float = 10.0) -> float:
    """Sensitive actions follow each other fast.

    False alarms: an administrator on a maintenance day, a month-end payment run.
    """
    if sensitive_10m < medium:
        return 0.0
    return 1.0 if sensitive_10m >= very_high else 0.6 if sensitive_10m >= high else 0.25
