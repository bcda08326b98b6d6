"""The bounds of the store's sets leave room for every default limit of the velocity signals."""

from riskd.signals import SIGNALS
from riskd.store import Store
from tests.store.story import NOW, Value, attempt, report

FULL = 300
"""More than any set holds."""
NO_COUNTS = ("_ratio", "_share", "_strength", "_hours")
"""Ends of the names of knobs that are no number of members."""


async def test_full_sets_exceed_every_default_limit(store: Store) -> None:
    """After a flood each velocity is above all default limits that it is compared with."""
    for number in range(FULL):
        own: dict[str, Value] = {"address": f"a{number}", "network": "flood", "sensitive": True}
        await report(store, await store.observe(attempt(NOW + number / 10, **own)), "login_failed")
        crowd: dict[str, Value] = {"subject": f"s{number}", "address": "door", "network": "flood", "device": "kiosk"}
        await report(store, await store.observe(attempt(NOW + number / 10, **crowd)), "login_failed")
    own = {"address": "door", "network": "flood", "device": "kiosk", "sensitive": True}
    seen = await store.observe(attempt(NOW + FULL / 10, **own))
    assert seen.history is not None
    assert seen.address_counts is not None
    assert seen.network_counts is not None
    assert seen.device_counts is not None
    history, address, device = seen.history, seen.address_counts, seen.device_counts
    counts = {
        "ip_churn": {"max_5m": history.ips_5m, "max_1h": history.ips_1h, "max_24h": history.ips_24h},
        "event_burst": {
            "max_5m": history.attempts_5m,
            "max_1h": history.attempts_1h,
            "max_24h": history.attempts_24h,
        },
        "users_per_ip": {
            "max_1h": address.subjects_1h,
            "max_24h": address.subjects_24h,
            "max_learned": address.subjects_1h,
        },
        "users_per_device": {"max_24h": device.subjects_24h, "max_30d": device.subjects_30d},
        "failed_logins": dict.fromkeys(("small", "medium", "high", "very_high"), history.failures_10m),
        "distributed_failures": {"min_ips": history.failure_ips_1h},
        "password_spray": {
            "min_subjects_ip": address.failed_subjects_1h,
            "min_subjects_network": seen.network_counts.failed_subjects_1h,
        },
        "sensitive_burst": dict.fromkeys(("medium", "high", "very_high"), history.sensitive_10m),
    }
    velocity = [signal for signal in SIGNALS.values() if signal.family == "velocity"]
    assert velocity
    for signal in velocity:
        limits = {knob: value for knob, value in signal.knobs.items() if not knob.endswith(NO_COUNTS)}
        held = counts.get(signal.code, {})
        assert limits.keys() == held.keys(), signal.code
        assert all(held[knob] > limit for knob, limit in limits.items()), (signal.code, held, limits)
