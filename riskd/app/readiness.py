"""What /readyz tells: whether a worker should get requests, and how each part stands.

A store that is down makes decisions degraded, not impossible: a worker that has once seen it stays in service, for a
load balancer that took all workers out over a shared store would turn a degraded service into none.
"""

from typing import Literal

from riskd.app.reload import Loaded
from riskd.http.api import Part, Readiness, SourceNote
from riskd.record.writer import Writer

StoreState = Literal["starting", "ok", "down", "history_lost"]
STORE_DETAIL: dict[StoreState, str | None] = {
    "starting": "the store has not answered yet",
    "ok": None,
    "down": "the store does not answer; decisions are degraded",
    "history_lost": "the store came back without its history; see `riskd store accept-loss`",
}


def tell(loaded: Loaded, store: StoreState, writer: Writer, *, draining: bool) -> Readiness:
    """Tell how each part stands."""
    parts = {
        "store": Part(ready=store != "starting", state=store, detail=STORE_DETAIL[store]),
        "databases": _databases(loaded),
        "model": _model(loaded),
        "policy": _policy(loaded),
        "record": _record(writer, refusing=loaded.policy.file.record.on_failure == "refuse"),
    }
    if (tried := _candidates(loaded)) is not None:
        parts["candidates"] = tried
    ready = not draining and all(part.ready for part in parts.values())
    return Readiness(ready=ready, draining=draining, parts=parts)


def _databases(loaded: Loaded) -> Part:
    """Tell of databases and lists together, each with age and licence."""
    notes = tuple(
        SourceNote(
            name=source.name,
            version=source.version,
            age_days=source.age_days,
            licence=source.licence,
            attribution=source.attribution,
        )
        for source in loaded.sources
    )
    problem = loaded.problems.get("databases")
    return Part(ready=True, state="stale" if problem else "ok", detail=problem, sources=notes)


def _model(loaded: Loaded) -> Part:
    problem = loaded.problems.get("model")
    if loaded.model is None:
        detail = problem or "the declared signals decide alone, as the policy allows"
        return Part(ready=True, state="none", detail=detail)
    return Part(ready=True, state="stale" if problem else "ok", detail=problem, revision=loaded.model.version)


def _policy(loaded: Loaded) -> Part:
    problem = loaded.problems.get("policy")
    return Part(ready=True, state="stale" if problem else "ok", detail=problem, revision=loaded.policy.revision)


def _candidates(loaded: Loaded) -> Part | None:
    """Tell what is tried beside the policy in use; None when it names nothing."""
    file, candidates = loaded.policy.file, loaded.candidates
    problem = loaded.problems.get("candidates")
    if file.rollout is None and file.shadow is None and problem is None:
        return None
    told = []
    if candidates.rollout is not None and file.rollout is not None:
        told.append(f"rollout: {file.rollout.percent:g} % by {candidates.rollout.revision}")
    if candidates.shadow is not None:
        told.append(f"shadow: policy {candidates.shadow.revision}")
    if candidates.model is not None:
        told.append(f"shadow: model {candidates.model.version}")
    state = "ok" if problem is None else "stale" if told else "none"
    return Part(ready=True, state=state, detail="; ".join(filter(None, (problem, *told))))


def _record(writer: Writer, *, refusing: bool) -> Part:
    """Tell whether decisions can be recorded; when they cannot and must be, no request makes sense here."""
    if not writer.failing:
        return Part(ready=True, state="ok")
    detail = "the latest record was lost; riskd_record_failures_total says why"
    return Part(ready=not refusing, state="failing", detail=detail)
