"""What arrives together is judged together, in groups of bounded size."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from riskd.case import Call
from riskd.contract import Decision
from riskd.http.door import Door
from riskd.http.front import DECIDE, MAX_TOGETHER, Front
from riskd.http.refusal import Answer
from riskd.http.short import ShortCycle
from tests.http.echo_service import EchoEngine, Keys, clock
from tests.http.servers import BODY


class Counting(EchoEngine):
    """Remembers how many attempts it was given at a time."""

    def __init__(self) -> None:
        self.groups: list[int] = []

    async def decide_all(self, calls: Sequence[Call]) -> list[Decision | Exception]:
        """Judge them."""
        self.groups.append(len(calls))
        return await super().decide_all(calls)


class Waiting(ShortCycle):
    """A request whose answer stays here."""

    __slots__ = ("answer",)

    def __init__(self) -> None:
        nobody: Any = None
        super().__init__(
            DECIDE.path,
            b"rk_all",
            transport=nobody,
            flow=nobody,
            default_headers=[],
            keep_alive=True,
            on_response=nobody,
        )
        self.body += json.dumps(BODY).encode()
        self.answer: Answer | None = None

    def finish(self, answer: Answer) -> None:
        """Keep the answer."""
        self.answer = answer


async def nowhere(*_: object) -> None:
    """Serve nothing else."""


@pytest.mark.parametrize("arrived", [1, MAX_TOGETHER - 1, MAX_TOGETHER, MAX_TOGETHER + 1, 2 * MAX_TOGETHER + 3])
async def test_what_arrives_in_one_turn_is_judged_in_as_few_groups_as_there_may_be(arrived: int) -> None:
    """Every request of one turn of the event loop is answered, and only a full group leaves others to the next."""
    engine, tasks = Counting(), set[asyncio.Task[None]]()
    front = Front(
        engine, engine, Door(Keys()), rest=nowhere, clock=clock, refused=lambda _: None, max_in_flight=arrived
    )
    for _ in range(2):  # the second time as the first
        cycles = [Waiting() for _ in range(arrived)]
        for cycle in cycles:
            front.take(cycle, tasks)
        await asyncio.gather(*tasks)
        assert [cycle.answer is not None and cycle.answer.status for cycle in cycles] == [200] * arrived
        rest = arrived % MAX_TOGETHER
        assert engine.groups == [MAX_TOGETHER] * (arrived // MAX_TOGETHER) + [rest] * (rest > 0)
        assert front.in_flight == 0
        engine.groups.clear()
