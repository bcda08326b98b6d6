"""The FastAPI app behind the front: health, readiness, metrics and the OpenAPI document of everything."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

import riskd
from riskd.http.door import KEY_REFUSALS, Door, single_key
from riskd.http.front import ROUTES, Route
from riskd.http.refusal import Answer, ErrorBody, Refused, documented, refusal

EVERY_ROUTE: Final = (400, 401, 403, 405, 408, 413, 415, 422, 429, 431, 500, 503)
"""Statuses that any of the three routes can refuse with."""
REASONS: Final = KEY_REFUSALS | {
    400: "Not JSON, a key twice, or a query that is not known",
    404: "No such decision, or it is too long ago",
    405: "Not a POST",
    408: "The request took too long to arrive",
    409: "The request id was used with another body",
    413: "The body is too large",
    415: "Not application/json",
    422: "The body does not fit the contract",
    431: "The headers are too large",
    500: "A failure inside riskd",
    503: "Overloaded, or the record cannot be written; see Retry-After",
}
EXPLAIN: Final = {
    "name": "explain",
    "in": "query",
    "required": False,
    "schema": {"type": "string", "enum": ["full"]},
    "description": "Also say the smallest changes that would have made the decision milder, in `counterfactuals`. "
    "It may take 200 evaluations more. For you and your analysts: do not show them to the subject.",
}
"""The one query parameter that there is."""


class SourceNote(BaseModel):
    """One database or list in use."""

    name: str
    version: str
    age_days: int | None = None
    """Days since its publisher built it; None where the publisher does not say."""
    licence: str
    attribution: str | None = None


class Part(BaseModel):
    """The state of one thing that decisions rest on."""

    ready: bool
    state: str
    """`ok`, or in a word what is wrong: `starting`, `down`, `history_lost`, `stale`, `none`, `failing`."""
    detail: str | None = None
    """Why it is not `ok`."""
    revision: str | None = None
    """Version of what is loaded."""
    sources: tuple[SourceNote, ...] = ()


class Readiness(BaseModel):
    """Whether this worker should get requests.

    Part names: store, databases, model, policy, record, and candidates where the policy names some.
    """

    ready: bool
    draining: bool = False
    """The worker finishes what it has and leaves."""
    parts: dict[str, Part]


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


def build_api(
    *,
    door: Door,
    clock: Callable[[], datetime],
    readiness: Callable[[], Readiness],
    metrics: Callable[[], bytes],
    more: Iterable[APIRouter] = (),
) -> FastAPI:
    """Return the app. `readiness` and `metrics` are asked anew for every request; `metrics` gives Prometheus text.

    `more` are routes of other families.
    """
    api = FastAPIOffline(  # its pages ask nobody else for their scripts: keys are typed into them
        static_url="/docs/static",
        title="riskd",
        version=riskd.__version__,
        summary="Judges logins and actions: allow, step_up or deny, with reasons.",
        redirect_slashes=False,
        redoc_url=None,
    )

    @api.get("/healthz", tags=["operation"], summary="Is the process alive?")
    async def healthz() -> Alive:
        return Alive()

    @api.get(
        "/readyz",
        tags=["operation"],
        summary="Should this instance get requests?",
        responses={503: {"model": Readiness, "description": "Not ready, or draining"}},
    )
    async def readyz(response: Response) -> Readiness:
        answer = readiness()
        response.status_code = 200 if answer.ready and not answer.draining else 503
        response.headers["cache-control"] = "no-store"
        return answer

    @api.get(
        "/metrics",
        tags=["operation"],
        summary="Prometheus metrics (scope admin)",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **documented(KEY_REFUSALS),
        },
    )
    async def metrics_text(request: Request) -> Response:
        door.admit(single_key(request.scope["headers"]), "admin", clock())
        return Response(metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    for router in more:
        api.include_router(router)
    api.add_exception_handler(Refused, _refused)
    api.add_exception_handler(HTTPException, _http_error)
    api.add_exception_handler(RequestValidationError, _http_error)
    api.openapi = lambda: _openapi(api)  # type: ignore[method-assign]
    return api


def _response(answer: Answer, extra: Iterable[tuple[str, str]] = ()) -> Response:
    response = Response(answer.body, answer.status)
    response.raw_headers = [*answer.headers, *((name.encode(), value.encode()) for name, value in extra)]
    return response


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 - registered for this type
    return _response(error.answer)


async def _http_error(_request: Request, error: Exception) -> Response:
    """Answer Starlette's own 404 and 405 in the one shape, keeping its headers (Allow)."""
    status = error.status_code if isinstance(error, HTTPException) else 422
    words = {404: "There is nothing here.", 405: "This method is not for this path; see Allow."}
    extra = (error.headers or {}).items() if isinstance(error, HTTPException) else ()
    return _response(refusal(status, words.get(status, "The request cannot be served.")), extra)


def _openapi(api: FastAPI) -> dict[str, Any]:
    """Return the document: FastAPI's own routes, and those of the front from their table."""
    if api.openapi_schema is None:
        document = get_openapi(title=api.title, version=api.version, summary=api.summary, routes=api.routes)
        inputs = [(route.request, "validation") for route in ROUTES]
        answers = [route.response for route in ROUTES] + [route.explained for route in ROUTES if route.explained]
        outputs = [(model, "serialization") for model in (*answers, ErrorBody)]
        _, schema = models_json_schema([*inputs, *outputs], ref_template="#/components/schemas/{model}")  # type: ignore[list-item]
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(schema["$defs"])
        components["securitySchemes"] = {"apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
        document["paths"] = {route.path: {"post": _operation(route)} for route in ROUTES} | document["paths"]
        document["paths"]["/metrics"]["get"]["security"] = [{"apiKey": []}]
        api.openapi_schema = document
    return api.openapi_schema


def _operation(route: Route) -> dict[str, Any]:
    errors = sorted({*EVERY_ROUTE, *route.refusals})
    explains = {"parameters": [EXPLAIN]} if route.explained else {}
    return {
        **explains,
        "tags": ["decisions"],
        "summary": route.summary,
        "description": f"Needs an API key with scope `{route.scope}`. A body has at most {route.max_body:,} bytes.",
        "operationId": route.path.strip("/").replace("/", "_"),
        "security": [{"apiKey": []}],
        "requestBody": {"required": True, "content": _json(route.request)},
        "responses": {
            "200": {"description": "Done", "content": _json(route.response, route.explained)},
            **{str(status): {"description": REASONS[status], "content": _json(ErrorBody)} for status in errors},
        },
    }


def _json(*models: type[BaseModel] | None) -> dict[str, Any]:
    """Return the content of a body of one model, or of any of several."""
    schemas = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models if model is not None]
    return {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}
