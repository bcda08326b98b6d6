"""Card payments: how many frauds a head finds that `riskd train --head` fits, in a part of the log it never saw.

    python bench/sparkov.py sparkov_300c_2024_seed42.csv.gz --out bench/sparkov.json

The file is an output of the Sparkov generator of simulated card payments (Brandon Harris, MIT licence): a year of 300
cards, with home and merchant coordinates. It is not in the repository; any output of the generator with these columns
will do. Merchant distance and the holder's age are worked out, then all goes through the product's own commands: `riskd
import csv` judges the payments in the order of time and reports frauds a day later, `riskd train --head` learns from
those before the cut (70 % of the payments) and itself holds out the last quarter of that time, the validation part. The
threshold is the one of 1 % false alarms on the honest payments of the validation part; the rest of the log is judged
once. Intervals are by bootstrap over cards.

In this file the honest payments go through the categories in the order of the alphabet, once in the year, and all
frauds of a card lie within two days. So a day of many categories gives a fraud away, as it would not elsewhere. Hence
two further rows: without the velocities that count categories, and with `--shuffle`, which gives the honest payments of
each card their dates anew, by chance, among the dates that they have.
"""

import argparse
import csv
import gzip
import hashlib
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.contract import Reported
from riskd.evaluation import measure_all
from riskd.features import MODEL_FEATURES
from riskd.policy.load import SHIPPED
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord

TAUGHT: Final = 0.70
"""Share of the payments that teaches, validation part included."""
FALSE_ALARMS: Final = 0.01
RESAMPLES: Final = 1000
DAY_S: Final = 86_400
MAPPING: Final = """columns:
  time: time
  card: subject.id
  amount: action.amount
  merchant: action.recipient
  category: context.attributes.category
  km: context.attributes.merchant_km
  age: context.attributes.age
  ok: outcome.succeeded
  fraud: outcome.fraud
time: {format: unix}
always: {action.name: payment, action.currency: USD}
"""
DECLARED: Final = """
attributes: {category: text, merchant_km: number, age: number}
velocities:
  - {name: payments_1h, count: attempts, per: subject, window: 1h}
  - {name: payments_24h, count: attempts, per: subject, window: 24h}
  - {name: payments_7d, count: attempts, per: subject, window: 7d}
  - {name: spent_1h, sum: amount, per: subject, window: 1h}
  - {name: spent_24h, sum: amount, per: subject, window: 24h}
  - {name: spent_7d, sum: amount, per: subject, window: 7d}
"""
CATEGORIES: Final = """  - {name: categories_24h, distinct: attributes.category, per: subject, window: 24h}
  - {name: categories_7d, distinct: attributes.category, per: subject, window: 7d}
"""
"""What a policy for card payments may count."""
Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """The payments of a span of time, judged."""

    card: npt.NDArray[np.str_]
    fraud: Flags
    score: Numbers

    def catch(self, limit: float, chosen: npt.NDArray[np.intp] | None = None) -> tuple[float, float]:
        """Return the shares of frauds and of honest payments at the limit or above it, of some or all payments."""
        rows = slice(None) if chosen is None else chosen
        fraud, alarm = self.fraud[rows], self.score[rows] >= limit
        return float(alarm[fraud].mean()), float(alarm[~fraud].mean())


def prepared(source: Path, to: Path, *, shuffle: bool) -> datetime:
    """Write the payments as the mapping reads them; return the time before which the first `TAUGHT` of them lie."""
    with gzip.open(source, "rt", encoding="utf-8", newline="") as file:
        payments = list(csv.DictReader(file))
    if shuffle:
        _shuffle(payments)
    times = sorted(int(one["unix_time"]) for one in payments)
    with to.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("time", "card", "amount", "merchant", "category", "km", "age", "ok", "fraud"))
        rows.writerows(map(_row, payments))
    return datetime.fromtimestamp(times[round(TAUGHT * len(times))], UTC)


def _row(one: dict[str, str]) -> tuple[str, ...]:
    day = datetime.fromtimestamp(int(one["unix_time"]), UTC).date()
    age = (day - date.fromisoformat(one["dob"])).days / 365.25
    return (
        one["unix_time"], one["cc_num"], one["amt"], one["merchant"].removeprefix("fraud_"), one["category"],
        f"{_km(*(math.radians(float(one[name])) for name in ('lat', 'long', 'merch_lat', 'merch_long'))):.2f}",
        f"{age:.1f}", "success", one["is_fraud"],
    )  # fmt: skip


def _km(lat: float, lon: float, to_lat: float, to_lon: float) -> float:
    """Great-circle distance."""
    square = math.sin((to_lat - lat) / 2) ** 2 + math.cos(lat) * math.cos(to_lat) * math.sin((to_lon - lon) / 2) ** 2
    return 12742 * math.asin(math.sqrt(square))


def _shuffle(payments: Sequence[dict[str, str]]) -> None:
    """Deal the dates of each card's honest payments anew; the time of day stays with the payment."""
    chance, of_card = random.Random(1), dict[str, list[dict[str, str]]]()
    for one in payments:
        if one["is_fraud"] == "0":
            of_card.setdefault(one["cc_num"], []).append(one)
    for honest in of_card.values():
        days = [int(one["unix_time"]) // DAY_S for one in honest]
        chance.shuffle(days)
        for one, day in zip(honest, days, strict=True):
            one["unix_time"] = str(day * DAY_S + int(one["unix_time"]) % DAY_S)


def riskd(work: Path, policy: str, *arguments: str) -> str:
    """Run a command of riskd with this policy; return what it prints."""
    path = work / "riskd.yaml"
    path.write_text(policy, encoding="utf-8")
    where = os.environ | {"RISKD_DATA_DIR": str(work / "data"), "RISKD_POLICY": str(path)}
    called = [str(Path(sys.executable).with_name("riskd")), *arguments]
    done = subprocess.run(called, cwd=work, env=where, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments[:2])}: {done.stderr or done.stdout}")
    return done.stdout


