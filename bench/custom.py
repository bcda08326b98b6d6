"""Where the cost of a policy's own signals and velocities lies: `python bench/custom.py` decides with and without.

`make bench` says what they add to a served decision. Here a decision is everything but HTTP and the
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

from attempts import Attempts
from own_policy import VALUES, own_policy

from riskd.app.parts import open_parts, store_url
from riskd.case import Call
from riskd.cli.root import settings
from riskd.contract import DecideRequest
from riskd.engine import Engine
from riskd.evaluation import evaluate_all
from riskd.facts import Facts
from riskd.metrics import Metrics
from riskd.policy import Policy
from riskd.policy.load import parse
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord
from riskd.store.upkeep import connect

TOGETHER, ATTEMPTS, ROUNDS = 16, 2_048, 9


def calls(count: int, now: datetime) -> list[list[Call]]:
    """Return logins with attributes, in groups as the service judges them."""
    attempts = Attempts(now.timestamp())
    made = []
    for _ in range(count):
        body = json.loads(attempts.next())
        del body["request_id"]
        body["context"]["attributes"] = VALUES
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
        name: parse(own_policy(signals=name in {SIGNALS, BOTH}, velocities=name in {TEN, BOTH}), name)
        for name in (PLAIN, SIGNALS, TEN, BOTH)
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
