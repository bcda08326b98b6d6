"""What is judged offline is judged as in service, but that every answer is waited for."""

from datetime import timedelta
from pathlib import Path

from riskd.enrich.enrich import Enricher
from riskd.enrich.geo import Geo
from riskd.enrich.identity import load_secrets
from riskd.learn.offline import offline
from riskd.policy.load import SHIPPED, parse
from riskd.record.reader import read
from tests.conftest import NOON
from tests.learn.replay.conftest import attempt


async def test_a_policy_in_a_hurry_loses_no_history(tmp_path: Path) -> None:
    """Deadlines that no store could keep degrade nothing, and the records carry the policy's own revision."""
    text = (SHIPPED / "default.yaml").read_text(encoding="utf-8")
    hasty = parse(text.replace("store: 50ms", "store: 1ms").encode(), "riskd.yaml")
    assert hasty.file.deadlines.store == timedelta(milliseconds=1)
    pseudonyms, log = load_secrets(tmp_path), tmp_path / "log"
    async with offline(tmp_path, log, hasty, None, Enricher(pseudonyms, Geo(tmp_path)), pseudonyms) as riskd:
        decisions = [await riskd.engine.decide(attempt(n), now=NOON + timedelta(minutes=n)) for n in range(50)]
    assert not any("store" in decision.degraded for decision in decisions)
    assert [record.policy_revision for record in read(log)] == [hasty.revision] * 50
