"""The hot road: `POST /decide`, `/decide/batch` and `/outcome`, as plain ASGI in front of the FastAPI app.

What FastAPI would do per request (dependency solving, response model, middleware) costs more than a whole decision, so
these three are served here, from the one table `ROUTES`, which the OpenAPI document is made from as well.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any, Final, Literal, Protocol
from urllib.parse import parse_qsl

import structlog
from pydantic_core import to_json
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from riskd.case import Call
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
from riskd.counterfactual import ExplainedDecision
from riskd.enrich.address import parse_address
from riskd.errors import RequestError, Unavailable, UnbackedError
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
from riskd.http.short import ShortCycle

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Handle = Callable[[bytes, str, datetime], Awaitable[bytes]]
"""Body, caller's name and time in, the answer's body out."""


MAX_TOGETHER: Final = 16
"""Attempts judged together at most: some two milliseconds, in which nobody else is heard."""
OVERLOADED: Final = refusal(503, "Too many requests at once.", code="overloaded", headers=((b"retry-after", b"1"),))
NOT_A_POST: Final = refusal(405, "Use POST.", headers=((b"allow", b"POST"),))
UNKNOWN_QUERY: Final = refusal(400, "The only query is explain=full, and only on /decide.", code="unknown_query")
FAILED: Final = refusal(500, "The request failed inside riskd; its log says why.")

log = structlog.stdlib.get_logger("riskd.http")


class Engine(Protocol):
    """Judges attempts."""

    async def decide_all(self, calls: Sequence[Call]) -> list[Decision | Exception]:
        """Judge attempts together; an exception stands in place of a decision that could not be made."""

    async def again(self, call: Call, unbacked: UnbackedError) -> Decision | Exception:
        """Judge alone, in its time, an attempt in whose place stood an UnbackedError."""


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
    explained: type[Wire] | None = None
    """What goes out instead when the query is `explain=full`; None for a road that takes no query."""


DECIDE: Final = Route(
    "/decide",
    "Judge one login or action",
    DecideRequest,
    Decision,
    "decide",
    MAX_BODY,
    refusals=(409,),
    explained=ExplainedDecision,
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
        self.outcomes = outcomes
        """May be replaced at any time, as the engine may."""
        self._door = door
        self._rest = rest
        self._clock = clock
        self._refused = refused
        self._max_in_flight = max_in_flight
        self.in_flight = 0
        """Requests being answered."""
        self._waiting = 0
        """Repeats that wait for what their first is answered."""
        self._arrived: list[ShortCycle] = []
        """What came in this turn of the event loop, to be judged; a task is due for every `MAX_TOGETHER`."""
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
        route, handle = found
        self.in_flight += 1
        try:
            caller, now = self._admitted(route, scope["method"], scope["headers"])
            if scope["query_string"]:
                handle = self._explaining(route, scope["query_string"])
            answer = _done(await handle(await read(receive, route.max_body), caller, now))
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001 - whatever happens, the caller gets an answer in JSON
            answer = self._refuse(error)
        finally:
            self.in_flight -= 1
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

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

    def _explaining(self, route: Route, query: bytes) -> Handle:
        """Return what answers a request with a query, of which there is but one."""
        try:
            asked = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=1)
        except ValueError:  # more fields than one
            asked = []
        if route.explained is None or asked != [("explain", "full")]:
            raise Refused(UNKNOWN_QUERY)
        return self._explain

    def overloaded(self) -> Answer | None:
        """Return the refusal that is due while too many requests are under way, and count it."""
        if self.in_flight < self._max_in_flight:
            return None
        self._refused(OVERLOADED.status)
        return OVERLOADED

    def take(self, cycle: ShortCycle, tasks: set[asyncio.Task[None]]) -> None:
        """Answer one POST that came the short way.

        Those to be judged that arrive in one turn of the event loop are judged together: one round trip, one call of
        the model, one write, and each step's code and data still in the processor's caches for the next.
        """
        self.in_flight += 1
        cycle.arrived = perf_counter()
        loop = asyncio.get_running_loop()
        if cycle.path != DECIDE.path:
            _keep(loop.create_task(self._answer(cycle)), tasks)
            return
        self._arrived.append(cycle)
        if len(self._arrived) % MAX_TOGETHER == 1:
            _keep(loop.create_task(self._judge(tasks)), tasks)

    async def _answer(self, cycle: ShortCycle) -> None:
        """Answer a request that goes alone."""
        route, handle = self._routes[cycle.path]
        try:
            now = self._clock()
            caller = self._door.admit(cycle.key, route.scope, now)
            answer = _done(await handle(bytes(cycle.body), caller.name, now))
        except Exception as error:  # noqa: BLE001 - whatever happens, the caller gets an answer in JSON
            answer = self._refuse(error)
        self._finish(cycle, answer)

    async def _judge(self, tasks: set[asyncio.Task[None]]) -> None:
        """Answer requests that have arrived by now, together; what one suffers does not touch the others."""
        cycles, self._arrived = self._arrived[:MAX_TOGETHER], self._arrived[MAX_TOGETHER:]
        engine, now = self.engine, self._clock()
        waiting: list[ShortCycle] = []
        calls: list[Call] = []
        for cycle in cycles:
            try:
                caller = self._door.admit(cycle.key, DECIDE.scope, now)
                calls.append(_call(parse(bytes(cycle.body), DecideRequest), caller.name, now, cycle.arrived))
                waiting.append(cycle)
            except Exception as error:  # noqa: BLE001 - as above
                self._finish(cycle, self._refuse(error))
        if not calls:
            return
        try:
            decisions = await engine.decide_all(calls)
        except Exception as error:  # noqa: BLE001 - as above
            decisions = [error] * len(calls)
        for cycle, call, decision in zip(waiting, calls, decisions, strict=True):
            if isinstance(decision, UnbackedError):
                _keep(asyncio.get_running_loop().create_task(self._judge_again(engine, cycle, call, decision)), tasks)
            else:
                self._finish(cycle, self._answer_to(decision))

    async def _judge_again(self, engine: Engine, cycle: ShortCycle, call: Call, unbacked: UnbackedError) -> None:
        """Answer a repeat that no record backs; while it waits it takes nobody else's place."""
        async with self._aside():
            decision = await self._again(engine, call, unbacked)
        self._finish(cycle, self._answer_to(decision))

    async def _again(self, engine: Engine, call: Call, decision: Decision | Exception) -> Decision | Exception:
        """Return a decision that is backed; so many wait at once that even waiting is refused."""
        if not isinstance(decision, UnbackedError) or self._waiting >= self._max_in_flight:
            return decision
        self._waiting += 1
        try:
            return await engine.again(call, decision)
        except Exception as error:  # noqa: BLE001 - as above
            return error
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def _aside(self) -> AsyncIterator[None]:
        """Give a request's place to others while it waits."""
        self.in_flight -= 1
        try:
            yield
        finally:
            self.in_flight += 1

    def _answer_to(self, decision: Decision | Exception) -> Answer:
        if isinstance(decision, Exception):
            return self._refuse(decision)
        try:
            return _done(to_json(decision))
        except Exception as error:  # noqa: BLE001 - as above
            return self._refuse(error)

    def _finish(self, cycle: ShortCycle, answer: Answer) -> None:
        self.in_flight -= 1
        cycle.finish(answer)

    def _refuse(self, error: Exception) -> Answer:
        answer = _refusal(error)
        self._refused(answer.status)
        return answer

    async def _decide(self, body: bytes, caller: str, now: datetime) -> bytes:
        return to_json((await self._decided([parse(body, DecideRequest)], caller, now))[0])

    async def _explain(self, body: bytes, caller: str, now: datetime) -> bytes:
        request = parse(body, DecideRequest)
        return to_json((await self._decided([request], caller, now, explain=True))[0])

    async def _decide_batch(self, body: bytes, caller: str, now: datetime) -> bytes:
        requests = parse(body, DecideBatchRequest).requests
        return to_json({"decisions": await self._decided(requests, caller, now)})

    async def _decided(
        self, requests: Sequence[DecisionRequest], caller: str, now: datetime, *, explain: bool = False
    ) -> list[Decision]:
        """Judge in order, a group at a time, so that a large batch holds nobody else up; raise the first failure."""
        for request in requests:  # nothing of a batch is counted that is refused as a whole
            check_times(request, now)
            if request.context.ip is not None:
                parse_address(request.context.ip)
        engine = self.engine
        calls: list[Call] = []
        decisions: list[Decision | Exception] = []
        for first in range(0, len(requests), MAX_TOGETHER):
            arrived = perf_counter()
            group = requests[first : first + MAX_TOGETHER]
            calls += [_call(request, caller, now, arrived, explain=explain) for request in group]
            decisions += await engine.decide_all(calls[first:])
            for decision in decisions[first:]:
                if isinstance(decision, Exception) and not isinstance(decision, UnbackedError):
                    raise decision
        if any(isinstance(decision, UnbackedError) for decision in decisions):
            # At once, or a hundred that wait would wait a hundred times as long.
            async with self._aside():
                backed = [self._again(engine, *one) for one in zip(calls, decisions, strict=True)]
                decisions = await asyncio.gather(*backed)
        return [_raised(decision) for decision in decisions]

    async def _report(self, body: bytes, caller: str, now: datetime) -> bytes:
        report = parse(body, OutcomeReport)
        check_report_time(report, now)
        return to_json(await self.outcomes.report(report, now=now, caller=caller))


def _raised(decision: Decision | Exception) -> Decision:
    if isinstance(decision, Exception):
        raise decision
    return decision


def _done(body: bytes) -> Answer:
    return Answer(200, body, json_headers(body))


def _keep(task: asyncio.Task[None], tasks: set[asyncio.Task[None]]) -> None:
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _call(request: DecisionRequest, caller: str, now: datetime, arrived: float, *, explain: bool = False) -> Call:
    check_times(request, now)
    return Call(request, now, caller, arrived, explain)


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