def judged(log: Path, frauds: frozenset[str], model: Model, since: datetime, until: datetime | None) -> Part:
    """Judge the payments of a span by the model."""
    cards, fraud, scores = list[str](), list[bool](), list[float]()
    decisions = _decisions(log, since, until)
    while some := list(islice(decisions, 512)):
        for record, measured in zip(some, measure_all([record.facts for record in some], model), strict=True):
            assert isinstance(measured.anomaly, float)
            cards.append(record.facts.subject.token or "")
            fraud.append(record.decision_id in frauds)
            scores.append(measured.anomaly)
    return Part(np.array(cards), np.array(fraud), np.array(scores))


def _decisions(log: Path, since: datetime, until: datetime | None) -> Iterator[DecisionRecord]:
    for record in read(log):
        if isinstance(record, DecisionRecord) and record.when >= since and (until is None or record.when < until):
            yield record


def told_frauds(log: Path) -> frozenset[str]:
    """Return the ids of the decisions that were reported as frauds."""
    return frozenset(
        record.decision_id
        for record in read(log)
        if not isinstance(record, DecisionRecord) and record.outcome is Reported.CONFIRMED_FRAUD
    )


def measured(work: Path, policy: str, cut: datetime, name: str, *, look: str) -> dict[str, Any]:
    """Train before the cut; return how the part that is looked at fares under the threshold of validation."""
    models = work / f"models_{name}"
    arguments = ("--log", str(work / "past"), "--head", "--until", cut.isoformat(), "--models", str(models))
    told = json.loads(riskd(work, policy, "train", *arguments, "--source", "Sparkov generator", "--json"))
    model = load_model(models, MODEL_FEATURES, told["version"])
    frauds = told_frauds(work / "past" / "log")
    validated = datetime.fromisoformat(told["training"]["fitted_until"])
    validation = judged(work / "past" / "log", frauds, model, validated, cut)
    limit = float(np.quantile(validation.score[~validation.fraud], 1 - FALSE_ALARMS, method="higher"))
    part = validation if look == "validation" else judged(work / "past" / "log", frauds, model, cut, None)
    catch, false_alarms = part.catch(limit)
    own = float(np.quantile(part.score[~part.fraud], 1 - FALSE_ALARMS, method="higher"))
    return {
        "catch": round(catch, 4),
        "catch_interval": interval(part, limit)[0],
        "false_alarms": round(false_alarms, 5),
        "false_alarms_interval": interval(part, limit)[1],
        "catch_at_own_1pct": round(part.catch(own)[0], 4),
        "auc": round(float(roc_auc_score(part.fraud, part.score)), 4),
        "reads": told["head_reads"],
        "taught": {"attacks": told["metrics"]["head_attacks"], "honest": told["metrics"]["head_honest"]},
        "validated_from": validated.isoformat(),
        "cut": cut.isoformat(),
        "payments": len(part.fraud),
        "frauds": int(part.fraud.sum()),
        "cards": len(set(part.card.tolist())),
    }


def interval(part: Part, limit: float) -> tuple[list[float], list[float]]:
    """Return 95 % intervals of catch and false alarms, cards drawn anew."""
    _, card = np.unique(part.card, return_inverse=True)
    of_card = [np.flatnonzero(card == number) for number in range(card.max() + 1)]
    chance = np.random.default_rng(1)
    drawn = [
        part.catch(limit, np.concatenate([of_card[one] for one in chance.integers(len(of_card), size=len(of_card))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(np.array(drawn), (0.025, 0.975), axis=0).round(4).tolist()
    return [low[0], high[0]], [low[1], high[1]]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("payments", type=Path, help="an output of the generator, gzipped CSV")
    parser.add_argument("--out", type=Path, help="where the JSON goes; default: printed only")
    parser.add_argument("--work", type=Path, help="folder that keeps the imports; default: a temporary one")
    parser.add_argument("--look", choices=("test", "validation"), default="test", help="the part that is told of")
    told = parser.parse_args()
    base = (SHIPPED / "default.yaml").read_text(encoding="utf-8")
    result: dict[str, Any] = {"sha256": hashlib.sha256(told.payments.read_bytes()).hexdigest(), "look": told.look}
    with tempfile.TemporaryDirectory() as temporary:
        for name, shuffle in (("as_it_is", False), ("dates_shuffled", True)):
            work = (told.work or Path(temporary)) / name
            work.mkdir(parents=True, exist_ok=True)
            (work / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
            cut = prepared(told.payments, work / "payments.csv", shuffle=shuffle)
            policy = base + DECLARED + CATEGORIES
            if not (work / "past").exists():
                arguments = ("--mapping", "mapping.yaml", "--out", "past", "--without-model")
                riskd(work, policy, "import", "csv", "payments.csv", *arguments)
            result[name] = measured(work, policy, cut, "all", look=told.look)
            narrow = base + DECLARED
            result[f"{name}_without_categories"] = measured(work, narrow, cut, "narrow", look=told.look)
    result["command"] = f"python bench/sparkov.py {told.payments.name} --out bench/sparkov.json"
    text = json.dumps(result, indent=1) + "\n"
    print(text)
    if told.out is not None:
        told.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
