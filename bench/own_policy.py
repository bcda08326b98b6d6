"""Signals and velocities of the kind that people write into their policies, for the benches that ask what they cost."""

import json
from typing import Any

from riskd.policy.load import SHIPPED

ATTRIBUTES: dict[str, tuple[str, Any]] = {
    "plan": ("text", "free"),
    "items": ("number", 3),
    "gift": ("flag", False),
    "channel": ("text", "mobile_app"),
    "basket": ("number", 129.5),
}
WHEN = (
    'attributes.plan == "free" && attributes.basket > 500.0',
    'attributes.plan in ["free", "trial"] && features.account_age_days < 1.0',
    "attributes.items > 20.0 || attributes.basket / attributes.items > 250.0",
    'attributes.channel.startsWith("tv") && device.kind in ["desktop", "mobile"]',
    'attributes.gift && attributes.basket > 100.0 && attributes.plan == "free"',
    "features.attempts_5m > 10.0 && features.ips_5m > 3.0",
    'device.os_family == "Linux" && device.browser_family == "Firefox" && time.hour < 6.0',
    'place.country in ["KP", "IR", "SY", "CU"]',
    'network.kind == "hosting" && device.kind != "desktop"',
    "time.weekday > 5.0 && time.hour >= 22.0",
    "subject.account_age_days < 30.0 && features.attempts_24h > 20.0",
    'action.path.startsWith("/auth/") && action.method != "POST"',
    "device.screen_width * device.screen_height < 100000.0",
    'device.language == "de" && place.country in ["CN", "BR", "IN"]',
    "features.failures_10m > 3.0 && features.failures_1h < 5.0",
    "history.known_devices > 5.0 && history.known_countries > 3.0",
    "device.browser_major < 100.0",
    "address_counts.subjects_24h > 50.0 && network.asn in [64496.0, 64511.0]",
    "!(device.rtt_ms < 400.0) && !device.bot",
    'device.platform_os_family != device.os_family && device.kind == "mobile"',
    "features.subjects_on_ip_1h > 10.0 && features.confirmed_subjects_on_ip < 2.0",
    'attributes.channel.contains("kiosk") || attributes.channel == "branch"',
    'attributes.channel.matches("^(ivr|fax)[0-9]*$")',
    "device.utc_offset_minutes > 600.0 || device.utc_offset_minutes < -600.0",
    "features.network_rarity_nats > 9.0 && features.family_rarity_nats > 6.0",
    'subject.type == "user" && features.account_age_days < 7.0 && attributes.basket > 1000.0',
    'network.organization.contains("VPN")',
    "history.attempts_5m > 15.0 || history.attempts_1h > 60.0",
    "size(attributes.channel) > 40",
    "int(attributes.items) % 7 == 6 && attributes.basket > 50.0",
)
"""Thirty signals of the kind that people write."""


VELOCITIES = (
    {"name": "attempts_on_ip_1h", "count": "attempts", "per": "ip", "window": "1h"},
    {"name": "attempts_on_device_10m", "count": "attempts", "per": "device", "window": "10m"},
    {"name": "attempts_of_subject_7d", "count": "attempts", "per": "subject", "window": "7d"},
    {"name": "attempts_on_channel_1m", "count": "attempts", "per": "attributes.channel", "window": "1m"},
    {"name": "basket_of_subject_24h", "sum": "attributes.basket", "per": "subject", "window": "24h"},
    {"name": "items_on_device_24h", "sum": "attributes.items", "per": "device", "window": "24h"},
    {"name": "devices_of_subject_24h", "distinct": "device", "per": "subject", "window": "24h"},
    {"name": "countries_of_subject_2d", "distinct": "country", "per": "subject", "window": "2d"},
    {"name": "plans_on_ip_1h", "distinct": "attributes.plan", "per": "ip", "window": "1h"},
    {"name": "subjects_on_network_1m", "distinct": "subject", "per": "network", "window": "1m"},
)
"""Ten velocities; each gets a limit, and so a signal."""

VALUES = {name: value for name, (_, value) in ATTRIBUTES.items()}
"""What a request sends: all of them, so that no signal is spared as unknown."""


def own_policy(*, signals: bool, velocities: bool) -> bytes:
    """Return the default policy with the attributes declared, and with the thirty and the ten where they are wanted."""
    more: dict[str, Any] = {"attributes": {name: kind for name, (kind, _) in ATTRIBUTES.items()}}
    if signals:
        more["custom_signals"] = [
            {"code": f"own_{number}", "when": when, "weight": 0.05, "text": "One of thirty."}
            for number, when in enumerate(WHEN)
        ]
    if velocities:
        more["velocities"] = [{**velocity, "limit": 1e9} for velocity in VELOCITIES]
    written = "\n".join(f"{name}: {json.dumps(value)}" for name, value in more.items())
    return (SHIPPED / "default.yaml").read_bytes() + b"\n" + written.encode() + b"\n"
