"""Allows that nobody reported on mature, if the policy says so: after its time, they count as confirmed successes.

The decision log says which allows there were, so nothing is kept in memory and a restart loses nothing: a mark on disk
says up to when the log was gone through.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from riskd.contract import OutcomeReport, Reported
from riskd.errors import RequestError, Unavailable
from riskd.outcome import Outcomes
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord


async def mature(log: Path, mark: Path, outcomes: Outcomes, after: timedelta, *, now: datetime) -> int:
    """Settle every recorded allow that became `after` old since the last call; return how many matured.

    An allow with any outcome reported stays as reported. `mark` is the file that holds the time gone through; without
    one, the log from `now` minus twice `after` on is gone through. Stops early, to go on next time, while the store
    or the log does not take it.
    """
    until = now - after
    since = _read_mark(mark) or until - after
    matured = 0
    for record in read(log, since=since, until=until):
        if not isinstance(record, DecisionRecord) or record.outcome != "allow":
            continue
        report = OutcomeReport(decision_id=record.decision_id, outcome=_success(record.facts.action.name))
        try:
            receipt = await outcomes.report(report, now=now, source="matured")
        except RequestError:
            continue  # reported, forgotten or too old: nothing is waiting for an outcome
        except Unavailable:
            until = record.when
            break
        matured += receipt.status == "accepted"
    _write_mark(mark, until)
    return matured


def _success(action: str) -> Reported:
    return Reported.LOGIN_SUCCEEDED if action == "login" else Reported.ACTION_COMPLETED


def _read_mark(mark: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(mark.read_text(encoding="ascii").strip()).astimezone(UTC)
    except (OSError, ValueError):
        return None


def _write_mark(mark: Path, until: datetime) -> None:
    mark.parent.mkdir(parents=True, exist_ok=True)
    part = mark.with_name(f"{mark.name}.{os.getpid()}")
    part.write_text(until.isoformat(), encoding="ascii")
    part.replace(mark)
