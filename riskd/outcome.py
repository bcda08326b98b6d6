"""What became of a decision: report, confirm, record.

A device, place, network, amount or payee becomes known only by a confirmed success, and never by a denied attempt, so
that an attacker cannot teach riskd his own laptop.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal

from riskd.contract import OutcomeReceipt, OutcomeReport, Reported
from riskd.decision_id import Sealer, Verdict
from riskd.errors import RequestError
from riskd.metrics import Metrics
from riskd.record.redact import Redaction
from riskd.record.schema import OutcomeRecord
from riskd.record.writer import Writer
from riskd.store import MATURED, OUTCOME_WINDOW_S, Settlement, Store

Source = Literal["reported", "evidence", "matured"]

CONFIRMED_BY: dict[Reported, frozenset[Verdict]] = {
    Reported.LOGIN_SUCCEEDED: frozenset({Verdict.ALLOW, Verdict.ALLOW_BY_EVIDENCE}),
    Reported.ACTION_COMPLETED: frozenset({Verdict.ALLOW, Verdict.ALLOW_BY_EVIDENCE}),
    # Success after a step-up needs the step-up: the password alone proved nothing.
    Reported.STEP_UP_PASSED: frozenset({Verdict.STEP_UP, Verdict.ALLOW_BY_EVIDENCE}),
    Reported.CONFIRMED_LEGITIMATE: frozenset({Verdict.ALLOW, Verdict.STEP_UP, Verdict.ALLOW_BY_EVIDENCE}),
}
"""After which verdicts each outcome makes what the attempt presented known. DENY stands nowhere."""

_VERDICT_WORDS: dict[Verdict, Literal["allow", "step_up", "deny"]] = {
    Verdict.ALLOW: "allow",
    Verdict.ALLOW_BY_EVIDENCE: "allow",
    Verdict.STEP_UP: "step_up",
    Verdict.DENY: "deny",
}


def confirms(outcome: Reported, verdict: Verdict) -> bool:
    """Return True when this outcome of a decision with this verdict makes its attempt a confirmed habit."""
    return verdict in CONFIRMED_BY.get(outcome, frozenset())


class Outcomes:
    """Takes outcome reports by one policy; built once for it, holds nothing of a report."""

    def __init__(
        self,
        *,
        store: Store,
        writer: Writer,
        redaction: Redaction,
        sealer: Sealer,
        metrics: Metrics,
        outcome_window: timedelta = timedelta(seconds=OUTCOME_WINDOW_S),
        refuse_unrecorded: bool = True,
    ) -> None:
        """`outcome_window` is how long a decision's outcome is taken, and a repeat known for one.

        `refuse_unrecorded` lets a report fail whose record is lost; otherwise the loss is only counted.
        """
        self._store = store
        self._writer = writer
        self._redaction = redaction
        self._sealer = sealer
        self._metrics = metrics
        self._outcome_window_s = int(outcome_window.total_seconds())
        self._refuse_unrecorded = refuse_unrecorded

    async def report(
        self, report: OutcomeReport, *, now: datetime, caller: str = "", source: Source = "reported"
    ) -> OutcomeReceipt:
        """Take one report; the same outcome of the same decision again changes nothing.

        Raises RequestError (404) for a decision that is unknown or whose outcome window has passed, StoreUnavailable
        when the store does not answer (report again), RecordUnavailable when the record is lost.
        """
        try:
            base_id, verdict = self._sealer.open(report.decision_id)
        except ValueError:
            raise RequestError("no decision of this id waits for an outcome: unknown or too old", status=404) from None
        at = min(report.at.astimezone(UTC), now) if report.at is not None else now
        confirmed = confirms(report.outcome, verdict)
        settled = await self._store.settle(
            base_id,
            Settlement(
                outcome=MATURED if source == "matured" else report.outcome.value,
                decided=int(verdict),
                at=at.timestamp(),
                confirms=confirmed,
            ),
            self._outcome_window_s,
        )
        if settled.status == "accepted":
            record = self._redaction.outcome(
                OutcomeRecord(
                    decision_id=report.decision_id,
                    recorded_at=now,
                    at=at,
                    subject=settled.token,
                    outcome=report.outcome,
                    source=source,
                    decided=_VERDICT_WORDS[verdict],
                    confirms=confirmed,
                    acr=report.acr,
                    amr=report.amr,
                    method=report.method,
                    caller=caller or None,
                )
            )
            writer = self._writer
            (lost,) = await writer.append_aside([record]) if writer.slow else writer.append_all([record])
            if lost is not None and self._refuse_unrecorded:
                await self._store.unsettle(
                    settled.decision_id, report.outcome.value if source != "matured" else MATURED
                )
                raise lost
            self._metrics.outcomes.at(report.outcome.value).inc()
        return OutcomeReceipt(decision_id=report.decision_id, outcome=report.outcome, status=settled.status)
