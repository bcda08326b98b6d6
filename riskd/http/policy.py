"""`GET /policy` and `POST /policy/reload`: which policy is in use, and have the one on disk taken into use now."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel

from riskd.errors import ConfigError, PolicyError, SignatureError
from riskd.http.door import KEY_REFUSALS, Door, single_key
from riskd.http.refusal import Refused, documented, refusal

SCOPE: Final = "policy"
REFUSALS: Final = KEY_REFUSALS | {
    409: "The policy on disk is not signed as it must be; the one before stays in use",
    422: "The policy on disk has mistakes, or a list it names does; the one before stays in use",
}

log = structlog.stdlib.get_logger("riskd.http")


class SignedBy(BaseModel):
    """Who vouches for the policy."""

    key: str
    """Id of the public key."""
    version: int
    signed_at: datetime


class PolicyInUse(BaseModel):
    """The policy that this worker judges by."""

    revision: str
    """As decisions carry it: the first 12 hex digits of the SHA-256 over its content."""
    source: str
    """Its file."""
    loaded_at: datetime
    signed: SignedBy | None
    """None where RISKD_POLICY_KEYS is not set."""
    problem: str | None
    """Why the file as it stands now is not in use; None when it is."""


class ReloadedPolicy(PolicyInUse):
    """What became of a reload."""

    changed: bool
    """Whether another revision was in use before, in this worker."""


def policy_routes(
    *,
    door: Door,
    clock: Callable[[], datetime],
    in_use: Callable[[], PolicyInUse],
    reload: Callable[[], Awaitable[ConfigError | None]],
) -> APIRouter:
    """Return the two routes; `reload` returns what is wrong with the policy on disk, None when it is in use."""
    routes = APIRouter(tags=["policy"], responses=documented(REFUSALS))
    secured: dict[str, Any] = {"security": [{"apiKey": []}]}

    @routes.get("/policy", summary="Which policy is in use? (scope policy)", openapi_extra=secured)
    async def policy(request: Request) -> PolicyInUse:
        door.admit(single_key(request.scope["headers"]), SCOPE, clock())
        return in_use()

    @routes.post(
        "/policy/reload", summary="Read the policy again, changed or not (scope policy)", openapi_extra=secured
    )
    async def reload_policy(request: Request) -> ReloadedPolicy:
        """All workers read it; this one answers for itself, the others follow within a second."""
        caller = door.admit(single_key(request.scope["headers"]), SCOPE, clock())
        before = in_use().revision
        problem = await reload()
        now = in_use()
        log.info(
            "reload_asked", caller=caller.name, revision=now.revision, problem=None if problem is None else str(problem)
        )
        if problem is not None:
            raise _refused(problem)
        return ReloadedPolicy(changed=now.revision != before, **dict(now))

    return routes


def _refused(problem: ConfigError) -> Refused:
    match problem:
        case SignatureError():
            return Refused(refusal(409, str(problem), code="policy_not_trusted"))
        case PolicyError():
            fields = [{"path": mistake.path, "message": mistake.at(problem.source)} for mistake in problem.mistakes]
            message = f"The policy has {len(fields)} mistakes." if len(fields) > 1 else "The policy has a mistake."
            return Refused(refusal(422, message, code="invalid_policy", fields=fields))
        case _:
            return Refused(refusal(422, str(problem), code="invalid_policy"))
