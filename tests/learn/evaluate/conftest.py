"""A small world under attack, played once against the real engine with the shipped model, and its evaluation."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.features import MODEL_FEATURES
from riskd.learn.blocks import Local
from riskd.learn.evaluate import Evaluated, evaluate
from riskd.learn.simulate.run import Simulated, simulate
from riskd.learn.simulate.stream import Size
from riskd.policy import Policy
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord

MODELS = Path(__file__).parents[3] / "models"


@dataclass(frozen=True)
class World:
    """A simulation, with its records and their truth as a test reads them."""

    simulated: Simulated
    decisions: tuple[tuple[DecisionRecord, dict[str, Any]], ...]
    """Each decision with its line of truth, in the order of time."""


@pytest.fixture(scope="session")
def shipped_model() -> Model:
    """The model that riskd ships."""
    return load_model(MODELS, MODEL_FEATURES)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, policy: Policy, shipped_model: Model) -> World:
    """Six hundred people over fifty days."""
    size = Size(subjects=600, days=50, seed=7)
    simulated = simulate(tmp_path_factory.mktemp("world") / "out", size, policy, shipped_model)
    true = {line["decision_id"]: line for line in map(json.loads, simulated.truth.read_text().splitlines())}
    records = (record for record in read(simulated.log) if isinstance(record, DecisionRecord))
    return World(simulated, tuple((record, true[record.decision_id]) for record in records))


@pytest.fixture(scope="session")
def evaluated(world: World, shipped_model: Model) -> Evaluated:
    """Its evaluation, with everything."""
    return evaluate(world.simulated.log, world.simulated.truth, model=shipped_model, engine=Local(1))
