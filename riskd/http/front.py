"""The hot road: `POST /decide`, `/decide/batch` and `/outcome`, as plain ASGI in front of the FastAPI app.

What FastAPI would do per request (dependency solving, response model, middleware) costs more than a whole decision, so
these three are served here, from the one table `ROUTES`, which the OpenAPI document is made from as well.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, Literal, Protocol

import structlog
from pydantic_core import to_json
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from riskd.contract import (
    DecideBatchRequest,
    DecideBatchResponse,
    DecideRequest,
    Decision,
    DecisionRequest,
    OutcomeReceipt,
    OutcomeReport,
    Wire,
)
from riskd.errors import RequestError, Unavailable
from riskd.http.body import (
    MAX_BATCH_BODY,
    MAX_BODY,
    Disconnected,
    Receive,
    check_report_time,
    check_times,
    declared_length,
    parse,
    read,
)
from riskd.http.door import Door, single_key
from riskd.http.refusal import Answer, Header, Refused, json_headers, refusal

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Handle = Callable[[bytes, str, datetime], Awaitable[bytes]]
"""Body, caller's name and time in, the answer's body out."""


OVERLOADED: Final = refusal(503, "Too many requests at once.", code="overloaded", headers=((b"retry-after", b"1"),))
NOT_A_POST: Final = refusal(405, "Use POST.", headers=((b"allow", b"POST"),))
FAILED: Final = refusal(500, "The request failed inside riskd; its log says why.")

log = structlog.stdlib.get_logger("riskd.http")


class Engine(Protocol):
    """Judges attempts."""

    async def decide(self, request: DecisionRequest, *, now: datetime, digest: str, caller: str) -> Decision:
        """Judge one attempt; `digest` tells two bodies under one request id apart."""


class Outcomes(Protocol):
    """Takes outcome reports."""

    async def report(self, report: OutcomeReport, *, now: datetime, caller: str) -> OutcomeReceipt:
        """Take down what became of a decision."""


@dataclass(frozen=True, slots=True)
class Route:
    """One road: what comes in, what goes out, who may use it."""

    path: str
    summary: str
    request: type[Wire]
    response: type[Wire]
    scope: Literal["decide", "outcome"]
    max_body: int
    refusals: tuple[int, ...]
    """Statuses beside those every route can answer with."""


DECIDE: Final = Route(
    "/decide", "Judge one login or action", DecideRequest, Decision, "decide", MAX_BODY, refusals=(409,)
)
DECIDE_BATCH: Final = Route(
    "/decide/batch",
    "Judge up to 100 attempts, in order",
    DecideBatchRequest,
    DecideBatchResponse,
    "decide",
    MAX_BATCH_BODY,
    refusals=(409,),
)
OUTCOME: Final = Route(
    "/outcome", "Report what became of a decision", OutcomeReport, OutcomeReceipt, "outcome", MAX_BODY, refusals=(404,)
)
ROUTES: Final = (DECIDE, DECIDE_BATCH, OUTCOME)


class Front:
    """The ASGI app that uvicorn serves; what is not one of `ROUTES` goes on to `rest`."""

    def __init__(
        self,
        engine: Engine,
        outcomes: Outcomes,
        door: Door,
        *,
        rest: ASGIApp,
        clock: Callable[[], datetime],
        refused: Callable[[int], None],
        max_in_flight: int,
    ) -> None:
        """`clock` gives the aware UTC time of a request; `refused` counts every refusal by its status."""
        self.engine = engine
        """May be replaced at any time; a request is judged by the one it finds when its body is complete."""
        self._outcomes = outcomes
        self._door = door
        self._rest = rest
        self._clock = clock
        self._refused = refused
        self._max_in_flight = max_in_flight
        self.in_flight = 0
        """Requests being answered."""
        self._routes: dict[str, tuple[Route, Handle]] = {
            DECIDE.path: (DECIDE, self._decide),
            DECIDE_BATCH.path: (DECIDE_BATCH, self._decide_batch),
            OUTCOME.path: (OUTCOME, self._report),
        }
        self.short = {route.path.encode(): (route.path, min(route.max_body, HIGH_WATER_LIMIT)) for route in ROUTES}
        """What may come the short way (`riskd.http.short`): uvicorn stops reading a larger body until an app asks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        found = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._rest(scope, receive, send)
            return
        try:
            answer = await self._answer(*found, scope["method"], scope["headers"], receive)
        except Disconnected:
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    def overloaded(self) -> Answer | None:
        """Return the refusal that is due while too many requests are under way, and count it."""
        if self.in_flight < self._max_in_flight:
            return None
        self._refused(OVERLOADED.status)
        return OVERLOADED

    async def answer(self, path: str, headers: list[Header], body: bytes) -> Answer:
        """Answer one POST whose whole body is here: the short way."""
        return await self._answer(*self._routes[path], "POST", headers, body)

    async def _answer(
        self, route: Route, handle: Handle, method: str, headers: list[Header], body: bytes | Receive
    ) -> Answer:
        self.in_flight += 1
        try:
            caller, now = self._admitted(route, method, headers)
            if not isinstance(body, bytes):
                body = await read(body, route.max_body)
            done = await handle(body, caller, now)
            return Answer(200, done, json_headers(done))
        except Disconnected:
            raise
        except Exception as error:  # noqa: BLE001 - whatever happens, the caller gets an answer in JSON
            answer = _refusal(error)
            self._refused(answer.status)
            return answer
        finally:
            self.in_flight -= 1

    def _admitted(self, route: Route, method: str, headers: list[Header]) -> tuple[str, datetime]:
        """Return the caller's name and the time, once every reason to refuse that needs no body has been looked at."""
        if self.in_flight > self._max_in_flight:
            raise Refused(OVERLOADED)
        if method != "POST":
            raise Refused(NOT_A_POST)
        now = self._clock()
        caller = self._door.admit(single_key(headers), route.scope, now)
        declared_length(headers, route.max_body)
        return caller.name, now

    async def _decide(self, body: bytes, caller: str, now: datetime) -> bytes:
        request = parse(body, DecideRequest)
        check_times(request, now)
        return to_json(await self.engine.decide(request, now=now, digest=digest(request), caller=caller))

    async def _decide_batch(self, body: bytes, caller: str, now: datetime) -> bytes:
        batch = parse(body, DecideBatchRequest)
        for request in batch.requests:
            check_times(request, now)
        engine = self.engine
        decisions = [
            await engine.decide(request, now=now, digest=digest(request), caller=caller) for request in batch.requests
        ]
        return to_json({"decisions": decisions})

    async def _report(self, body: bytes, caller: str, now: datetime) -> bytes:
        report = parse(body, OutcomeReport)
        check_report_time(report, now)
        return to_json(await self._outcomes.report(report, now=now, caller=caller))


def digest(request: DecisionRequest) -> str:
    """Digest the validated request, so that white space and key order in a body do not matter.

    Only a request id is ever compared, so a request without one has no digest.
    """
    if request.request_id is None:
        return ""
    return blake2b(request.__pydantic_serializer__.to_json(request), digest_size=16).hexdigest()


def _refusal(error: Exception) -> Answer:
    """Return what the caller is told of an error; only what was not foreseen is a 500, and is logged."""
    match error:
        case Refused():
            return error.answer
        case RequestError():
            return refusal(error.status, str(error))
        case Unavailable():
            return refusal(
                503, "A part that this needs does not answer right now; try again.", headers=((b"retry-after", b"1"),)
            )
        case _:
            log.error("request_failed", exc_info=error)
            return FAILED
