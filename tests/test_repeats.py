"""A request asked again: one attempt, one record, one answer, whatever became of the first."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from riskd.case import Call
from riskd.contract import DecideRequest, Decision, OutcomeReport, Reported
from riskd.engine import Engine
from riskd.errors import RecordUnavailable, StoreUnavailable, UnbackedError
from riskd.facts import PlaceFacts
from riskd.policy.load import SHIPPED, load
from riskd.record.reader import find, read
from riskd.record.schema import DecisionRecord
from riskd.store import Store, parse
from tests.conftest import NOON, Live

MakeRequest = Callable[..., DecideRequest]


async def _counted_only(live: Live, request: DecideRequest) -> None:
    """Count an attempt as a worker does that is killed before it writes the record down."""
    with pytest.MonkeyPatch.context() as patch:

        def killed(_records: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(live.writer, "append_all", killed)
        with pytest.raises(KeyboardInterrupt):
            await live.engine.decide(request, now=NOON)


def _records(live: Live) -> list[DecisionRecord]:
    return [record for record in read(live.log) if isinstance(record, DecisionRecord)]


async def test_a_repeat_takes_the_place_of_what_a_killed_worker_did_not_record(
    live: Live, make_request: MakeRequest
) -> None:
    """Where the first was counted and never recorded, a repeat takes its place; the next ones repeat that."""
    request = make_request(request_id="r-4")
    await _counted_only(live, request)
    assert not live.log.exists()
    decisions = [await live.engine.decide(request, now=NOON + timedelta(seconds=n)) for n in (1, 2, 3)]
    assert len({decision.model_dump_json() for decision in decisions}) == 1
    (record,) = _records(live)
    assert record.decision_id == decisions[0].decision_id
    assert record.facts.history is not None
    assert record.facts.history.attempts_5m == 1
    later = await live.engine.decide(make_request(), now=NOON + timedelta(seconds=4))
    told = find(live.log, later.decision_id)
    assert told is not None
    assert told.facts.history is not None
    assert told.facts.history.attempts_5m == 2
    report = OutcomeReport(decision_id=record.decision_id, outcome=Reported.LOGIN_SUCCEEDED)
    assert (await live.outcomes.report(report, now=NOON + timedelta(seconds=5))).status == "accepted"


async def test_a_storm_of_repeats_records_once(live: Live, make_request: MakeRequest) -> None:
    """A hundred repeats at once, at two workers, of what nobody recorded: one of them is recorded, all say the same."""
    request = make_request(request_id="r-8")
    await _counted_only(live, request)
    engines = [live.with_model(None), live.with_model(None)]
    decisions = await asyncio.gather(*(engines[n % 2].decide(request, now=NOON) for n in range(100)))
    assert len({decision.model_dump_json() for decision in decisions}) == 1
    assert [record.decision_id for record in _records(live)] == [decisions[0].decision_id]


async def test_a_repeat_waits_for_its_first_alone(live: Live, make_request: MakeRequest) -> None:
    """A repeat that no record backs leaves its group, which is answered without it."""
    request = make_request(request_id="r-5")
    await _counted_only(live, request)
    unbacked, beside = await live.engine.decide_all([Call(request, NOON), Call(make_request(), NOON)])
    assert isinstance(unbacked, UnbackedError)
    assert isinstance(beside, Decision)


async def test_a_repeat_under_another_policy_is_another_decision(live: Live, make_request: MakeRequest) -> None:
    """After a reload a repeat is judged by the new policy, under an id of its own: every answer has its one record."""
    strict = load(SHIPPED / "admin_console.yaml")
    request = make_request(request_id="r-6", context={"user_agent": "curl/8.5.0"})
    engines = [live.engine, live.with_model(None, strict)]
    answers = [await engine.decide(request, now=NOON) for engine in (*engines, engines[1])]
    assert answers[1] == answers[2]
    assert answers[0].policy_revision != answers[1].policy_revision
    assert answers[0].decision_id != answers[1].decision_id
    recorded = [(record.decision_id, record.policy_revision) for record in _records(live)]
    assert recorded == [(answer.decision_id, answer.policy_revision) for answer in answers[:2]]


async def test_a_repeat_after_a_late_store_is_another_decision(live: Live, make_request: MakeRequest) -> None:
    """The store counted the first but answered too late: what was said without it stands, the repeat has its own id."""
    request = make_request(request_id="r-9", context={"user_agent": "curl/8.5.0"})
    engine = live.with_model(None)
    sent = live.store._gate.route.call

    async def late(*given: Any, **more: Any) -> Any:  # noqa: ANN401 - as the route
        await sent(*given, **more)
        raise StoreUnavailable("the store did not answer in time")

    live.store._gate.route.call = late  # type: ignore[method-assign]
    first = await engine.decide(request, now=NOON)
    live.store._gate.route.call = sent  # type: ignore[method-assign]
    again = [await engine.decide(request, now=NOON + timedelta(seconds=n)) for n in (1, 2)]
    assert first.degraded == ("store",)
    assert again[0].degraded == ()
    assert again[0] == again[1]
    assert [record.decision_id for record in _records(live)] == [first.decision_id, again[0].decision_id]


async def test_two_workers_at_once_record_once(live: Live, make_request: MakeRequest) -> None:
    """The same request at two engines at the same moment is one decision with one record."""
    engines = [live.with_model(None), live.with_model(None)]
    for n in range(20):
        request = make_request(request_id=f"r-7-{n}")
        one, other = await asyncio.gather(*(engine.decide(request, now=NOON) for engine in engines))
        assert one == other
    assert len(_records(live)) == 20


@asynccontextmanager
async def _worker(live: Live, valkey: str, marker: Path) -> AsyncIterator[tuple[Engine, Store]]:
    """Return the engine of another worker, which has a connection of its own to the same store."""
    store = Store(parse(valkey), marker, budget_s=2.0, prefix=live.store._keys._prefix)
    engine = live.with_model(None)
    engine._store = store
    yield engine, store
    await store.close()


def _cut(store: Store) -> Callable[[], None]:
    """Keep a store from being connected to; returns what mends it."""
    link = store._gate.route._link  # type: ignore[attr-defined]
    find_server = link._find

    async def nowhere() -> None:
        raise OSError("no way there")

    def mend() -> None:
        link._find = find_server

    link._find = nowhere
    return mend


async def test_a_note_that_comes_late_speaks_of_its_own_decision(
    live: Live, valkey: str, make_request: MakeRequest, tmp_path: Path
) -> None:
    """What an outage's decision was is noted a minute later: the decision that repeats are answered by stays."""
    request = make_request(request_id="r-20", context={"user_agent": "curl/8.5.0"})
    async with (
        _worker(live, valkey, tmp_path / "1") as (one, store),
        _worker(live, valkey, tmp_path / "2") as (other, _),
    ):
        mend = _cut(store)
        degraded = await one.decide(request, now=NOON)
        assert degraded.degraded == ("store",)
        answers = [await other.decide(request, now=NOON + timedelta(seconds=n)) for n in (1, 2)]
        mend()
        await one.decide(make_request(), now=NOON + timedelta(seconds=60))  # tells what could not be told
        await asyncio.sleep(0.05)
        answers.append(await other.decide(request, now=NOON + timedelta(seconds=61)))
    assert answers[0] == answers[1] == answers[2]
    recorded = [record.decision_id for record in _records(live) if record.request_id]
    assert recorded == [degraded.decision_id, answers[0].decision_id]


