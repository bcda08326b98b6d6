"""What judging alone costs: `evaluate` on the facts of decisions that were just made, no HTTP, no store."""

import os
from itertools import islice
from pathlib import Path
from statistics import median
from time import process_time

from riskd.anomaly.load import load_model
from riskd.errors import ModelError
from riskd.evaluation import evaluate
from riskd.features import MODEL_FEATURES
from riskd.policy.load import SHIPPED, load
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord

ATTEMPTS = 4_000
REPEATS = 7


def evaluate_us(log: Path, models: Path, core: int) -> tuple[float, bool]:
    """Return the median CPU microseconds of `evaluate` on recorded facts, and whether a model took part."""
    records = (record for record in read(log) if isinstance(record, DecisionRecord))
    facts = [record.facts for record in islice(records, 20_000, 20_000 + ATTEMPTS)]
    policy = load(SHIPPED / "default.yaml")
    try:
        model = load_model(models, MODEL_FEATURES)
    except ModelError:
        model = None
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    rounds = []
    for _ in range(REPEATS):
        begun = process_time()
        for one in facts:
            evaluate(one, policy, model)
        rounds.append((process_time() - begun) / len(facts) * 1e6)
    os.sched_setaffinity(0, own)
    return median(rounds), model is not None
