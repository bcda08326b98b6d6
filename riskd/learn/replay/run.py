"""Goes through a log block by block, on one machine or on many, and sums up what they found.

Memory does not grow with the log: this process keeps the sums; the join with outcomes goes through temporary files
(`labels`).
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from riskd.contract import Outcome
from riskd.learn.blocks import HERE, Engine, Log
from riskd.learn.replay.labels import Join, Subjects
from riskd.learn.replay.report import Report, report_of
from riskd.learn.replay.tally import CELLS, SEVERER, Tally, cell
from riskd.learn.replay.work import Order, tally_block
from riskd.learn.sources import sources
from riskd.policy.load import load

_STOPPED_THEN = frozenset(cell(then, now) for then in range(1, len(Outcome)) for now in range(len(Outcome)))
_STOPPED_NOW = frozenset(cell(then, now) for then in range(len(Outcome)) for now in range(1, len(Outcome)))
_GROUPS = (frozenset(range(CELLS)), _STOPPED_THEN, _STOPPED_NOW, SEVERER)


def replay(
    log: Sequence[str | Path],
    order: Order,
    *,
    now: datetime,
    engine: Engine = HERE,
    tell: Callable[[int], None] = lambda _decisions: None,
) -> Report:
    """Judge the decisions of a log again, as ordered, and report both sides.

    `log` are folders, files, globs and URIs (`sources`). `tell` hears how many decisions are done. Raises ConfigError
    for a log that is not there, RiskdError when a worker dies.
    """
    until = _last_outcome(order)
    whole = Log([file for file in sources(log) if file.may_hold(order.since, until)])
    total, join, subjects = Tally(order.examples), Join(), Subjects()
    try:
        for _, tally in engine.over(whole, partial(tally_block, order)):
            total.add(tally)
            join.add(tally.decided, tally.told)
            subjects.add(tally.decided, _GROUPS)
            tell(total.decisions)
        total.refused.update(whole.refused)
        counted = [subjects.count(group) for group in range(len(_GROUPS))]
        return report_of(total, join.cells(CELLS), counted, order, log, now=now)
    finally:
        join.close()


def _last_outcome(order: Order) -> datetime | None:
    """Return until when outcomes of the decisions asked for may have come in."""
    if order.until is None:
        return None
    windows = [load(path).file.learning.outcome_window for path in (order.policy, *order.known)]
    return order.until + max(windows) + timedelta(days=1)
