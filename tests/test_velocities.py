"""Velocities on the way of a decision: counted, read, recorded, judged again, and unknown while the store is down."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from riskd.case import Call
from riskd.contract import DecideRequest
from riskd.engine import Engine
from riskd.enrich.enrich import Enricher
from riskd.enrich.geo import Geo
from riskd.evaluation import evaluate
from riskd.learn.replay.judgeable import why_not
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, parse
from riskd.record.reader import find
from riskd.record.redact import Redaction
from riskd.record.schema import DecisionRecord
from riskd.store import Store
from riskd.store import parse as parse_url
from riskd.store.upkeep import connect
from tests.conftest import IDENTITY, NOON, Live

MakeRequest = Callable[..., DecideRequest]

DECLARED = """
velocities:
  - {name: payouts_24h, count: attempts, per: recipient, window: 24h, actions: [payment], limit: 2, floor: deny}
  - {name: paid_1h, sum: amount, per: subject, window: 1h, actions: [payment]}
  - {name: cards_10m, distinct: attributes.card, per: ip, window: 10m, limit: 1, floor: step_up}
  - {name: bytes_1h, sum: attributes.bytes, per: attributes.tenant, window: 1h}
custom_signals:
  - {code: paid_a_lot, when: velocity.paid_1h > 100.0, weight: 0.5, text: A lot was paid., actions: [payment]}
"""
PAY = {"name": "transfer", "amount": 60.0, "currency": "EUR", "recipient": "DE02120300000000202051"}


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The shipped policy with velocities and a signal that reads one."""
    return parse((SHIPPED / "default.yaml").read_bytes() + DECLARED.encode(), "riskd.yaml")


def _engine(live: Live, policy: Policy, **parts: Any) -> Engine:  # noqa: ANN401 - any part
    usual = {
        "enricher": Enricher(IDENTITY, Geo(live.log.parent)),
        "store": live.store,
        "policy": policy,
        "model": None,
        "writer": live.writer,
        "redaction": Redaction(IDENTITY.text, attributes=policy.recorded_attributes, words=policy.words),
        "sealer": IDENTITY.sealer,
        "metrics": live.metrics,
    }
    return Engine(**{**usual, **parts})


@pytest.fixture
def engine(live: Live, policy: Policy) -> Engine:
    """An engine under that policy."""
    return _engine(live, policy)


def _record(live: Live, decision_id: str) -> DecisionRecord:
    record = find(live.log, decision_id)
    assert record is not None
    return record


def _velocities(live: Live, decision_id: str) -> dict[str, float | None]:
    return {key.partition(":")[0]: value for key, value in _record(live, decision_id).facts.velocities.items()}


async def test_a_decision_is_made_from_its_velocities(live: Live, engine: Engine, make_request: MakeRequest) -> None:
    """The third payout to a recipient is denied, the second of a subject hits the expression; all is recorded."""
    seen = []
    for number in range(3):
        decision = await engine.decide(make_request(action=PAY), now=NOON + timedelta(minutes=number))
        seen.append((_velocities(live, decision.decision_id), {reason.code for reason in decision.reasons}, decision))
    assert [(v["payouts_24h"], v["paid_1h"]) for v, _, _ in seen] == [(1, 60), (2, 120), (3, 180)]
    assert all(v["cards_10m"] == 0 and v["bytes_1h"] is None for v, _, _ in seen)
    assert [("velocity_payouts_24h" in codes, "paid_a_lot" in codes) for _, codes, _ in seen] == [
        (False, False),
        (False, True),
        (True, True),
    ]
    assert seen[2][2].decision == "deny"
    reason = next(r for r in seen[2][2].reasons if r.code == "velocity_payouts_24h")
    assert reason.text == "More than 2 attempts per recipient in 24h."


async def test_a_class_that_is_not_counted(live: Live, engine: Engine, make_request: MakeRequest) -> None:
    """A login is neither counted nor told what is counted for payments only, and no signal of theirs is asked."""
    await engine.decide(make_request(action=PAY), now=NOON)
    decision = await engine.decide(make_request(action={"name": "login"}), now=NOON)
    assert set(_velocities(live, decision.decision_id)) == {"cards_10m", "bytes_1h"}
    record = _record(live, decision.decision_id)
    assert not {"velocity_payouts_24h", "paid_a_lot"} & {*record.unknown, *record.hits, *record.errors}


async def test_attributes_are_counted_by_keyed_hashes(
    live: Live, engine: Engine, make_request: MakeRequest, valkey: str
) -> None:
    """An attribute is counted without being recorded or kept; one number is one value however it is written."""
    for card in ("4111111111111111", 7, 7.0, "7"):
        attributes = {"card": card, "tenant": "acme", "bytes": 10}
        decision = await engine.decide(make_request(context={"attributes": attributes}), now=NOON)
    told = _velocities(live, decision.decision_id)
    assert (told["cards_10m"], told["bytes_1h"]) == (2, 40)
    assert decision.decision == "step_up"
    assert _record(live, decision.decision_id).facts.attributes == {}
    assert b"4111111111111111" not in b"".join(path.read_bytes() for path in live.log.iterdir())
    prefix = live.store._keys.epoch.partition(":")[0]
    with connect(valkey) as client:
        keys = list(client.scan_iter(match=f"{prefix}:*:y*", count=1000))
        texts = [client.get(key) for key in keys]
    assert len(texts) == 2
    assert all(b"acme" not in kept and b"4111" not in kept for kept in (*keys, *texts))


