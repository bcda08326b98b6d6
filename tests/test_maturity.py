"""Allows that nobody reported on become habits after the policy's time, and only those."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from riskd.contract import DecideRequest, OutcomeReport, Reported
from riskd.maturity import mature
from riskd.record.reader import read
from riskd.record.schema import OutcomeRecord
from tests.conftest import NOON, Live

MakeRequest = Callable[..., DecideRequest]
DAY = timedelta(days=1)


async def test_unreported_allow_matures_once(live: Live, make_request: MakeRequest, tmp_path: Path) -> None:
    """A day later it is confirmed, its device is known, and going through the log again changes nothing."""
    decision = await live.engine.decide(make_request(), now=NOON)
    mark = tmp_path / "run" / "mark"
    assert await mature(live.log, mark, live.outcomes, DAY, now=NOON + timedelta(hours=23)) == 0
    assert await mature(live.log, mark, live.outcomes, DAY, now=NOON + timedelta(hours=25)) == 1
    mark.unlink()
    assert await mature(live.log, mark, live.outcomes, DAY, now=NOON + timedelta(hours=25)) == 0
    records = [r for r in read(live.log) if isinstance(r, OutcomeRecord)]
    assert [(r.decision_id, r.source, r.confirms) for r in records] == [(decision.decision_id, "matured", True)]
    later = await live.engine.decide(make_request(), now=NOON + 2 * DAY)
    assert later.decision == "allow"


async def test_reported_failure_does_not_mature(live: Live, make_request: MakeRequest, tmp_path: Path) -> None:
    """What was reported, whatever it was, stays as reported."""
    decision = await live.engine.decide(make_request(), now=NOON)
    failed = OutcomeReport(decision_id=decision.decision_id, outcome=Reported.LOGIN_FAILED)
    await live.outcomes.report(failed, now=NOON + timedelta(minutes=1))
    assert await mature(live.log, tmp_path / "mark", live.outcomes, DAY, now=NOON + timedelta(hours=25)) == 0
