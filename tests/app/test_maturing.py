"""Maturing beside the requests, with parts of its own."""

from asyncio import to_thread
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from riskd.app.maturing import mature_allows
from riskd.app.parts import open_engine
from riskd.contract import DecideRequest
from riskd.enrich.identity import load_secrets
from riskd.policy.load import load
from riskd.record.reader import read
from riskd.record.schema import OutcomeRecord
from riskd.settings import Settings
from riskd.store import Embedded
from tests.app.riskd import amend
from tests.http.servers import BODY


@pytest.fixture
def settings(tmp_path: Path, policy: Path) -> Settings:
    """Return settings whose policy lets allows mature after a day."""
    amend(policy, learning={"mature_after": "1d"})
    return Settings(data_dir=tmp_path / "data", policy=policy, models_dir=tmp_path / "models")


async def test_an_old_allow_matures_once(settings: Settings) -> None:
    """A day after an allow that nobody reported on, it counts as a success, once."""
    policy = load(settings.policy)
    now = datetime.now(UTC)
    async with open_engine(settings) as engine:
        request = DecideRequest.model_validate(BODY)
        decision = await engine.decide(request, now=now)
    store = Embedded(settings.data_dir)
    store.start()
    try:
        pseudonyms = load_secrets(settings.data_dir)
        later = now + timedelta(hours=25)
        counts = []
        for _ in range(2):
            counted = await to_thread(mature_allows, settings, store.url, policy, pseudonyms, later)
            counts.append(counted.record_written.at().value)
    finally:
        store.stop()
    assert counts == [1, 0]
    (record,) = [record for record in read(settings.data_dir / "log") if isinstance(record, OutcomeRecord)]
    assert (record.decision_id, record.source) == (decision.decision_id, "matured")