async def test_a_storm_after_an_outage_is_one_decision(
    live: Live, valkey: str, make_request: MakeRequest, tmp_path: Path
) -> None:
    """Fifty retries at two workers, of what was answered while the store was away, are one decision beside it."""
    request = make_request(request_id="r-21")
    async with (
        _worker(live, valkey, tmp_path / "1") as (one, store),
        _worker(live, valkey, tmp_path / "2") as (other, _),
    ):
        mend = _cut(store)
        await one.decide(request, now=NOON)
        mend()
        await one.decide(make_request(), now=NOON)
        await asyncio.sleep(0.05)
        now = NOON + timedelta(seconds=1)
        answers = await asyncio.gather(*((one, other)[n % 2].decide(request, now=now) for n in range(50)))
    assert len({answer.decision_id for answer in answers}) == 1
    assert len([record for record in _records(live) if record.request_id]) == 2


async def test_a_worker_that_stands_still_is_not_waited_for_again_and_again(
    live: Live, valkey: str, make_request: MakeRequest, tmp_path: Path
) -> None:
    """A repeat takes the place of a first that is late; once that is recorded after all, others keep to the repeat."""
    request = make_request(request_id="r-22")
    slow = live.with_model(None)
    record = slow._record

    async def late(cases: list[Any]) -> None:
        await asyncio.sleep(0.5)
        await record(cases)

    slow._record = late  # type: ignore[method-assign]
    async with _worker(live, valkey, tmp_path / "2") as (other, _):
        first = asyncio.create_task(slow.decide(request, now=NOON))
        await asyncio.sleep(0.05)
        answers = [await other.decide(request, now=NOON + timedelta(seconds=1))]
        told = await first
        await asyncio.sleep(0.05)
        answers += [await other.decide(request, now=NOON + timedelta(seconds=n)) for n in (2, 3)]
    assert answers[0] == answers[1] == answers[2]
    assert {record.decision_id for record in _records(live)} == {told.decision_id, answers[0].decision_id}


async def test_a_first_that_fails_late_takes_no_place_away(
    live: Live, valkey: str, make_request: MakeRequest, tmp_path: Path
) -> None:
    """Its record is lost when a repeat has been recorded in its place: that one stands, and counts once."""

    class Failing:
        slow = True

        async def append_aside(self, records: Sequence[object]) -> list[RecordUnavailable]:
            await asyncio.sleep(0.5)
            return [RecordUnavailable("the disk is full")] * len(records)

    request = make_request(request_id="r-23")
    failing = live.with_model(None)
    failing._writer = Failing()  # type: ignore[assignment]
    async with _worker(live, valkey, tmp_path / "2") as (other, _):
        first = asyncio.create_task(failing.decide(request, now=NOON))
        await asyncio.sleep(0.05)
        answers = [await other.decide(request, now=NOON + timedelta(seconds=1))]
        with pytest.raises(RecordUnavailable):
            await first
        await asyncio.sleep(0.05)
        answers.append(await other.decide(request, now=NOON + timedelta(seconds=2)))
    assert answers[0] == answers[1]
    (record,) = _records(live)
    assert record.facts.history is not None
    assert record.facts.history.attempts_5m == 1


