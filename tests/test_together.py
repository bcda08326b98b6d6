"""Attempts judged together: each as if alone, and what one suffers touches no other."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from riskd.case import Call, Case
from riskd.contract import DecideRequest, Decision
from riskd.counterfactual import ExplainedDecision
from riskd.errors import ConflictError, OverdueError, RecordUnavailable, RequestError
from riskd.evaluation import evaluate
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load
from riskd.record.reader import find, read
from riskd.record.schema import DecisionRecord
from riskd.trial import Candidates
from tests.conftest import NOON, Live
from tests.models import FixedModel
from tests.tried import tried

MakeRequest = Callable[..., DecideRequest]


def _judgement(decision: Decision | Exception) -> dict[str, Any]:
    """What was decided, without what differs between two attempts."""
    assert isinstance(decision, Decision)
    return json.loads(decision.model_dump_json(exclude={"decision_id", "evaluated_at"}))


async def test_together_as_alone(live: Live, make_request: MakeRequest) -> None:
    """Eight attempts in one group get the very answers that they get one after the other."""
    together = [make_request(subject={"id": f"t{n % 3}"}, context={"device_id": f"t{n % 2}"}) for n in range(8)]
    alone = [make_request(subject={"id": f"a{n % 3}"}, context={"device_id": f"a{n % 2}"}) for n in range(8)]
    # Two places of their own, or the second eight would find the counts of the first.
    there = {"ip": "81.2.69.142"}, {"ip": "2.125.160.216"}
    together = [r.model_copy(update={"context": r.context.model_copy(update=there[0])}) for r in together]
    alone = [r.model_copy(update={"context": r.context.model_copy(update=there[1])}) for r in alone]
    times = [NOON + timedelta(seconds=n) for n in range(8)]
    grouped = await live.engine.decide_all([Call(r, now) for r, now in zip(together, times, strict=True)])
    single = [await live.engine.decide(r, now=now) for r, now in zip(alone, times, strict=True)]
    assert [_judgement(decision) for decision in grouped] == [_judgement(decision) for decision in single]
    assert len({decision.decision_id for decision in grouped if isinstance(decision, Decision)}) == 8
    assert sum(1 for _ in read(live.log)) == 16


async def test_one_failure_is_nobody_elses(live: Live, make_request: MakeRequest) -> None:
    """A malformed address, a conflict and a repeat among five: the two others are judged and recorded."""
    first = make_request(request_id="r-1")
    broken = make_request(context={"ip": "81.2.69.142", "forwarded_for": "x"})
    broken = broken.model_copy(update={"context": broken.context.model_copy(update={"ip": "nowhere"})})
    decided = await live.engine.decide_all(
        [
            Call(first, NOON),
            Call(broken, NOON),
            Call(make_request(request_id="r-1", action={"name": "export"}), NOON),
            Call(first, NOON),
            Call(make_request(subject={"id": "bob"}), NOON),
        ]
    )
    assert isinstance(decided[1], RequestError)
    assert isinstance(decided[2], ConflictError)
    assert decided[3] == decided[0]
    assert _judgement(decided[4])["degraded"] == []
    assert sum(1 for _ in read(live.log)) == 2


async def test_overdue_call_is_refused(live: Live, make_request: MakeRequest) -> None:
    """What waited past the deadline before its turn is refused, counted nowhere; the one beside it is judged."""
    late = Call(make_request(), NOON, arrived=perf_counter() - 60)
    overdue, judged = await live.engine.decide_all([late, Call(make_request(), NOON, arrived=perf_counter())])
    assert isinstance(overdue, OverdueError)
    assert isinstance(judged, Decision)
    record = find(live.log, judged.decision_id)
    assert record is not None
    assert record.facts.history is not None
    assert record.facts.history.attempts_5m == 1
    assert judged.degraded == ()


async def test_refused_calls_are_no_fault_of_the_model(live: Live, make_request: MakeRequest) -> None:
    """However many groups hold nothing to judge, the model judges what comes next."""
    engine = live.with_model(FixedModel(0.5))
    for _ in range(8):
        late = Call(make_request(), NOON, arrived=perf_counter() - 60)
        assert isinstance((await engine.decide_all([late]))[0], OverdueError)
    decision = await engine.decide(make_request(), now=NOON)
    assert decision.degraded == ()
    assert decision.model_version == FixedModel.version


async def test_a_repeat_is_refused_with_the_attempt_it_repeats(live: Live, make_request: MakeRequest) -> None:
    """Where the record of the first is lost, its repeat beside it gets no answer either, and neither is counted."""
    request = make_request(request_id="r-3")
    live.log.parent.joinpath("log").write_text("in the way", encoding="utf-8")
    refused = await live.engine.decide_all([Call(request, NOON), Call(request, NOON)])
    assert all(isinstance(refusal, RecordUnavailable) for refusal in refused)
    told = live.metrics.decisions.at
    assert not any(told(outcome, "login").value for outcome in ("allow", "step_up", "deny"))


async def test_a_lost_record_leaves_no_answer_behind(live: Live, make_request: MakeRequest) -> None:
    """Whose record was lost is refused; the repeat of his request is judged and recorded like a new one."""
    request = make_request(request_id="r-2")
    live.log.parent.joinpath("log").write_text("in the way", encoding="utf-8")
    with pytest.raises(RecordUnavailable):
        await live.engine.decide(request, now=NOON)
    live.log.unlink()
    await asyncio.sleep(0.1)  # what the store is told beside the refusal
    decision = await live.engine.decide(request, now=NOON + timedelta(seconds=1))
    record = find(live.log, decision.decision_id)
    assert record is not None
    assert record.request_id is not None
    assert sum(1 for _ in read(live.log)) == 1


@dataclass
class Temperamental(FixedModel):
    """A model that fails on one kind of vector."""

    def __init__(self) -> None:
        super().__init__(0.5)

    def score_all(self, vectors: Sequence[Sequence[float | None]]) -> list[float]:
        """Fail when any vector knows the account's age."""
        if any(400.0 in vector for vector in vectors):
            raise ValueError("no")
        return super().score_all(vectors)


