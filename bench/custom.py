"""What a policy's own signals and velocities add to a decision: `python bench/custom.py` decides with and without.

Every request carries all attributes, so that no signal is spared as unknown. A decision is everything but HTTP and the
store's own process: enrich, round trip, judge, record, sixteen at a time as the service does under load. What the
store's process spends is told beside it.
"""

import asyncio
import json
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from attempts import Attempts

from riskd.app.parts import open_parts, store_url
from riskd.cli.root import settings
from riskd.contract import DecideRequest
from riskd.engine import Call, Engine
from riskd.evaluation import evaluate_all
from riskd.facts import Facts
from riskd.metrics import Metrics
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load, parse
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord
from riskd.store.upkeep import connect

TOGETHER, ATTEMPTS, ROUNDS = 16, 2_048, 9
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


def with_own(expressions: tuple[str, ...], velocities: tuple[dict[str, str], ...]) -> Policy:
    """Return the default policy with a signal for each expression, and with velocities."""
    more = {
        "attributes": {name: kind for name, (kind, _) in ATTRIBUTES.items()},
        "custom_signals": [
            {"code": f"own_{number}", "when": when, "weight": 0.05, "text": "One of thirty."}
            for number, when in enumerate(expressions)
        ],
        "velocities": [{**velocity, "limit": 1e9} for velocity in velocities],
    }
    written = "\n".join(f"{name}: {json.dumps(value)}" for name, value in more.items())
    return parse((SHIPPED / "default.yaml").read_bytes() + b"\n" + written.encode(), "bench")


def calls(count: int, now: datetime) -> list[list[Call]]:
    """Return logins with attributes, in groups as the service judges them."""
    attempts = Attempts(now.timestamp())
    made = []
    for _ in range(count):
        body = json.loads(attempts.next())
        del body["request_id"]
        body["context"]["attributes"] = {name: value for name, (_, value) in ATTRIBUTES.items()}
        at = datetime.fromtimestamp(body["context"].pop("time"), UTC)
        made.append(Call(DecideRequest.model_validate_json(json.dumps(body)), at))
    return [made[begin : begin + TOGETHER] for begin in range(0, count, TOGETHER)]


def judge_us(facts: list[Facts], policy: Policy) -> float:
    """Return CPU microseconds of judging one attempt, sixteen at a time, without a model."""
    begun = process_time()
    for begin in range(0, len(facts), TOGETHER):
        evaluate_all(facts[begin : begin + TOGETHER], policy, None)
    return (process_time() - begun) / len(facts) * 1e6


async def decide_us(engine: Engine, groups: list[list[Call]]) -> float:
    """Return CPU microseconds of one decision in this process."""
    begun = process_time()
    for group in groups:
        for decision in await engine.decide_all(group):
            if isinstance(decision, Exception):
                raise decision
    return (process_time() - begun) / sum(map(len, groups)) * 1e6


def store_cpu_s(url: str) -> float:
    """Return the CPU seconds that the store's process has spent."""
    with connect(url) as client:
        spent = client.info("cpu")
    return float(spent["used_cpu_user"]) + float(spent["used_cpu_sys"])


PLAIN, SIGNALS, TEN, BOTH = "neither", "30 signals", "10 velocities", "both"


async def main() -> None:
    """Measure in turn and print the medians."""
    policies = {
        PLAIN: load(SHIPPED / "default.yaml"),
        SIGNALS: with_own(WHEN, ()),
        TEN: with_own((), VELOCITIES),
        BOTH: with_own(WHEN, VELOCITIES),
    }
    now = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
    decide: dict[str, list[float]] = {name: [] for name in policies}
    stored: dict[str, list[float]] = {name: [] for name in policies}
    with tempfile.TemporaryDirectory() as directory:
        os.environ["RISKD_DATA_DIR"] = directory
        where = settings()
        async with store_url(where) as url:
            parts = open_parts(where, url, policies[BOTH], metrics=Metrics())
            engines = {name: parts.engine(policy, None, parts.enricher(policy)) for name, policy in policies.items()}
            for number in range(ROUNDS):
                for place, (name, engine) in enumerate(engines.items()):
                    groups = calls(ATTEMPTS, now + timedelta(hours=len(engines) * number + place))
                    begun = store_cpu_s(url)
                    decide[name].append(await decide_us(engine, groups))
                    stored[name].append((store_cpu_s(url) - begun) / ATTEMPTS * 1e6)
            await parts.close()
        records = [record for record in read(Path(directory) / "log") if isinstance(record, DecisionRecord)]
    facts = [record.facts for record in records if record.facts.attributes and record.facts.velocities][-ATTEMPTS:]
    took, stores = ({name: median(values) for name, values in spent.items()} for spent in (decide, stored))
    for name, policy in policies.items():
        judged = median(judge_us(facts, policy) for _ in range(ROUNDS))
        print(f"{name:>13}: judge {judged:5.1f} µs, decide {took[name]:5.1f} µs", end=" ")
        print(f"({took[name] / took[PLAIN] - 1:+6.1%}), the store's process {stores[name]:5.1f} µs")
    unknown = [len([c for c in e.unknown if c[:4] == "own_"]) for e in evaluate_all(facts, policies[BOTH], None)]
    library = sum(not declared.expression.native for declared in policies[BOTH].custom)
    print(f"{library} of 30 by the library; {sum(unknown) / len(unknown):.1f} unknown in the middle")


if __name__ == "__main__":
    asyncio.run(main())