async def test_a_repeat_that_says_anything_else_is_another_decision(
    live: Live, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same verdict and score, another range, since a database knows less today: an id and a record of its own."""
    request = make_request(request_id="r-24")
    first = await live.engine.decide(request, now=NOON)
    monkeypatch.setattr("riskd.enrich.enrich._place", lambda *_given: PlaceFacts())
    again = await live.engine.decide(request, now=NOON + timedelta(seconds=1))
    assert (first.decision, first.score) == (again.decision, again.score)
    assert first.score_range != again.score_range
    assert [(record.decision_id, record.score_range) for record in _records(live)] == [
        (answer.decision_id, answer.score_range) for answer in (first, again)
    ]


async def _told(live: Live, decision: Decision, outcome: Reported, now: datetime) -> str:
    report = OutcomeReport(decision_id=decision.decision_id, outcome=outcome)
    return (await live.outcomes.report(report, now=now)).status


async def _known(live: Live, make_request: MakeRequest, now: datetime) -> tuple[int, int]:
    """Return how many successes and failures the subject has, as the next attempt sees it."""
    record = find(live.log, (await live.engine.decide(make_request(), now=now)).decision_id)
    assert record is not None
    assert record.facts.history is not None
    return record.facts.history.confirmed, record.facts.history.failures_1h


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize(
    ("outcome", "known"), [(Reported.CONFIRMED_LEGITIMATE, (1, 0)), (Reported.LOGIN_FAILED, (0, 1))]
)
async def test_an_attempt_teaches_once(
    live: Live, make_request: MakeRequest, outcome: Reported, known: tuple[int, int], early: bool
) -> None:
    """Repeats under other policies have ids of their own; what is reported on each teaches once, whichever is first."""
    request = make_request(request_id="r-25")
    policies = [load(SHIPPED / f"{name}.yaml") for name in ("payments", "admin_console")]
    decisions = [await live.engine.decide(request, now=NOON)]
    told = [await _told(live, decisions[0], outcome, NOON)] if early else []
    engines = [live.with_model(None, policy) for policy in policies]
    decisions += [await engine.decide(request, now=NOON + timedelta(seconds=1)) for engine in engines]
    told += [await _told(live, one, outcome, NOON + timedelta(seconds=2)) for one in reversed(decisions)]
    assert len({one.decision_id for one in decisions}) == 3
    assert told == ["accepted", *["repeated"] * (len(told) - 1)]
    assert await _known(live, make_request, NOON + timedelta(seconds=3)) == known


async def test_a_fraud_takes_back_what_another_id_taught(live: Live, make_request: MakeRequest) -> None:
    """A success on the first id is undone by a fraud on the second, and no success on either teaches it again."""
    request = make_request(request_id="r-26")
    first = await live.engine.decide(request, now=NOON)
    assert await _told(live, first, Reported.CONFIRMED_LEGITIMATE, NOON) == "accepted"
    strict = live.with_model(None, load(SHIPPED / "payments.yaml"))
    again = await strict.decide(request, now=NOON + timedelta(seconds=1))
    assert await _told(live, again, Reported.CONFIRMED_FRAUD, NOON + timedelta(seconds=2)) == "accepted"
    assert await _known(live, make_request, NOON + timedelta(seconds=3)) == (0, 0)
    for one in (first, again):
        await _told(live, one, Reported.STEP_UP_PASSED, NOON + timedelta(seconds=4))
    assert await _known(live, make_request, NOON + timedelta(seconds=5)) == (0, 0)


async def test_what_was_reported_survives_a_lost_record(
    live: Live, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first was reported on, its repeat's record is lost: what takes that one's place teaches nothing twice."""
    request = make_request(request_id="r-27")
    first = await live.engine.decide(request, now=NOON)
    assert await _told(live, first, Reported.LOGIN_FAILED, NOON) == "accepted"
    strict = live.with_model(None, load(SHIPPED / "payments.yaml"))
    with monkeypatch.context() as patch:
        patch.setattr(live.writer, "append_all", lambda records: [RecordUnavailable("the disk is full")] * len(records))
        with pytest.raises(RecordUnavailable):
            await strict.decide(request, now=NOON + timedelta(seconds=1))
    again = await strict.decide(request, now=NOON + timedelta(seconds=2))
    assert await _told(live, again, Reported.LOGIN_FAILED, NOON + timedelta(seconds=3)) == "repeated"
    assert await _known(live, make_request, NOON + timedelta(seconds=4)) == (0, 1)
