"""`/lists` and `/exemptions`: what the policy's named lists hold, and who is exempt from what (scope `policy`)."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final, Protocol, TypeVar

import structlog
from fastapi import APIRouter, Path, Query, Request
from pydantic.json_schema import models_json_schema

from riskd.contract import Wire
from riskd.errors import RequestError, Unavailable
from riskd.http.body import MAX_BATCH_BODY, Disconnected, declared_length, parse, read
from riskd.http.door import KEY_REFUSALS, Door, single_key
from riskd.http.refusal import Refused, documented, refusal
from riskd.ledger.wire import (
    Additions,
    Exemption,
    ExemptionPage,
    Grant,
    ListPage,
    ListReceipt,
    ListStates,
    Removals,
    Withdrawal,
)

SCOPE: Final = "policy"
REFUSALS: Final = KEY_REFUSALS | {
    400: "Not JSON",
    404: "The policy has no such list, or there is no such exemption",
    409: "The list takes no entries from the store, or is full",
    413: "The body is too large",
    415: "Not application/json",
    422: "The body does not fit the contract, or a value is no entry of the list's kind",
    503: "The store does not answer, or the change cannot be audited; nothing is changed as far as is known",
}
UNAVAILABLE: Final = refusal(503, f"{REFUSALS[503]}.", headers=((b"retry-after", b"1"),))
_MAX_CURSOR: Final = (1 << 64) - 1

Name = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,47}$", description="The list's name in the policy.")]
Cursor = Annotated[int, Query(ge=0, le=_MAX_CURSOR, description="Where the page before ended; 0 begins.")]
Answer = TypeVar("Answer")
Body = TypeVar("Body", bound=Wire)


log = structlog.stdlib.get_logger("riskd.http")


class Ledger(Protocol):
    """Keeps lists and exemptions."""

    def lists(self) -> ListStates:
        """Return the policy's lists."""

    async def entries(self, name: str, cursor: int) -> ListPage:
        """Return some entries of a list."""

    async def add(self, name: str, asked: Additions, *, author: str, now: datetime) -> ListReceipt:
        """Add entries."""

    async def remove(self, name: str, asked: Removals, *, author: str, now: datetime) -> ListReceipt:
        """Take entries off."""

    async def exemptions(self, cursor: int) -> ExemptionPage:
        """Return some exemptions."""

    async def grant(self, asked: Grant, *, author: str, now: datetime) -> Exemption:
        """Exempt a subject from a signal."""

    async def withdraw(self, asked: Withdrawal, *, author: str, now: datetime) -> Exemption:
        """End an exemption."""


def list_routes(*, door: Door, clock: Callable[[], datetime], ledger: Ledger) -> APIRouter:
    """Return the routes of lists and exemptions."""
    routes = APIRouter(tags=["lists"], responses=documented(REFUSALS))
    secured: dict[str, Any] = {"security": [{"apiKey": []}]}

    def author(request: Request, now: datetime) -> str:
        return door.admit(single_key(request.scope["headers"]), SCOPE, now).name

    @routes.get("/lists", summary="The policy's named lists (scope policy)", openapi_extra=secured)
    async def lists(request: Request) -> ListStates:
        author(request, clock())
        return ledger.lists()

    @routes.get("/lists/{name}", summary="What the store holds of a list (scope policy)", openapi_extra=secured)
    async def entries(request: Request, name: Name, cursor: Cursor = 0) -> ListPage:
        author(request, clock())
        return await _answered(ledger.entries(name, cursor))

    @routes.post("/lists/{name}", summary="Add entries to a list (scope policy)", openapi_extra=_takes(Additions))
    async def add(request: Request, name: Name) -> ListReceipt:
        now = clock()
        who = author(request, now)
        return await _answered(ledger.add(name, await _body(request, Additions), author=who, now=now))

    @routes.delete("/lists/{name}", summary="Take entries off a list (scope policy)", openapi_extra=_takes(Removals))
    async def remove(request: Request, name: Name) -> ListReceipt:
        now = clock()
        who = author(request, now)
        return await _answered(ledger.remove(name, await _body(request, Removals), author=who, now=now))

    @routes.get("/exemptions", summary="All exemptions (scope policy)", openapi_extra=secured)
    async def exemptions(request: Request, cursor: Cursor = 0) -> ExemptionPage:
        author(request, clock())
        return await _answered(ledger.exemptions(cursor))

    @routes.post(
        "/exemptions", summary="Exempt a subject from a signal for a while (scope policy)", openapi_extra=_takes(Grant)
    )
    async def grant(request: Request) -> Exemption:
        now = clock()
        who = author(request, now)
        return await _answered(ledger.grant(await _body(request, Grant), author=who, now=now))

    @routes.delete("/exemptions", summary="End an exemption (scope policy)", openapi_extra=_takes(Withdrawal))
    async def withdraw(request: Request) -> Exemption:
        now = clock()
        who = author(request, now)
        return await _answered(ledger.withdraw(await _body(request, Withdrawal), author=who, now=now))

    return routes


async def _body(request: Request, model: type[Body]) -> Body:
    declared_length(request.scope["headers"], MAX_BATCH_BODY)
    try:
        return parse(await read(request.receive, MAX_BATCH_BODY), model)
    except Disconnected:
        raise Refused(refusal(408, "The request did not arrive whole.")) from None


async def _answered(work: Awaitable[Answer]) -> Answer:
    """Return what the work returns; what the caller is told of an error is raised as `Refused`."""
    try:
        return await work
    except RequestError as error:
        raise Refused(refusal(error.status, str(error))) from error
    except Unavailable as error:
        log.warning("list_change_failed", reason=str(error))
        raise Refused(UNAVAILABLE) from error


def _takes(model: type[Wire]) -> dict[str, Any]:
    """Return what the OpenAPI document says of a route with a body, its schema written out in place."""
    _, schema = models_json_schema([(model, "validation")], ref_template="#/components/schemas/{model}")
    defined: dict[str, Any] = schema["$defs"]
    content = {"application/json": {"schema": _inlined(defined[model.__name__], defined)}}
    return {"security": [{"apiKey": []}], "requestBody": {"required": True, "content": content}}


def _inlined(schema: Any, defined: dict[str, Any]) -> Any:  # noqa: ANN401 - any part of a JSON Schema
    if isinstance(schema, list):
        return [_inlined(part, defined) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(defined[schema["$ref"].rpartition("/")[2]], defined)
    return {key: _inlined(value, defined) for key, value in schema.items()}