async def test_case_09_in_a_group(live: Live, make_request: MakeRequest, default_policy: Policy) -> None:
    """Where the model fails on one of a group, that one is degraded, and its record is judged the same again."""
    live.engine = live.with_model(Temperamental())
    decided = await live.engine.decide_all(
        [Call(make_request(subject={"id": f"s{n}", "account_age_days": 400 if n == 1 else 30}), NOON) for n in range(3)]
    )
    assert [_judgement(decision)["degraded"] for decision in decided] == [[], ["model"], []]
    assert isinstance(decided[1], Decision)
    record = find(live.log, decided[1].decision_id)
    assert isinstance(record, DecisionRecord)
    again = evaluate(record.facts, default_policy, FixedModel(0.99))
    assert (again.degraded, again.score, again.anomaly) == (("model",), record.score, None)


async def test_only_what_is_recorded_is_judged_beside(
    valkey: str, make_request: MakeRequest, default_policy: Policy, tmp_path: Path
) -> None:
    """A repeat, however often it asks, is not counted as another decision of the shadow."""
    beside = Candidates(shadow=load(SHIPPED / "admin_console.yaml"))
    async with tried(valkey, tmp_path, default_policy, beside) as live:
        for _ in range(3):
            await live.engine.decide(make_request(request_id="r-10"), now=NOON)
        counted = sum(sample.value for sample in live.metrics.shadow_decisions.snapshot().samples)
    assert counted == 1


async def test_what_fails_in_judging_is_one_attempts_alone(
    live: Live, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception at any step of one attempt takes its place; the one beside it is judged and recorded."""
    for step in ("look_up", "take", "join", "judge", "record"):
        sound = getattr(Case, step)

        def broken(case: Case, *given: object, sound: Callable[..., object] = sound) -> object:
            if case.call.request.subject.id == "unlucky":
                raise ZeroDivisionError
            return sound(case, *given)

        monkeypatch.setattr(Case, step, broken)
        group = [Call(make_request(subject={"id": who}), NOON) for who in ("unlucky", "lucky")]
        unlucky, lucky = await live.engine.decide_all(group)
        monkeypatch.setattr(Case, step, sound)
        assert isinstance(unlucky, ZeroDivisionError), step
        assert isinstance(lucky, Decision), step
        assert find(live.log, lucky.decision_id) is not None, step
    assert sum(1 for _ in read(live.log)) == 5


async def test_a_decision_that_cannot_be_explained_stands(
    live: Live, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the search for counterfactuals fails, the recorded decision is answered without them."""

    def fails(*_given: object) -> Iterator[None]:
        yield None
        raise ZeroDivisionError

    monkeypatch.setattr("riskd.engine.in_steps", fails)
    (decision,) = await live.engine.decide_all([Call(make_request(), NOON, explain=True)])
    assert isinstance(decision, ExplainedDecision)
    assert decision.counterfactuals is None
    assert find(live.log, decision.decision_id) is not None