async def test_what_is_no_number_adds_nothing(live: Live, engine: Engine, make_request: MakeRequest) -> None:
    """A text, a flag or a number beyond all bounds is not summed, and costs the decision nothing."""
    for odd in ("10", True, 1e300):
        attributes = {"tenant": "acme", "bytes": odd}
        decision = await engine.decide(make_request(context={"attributes": attributes}), now=NOON)
        assert _velocities(live, decision.decision_id)["bytes_1h"] == 0
        assert decision.degraded == ()


async def test_a_record_is_judged_again(
    live: Live, engine: Engine, policy: Policy, default_policy: Policy, make_request: MakeRequest
) -> None:
    """From its record a decision comes out the same; under other velocities it says which was not counted."""
    for number in range(3):
        decision = await engine.decide(make_request(action=PAY), now=NOON + timedelta(minutes=number))
    record = _record(live, decision.decision_id)
    again = evaluate(record.facts, policy, None)
    assert {hit.question.code: hit.strength for hit in again.hits} == record.hits
    assert (again.score, again.outcome.word) == (record.score, record.outcome)
    assert why_not(record, policy, policy, None, again) is None
    longer = parse(
        (SHIPPED / "default.yaml").read_bytes()
        + DECLARED.replace("payouts_24h", "payouts_48h").replace("window: 24h", "window: 48h").encode(),
        "riskd.yaml",
    )
    other = evaluate(record.facts, longer, None)
    assert why_not(record, policy, longer, None, other) == "velocity payouts_48h was not counted then"
    before = await live.engine.decide(make_request(action=PAY), now=NOON)
    record = _record(live, before.decision_id)
    assert record.facts.velocities == {}
    said = why_not(record, default_policy, policy, None, evaluate(record.facts, policy, None))
    assert said is not None
    assert said.endswith("was not counted then")


async def test_a_repeat_is_answered_as_the_first(live: Live, engine: Engine, make_request: MakeRequest) -> None:
    """The same request id gives the first answer and counts nothing."""
    request = make_request(action=PAY, request_id="once")
    first = await engine.decide(request, now=NOON)
    await engine.decide(make_request(action=PAY), now=NOON)
    again = await engine.decide(request, now=NOON + timedelta(seconds=1))
    assert again == first
    last = await engine.decide(make_request(action=PAY), now=NOON)
    assert _velocities(live, last.decision_id)["payouts_24h"] == 3


async def test_together_as_alone(live: Live, engine: Engine, make_request: MakeRequest) -> None:
    """Attempts in one group are counted one after the other, of whatever class they are."""
    requests = [make_request(action=action) for action in (PAY, {"name": "login"}, PAY, {"name": "view"}, PAY)]
    decisions = await engine.decide_all([Call(request, NOON) for request in requests])
    told = [_velocities(live, d.decision_id).get("payouts_24h") for d in decisions if not isinstance(d, Exception)]
    assert told == [1, None, 2, None, 3]


async def test_store_down(live: Live, policy: Policy, make_request: MakeRequest) -> None:
    """While the store is down velocities are unknown, the answer is degraded, and its record comes out the same."""
    gone = Store(parse_url("unix:///nowhere/at/all"), live.log.parent / "gone", budget_s=0.1)
    try:
        decision = await _engine(live, policy, store=gone).decide(make_request(action=PAY), now=NOON)
    finally:
        await gone.close()
    assert decision.degraded == ("store",)
    record = _record(live, decision.decision_id)
    assert record.facts.velocities == {}
    assert {"velocity_payouts_24h", "paid_a_lot"} <= set(record.unknown)
    again = evaluate(record.facts, policy, None)
    assert (again.score, again.unknown) == (record.score, record.unknown)
    assert why_not(record, policy, policy, None, again) is None


async def test_a_new_policy_begins_from_zero(live: Live, engine: Engine, make_request: MakeRequest) -> None:
    """What another policy declares is counted from its first attempt on; what both declare goes on."""
    for _ in range(2):
        await engine.decide(make_request(action=PAY), now=NOON)
    changed = DECLARED.replace("name: paid_1h, sum: amount, per: subject", "name: paid_1h, sum: amount, per: device")
    text = (SHIPPED / "default.yaml").read_bytes() + changed.encode()
    other = _engine(live, parse(text, "riskd.yaml"))
    told = _velocities(live, (await other.decide(make_request(action=PAY), now=NOON)).decision_id)
    assert (told["payouts_24h"], told["paid_1h"]) == (3, 60)
