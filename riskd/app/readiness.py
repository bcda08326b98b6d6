"""What /readyz tells: whether a worker should get requests, and how each part stands.

A store that is down makes decisions degraded, not impossible: a worker that has once seen it stays in service, for a
load balancer that took all workers out over a shared store would turn a degraded service into none.
"""

from typing import Literal

from riskd.anomaly.model import Model
from riskd.enrich.sources import Source
from riskd.http.api import Part, SourceNote
from riskd.policy import Policy
from riskd.record.writer import Writer

StoreState = Literal["starting", "ok", "down", "history_lost"]
STORE_TEXT: dict[StoreState, str | None] = {
    "starting": "the store has not answered yet",
    "ok": None,
    "down": "the store does not answer; decisions are degraded",
    "history_lost": "the store came back without its history; see `riskd store accept-loss`",
}


def store_part(state: StoreState) -> Part:
    """Tell how the store stands."""
    return Part(ready=state != "starting", state=state, detail=STORE_TEXT[state])


def policy_part(policy: Policy, problem: str | None) -> Part:
    """Tell which policy is in use, and why not a newer one."""
    return Part(ready=True, state="stale" if problem else "ok", detail=problem, revision=policy.revision)


def model_part(model: Model | None, problem: str | None) -> Part:
    """Tell which model is in use, and why not a newer one."""
    if model is None:
        return Part(
            ready=True, state="none", detail=problem or "the declared signals decide alone, as the policy allows"
        )
    return Part(ready=True, state="stale" if problem else "ok", detail=problem, revision=model.version)


def record_part(writer: Writer, *, refusing: bool) -> Part:
    """Tell whether decisions can be recorded; when they cannot and must be, no request makes sense."""
    if not writer.failing:
        return Part(ready=True, state="ok")
    return Part(
        ready=not refusing, state="failing", detail="the latest record was lost; see riskd_record_failures_total"
    )


def database_part(found: tuple[Source, ...], problems: tuple[str, ...]) -> Part:
    """Tell of the databases and lists together, each with age and licence."""
    notes = tuple(
        SourceNote(
            name=source.name,
            version=source.version,
            age_days=source.age_days,
            licence=source.licence,
            attribution=source.attribution,
        )
        for source in found
    )
    return Part(ready=True, state="stale" if problems else "ok", detail="; ".join(problems) or None, sources=notes)
