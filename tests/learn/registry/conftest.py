"""A small world's log, and models that were made by hand: what a candidate would change is known beforehand."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from riskd.anomaly.artifact import CURRENT_FILE, Calibration
from riskd.app.model_source import ModelSource
from riskd.learn.simulate.run import Simulated, simulate
from riskd.learn.simulate.stream import Size
from riskd.policy import Policy
from tests.faults.artifacts import write

TRAINED_UNTIL = datetime(2025, 11, 25, tzinfo=UTC)
CALM = Calibration(raw=(0.9, 1.1), tail=(1.0, 0.9))
"""Finds every attempt ordinary: the tree answers exp(-1) for all."""
ALARMED = Calibration(raw=(0.1, 0.3), tail=(1.0, 1e-4))
"""Finds every attempt as odd as can be."""


def day(number: int) -> datetime:
    """A day on which a model is made."""
    return datetime(2026, 1, number, tzinfo=UTC)


@dataclass(frozen=True)
class Shelf:
    """A models folder to put models in."""

    models: Path

    def put(self, number: int, calibration: Calibration = CALM, *, current: bool = False) -> str:
        """Lay out a model made on a day of January; return its version."""
        before = (self.models / CURRENT_FILE).read_bytes() if (self.models / CURRENT_FILE).exists() else None
        version = f"2026{day(number):%m%d}-{number:08x}"
        write(
            self.models,
            version=version,
            created=day(number),
            trained_until=TRAINED_UNTIL,
            calibration=calibration,
        )
        if not current:
            (self.models / CURRENT_FILE).unlink() if before is None else (self.models / CURRENT_FILE).write_bytes(
                before
            )
        return version

    @property
    def current(self) -> str:
        """What CURRENT names."""
        return ModelSource(self.models, None).current()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty models folder."""
    return Shelf(tmp_path / "models")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, policy: Policy) -> Simulated:
    """A small world, played without a model."""
    return simulate(tmp_path_factory.mktemp("registry") / "world", Size(subjects=500, days=60, seed=11), policy)
