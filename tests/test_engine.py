"""The decision page on real parts: history, evidence, idempotency, degradation, records judged again."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from riskd.answer import answer
from riskd.contract import DecideRequest, Decision, DecisionRequest, OutcomeReport, Reported
from riskd.decision_id import Verdict
from riskd.enrich.enrich import Enricher
from riskd.enrich.geo import Geo
from riskd.errors import ConflictError, StoreUnavailable
from riskd.evaluation import evaluate
from riskd.features.velocity import Counts
from riskd.policy import Policy
from riskd.record.reader import find, read
from riskd.record.schema import DecisionRecord
from riskd.store import Attempt, Observation
from tests.conftest import IDENTITY, NOON, Live

MakeRequest = Callable[..., DecideRequest]
ABROAD = {"ip": "177.36.0.1", "device_id": "other", "accept_language": "pt-BR", "utc_offset_minutes": -180}


async def _habit(live: Live, make_request: MakeRequest, days: int = 12) -> None:
    """Give alice a fortnight of confirmed logins, ending the day before NOON."""
    for day in range(days, 0, -1):
        now = NOON - timedelta(days=day)
        decision = await live.engine.decide(make_request(), now=now)
        report = OutcomeReport(decision_id=decision.decision_id, outcome=Reported.LOGIN_SUCCEEDED)
        await live.outcomes.report(report, now=now)


def _codes(decision: Decision) -> set[str]:
    return {reason.code for reason in decision.reasons}


async def test_known_laptop_is_allowed(live: Live, make_request: MakeRequest) -> None:
    """The same person on the known laptop gets allow."""
    await _habit(live, make_request)
    decision = await live.engine.decide(make_request(), now=NOON)
    assert decision.decision == "allow"
    assert decision.degraded == ()


async def test_new_device_abroad_is_stepped_up(live: Live, make_request: MakeRequest) -> None:
    """A new device in another country gets step_up, with what it must achieve."""
    await _habit(live, make_request)
    decision = await live.engine.decide(make_request(context=ABROAD), now=NOON)
    assert decision.decision == "step_up"
    assert {"new_device", "new_country"} <= _codes(decision)
    assert decision.step_up is not None
    assert decision.step_up.level == 2
    assert "webauthn" in decision.step_up.methods
    assert sum(round(r.contribution * 10) for r in decision.reasons) == round(decision.score * 10)


async def test_attempts_alone_teach_nothing(live: Live, make_request: MakeRequest) -> None:
    """An attacker who tries again and again from his own laptop does not make it known."""
    await _habit(live, make_request)
    for minute in range(5):
        decision = await live.engine.decide(make_request(context=ABROAD), now=NOON + timedelta(minutes=20 * minute))
        assert "new_device" in _codes(decision)


async def test_denied_attempt_reported_as_success_teaches_nothing(live: Live, make_request: MakeRequest) -> None:
    """Even a success reported for a denied attempt leaves its device unknown."""
    await _habit(live, make_request)
    bot = {**ABROAD, "user_agent": "python-requests/2.32", "ip": "185.220.101.1"}
    decision = await live.engine.decide(make_request(context=bot), now=NOON)
    assert decision.decision == "deny"
    for outcome in (Reported.LOGIN_SUCCEEDED, Reported.STEP_UP_PASSED, Reported.CONFIRMED_LEGITIMATE):
        await live.outcomes.report(OutcomeReport(decision_id=decision.decision_id, outcome=outcome), now=NOON)
    again = await live.engine.decide(make_request(context=bot), now=NOON + timedelta(hours=3))
    assert "new_device" in _codes(again)


async def test_fresh_evidence_lets_the_retry_in(live: Live, make_request: MakeRequest) -> None:
    """After the step-up the retry is allowed, its id says so, and the caller of the engine is told once."""
    await _habit(live, make_request)
    first = await live.engine.decide(make_request(context=ABROAD), now=NOON)
    assert first.step_up is not None
    proof = {"acr": first.step_up.acr_values[0], "auth_time": int(NOON.timestamp()) + 30}
    retry = await live.engine.decide(make_request(context=ABROAD, subject=proof), now=NOON + timedelta(seconds=60))
    assert retry.decision == "allow"
    assert IDENTITY.sealer.open(retry.decision_id)[1] is Verdict.ALLOW_BY_EVIDENCE
    assert live.evidence == [retry.decision_id]
    report = OutcomeReport(decision_id=retry.decision_id, outcome=Reported.STEP_UP_PASSED)
    await live.outcomes.report(report, now=NOON + timedelta(seconds=61), source="evidence")
    later = await live.engine.decide(make_request(context=ABROAD), now=NOON + timedelta(days=2))
    assert "new_device" not in _codes(later)


async def test_stale_evidence_does_not_count(live: Live, make_request: MakeRequest) -> None:
    """An acr from an hour ago does not answer a step-up that asks for fifteen minutes."""
    await _habit(live, make_request)
    proof = {"acr": "urn:riskd:loa:2", "auth_time": int(NOON.timestamp()) - 3600}
    decision = await live.engine.decide(make_request(context=ABROAD, subject=proof), now=NOON)
    assert decision.decision == "step_up"


async def test_stolen_fresh_session_does_not_walk_in(live: Live, make_request: MakeRequest) -> None:
    """Evidence from before a session hop is the victim's, so it does not answer the hop."""
    await _habit(live, make_request)
    proof = {"acr": "urn:riskd:loa:2", "auth_time": int(NOON.timestamp()) - 60}
    own = await live.engine.decide(make_request(subject=proof), now=NOON)
    assert own.decision == "allow"
    thief = {**ABROAD, "device_id": None}
    stolen = await live.engine.decide(make_request(subject=proof, context=thief), now=NOON + timedelta(minutes=2))
    assert "session_hop" in _codes(stolen)
    assert stolen.decision != "allow"


async def test_same_request_id_is_one_attempt(live: Live, make_request: MakeRequest) -> None:
    """Fifty at once under one request id: one answer, one count, one record."""
    request = make_request(request_id="r-1")
    calls = (live.engine.decide(request, now=NOON) for _ in range(50))
    decisions = await asyncio.gather(*calls)
    assert len({decision.model_dump_json() for decision in decisions}) == 1
    assert len([r for r in read(live.log) if isinstance(r, DecisionRecord)]) == 1
    other = await live.engine.decide(make_request(), now=NOON)
    record = find(live.log, other.decision_id)
    assert record is not None
    assert record.facts.history is not None
    assert record.facts.history.attempts_5m == 2


async def test_repeat_answers_as_the_first_even_after_news(live: Live, make_request: MakeRequest) -> None:
    """A repeat hours later, after more confirmed logins, is still the first answer to the byte."""
    first = await live.engine.decide(make_request(request_id="r-2"), now=NOON)
    await _habit(live, make_request)
    again = await live.engine.decide(make_request(request_id="r-2"), now=NOON + timedelta(hours=5))
    assert again.model_dump_json() == first.model_dump_json()


async def test_request_id_with_another_body_conflicts(live: Live, make_request: MakeRequest) -> None:
    """The same request id with another body is refused, and counts nothing."""
    await live.engine.decide(make_request(request_id="r-3"), now=NOON)
    with pytest.raises(ConflictError):
        await live.engine.decide(make_request(request_id="r-3", context=ABROAD), now=NOON)


async def test_the_request_is_told_by_what_it_means(live: Live) -> None:
    """Under one request id white space and key order make no other request; another value does."""
    plain = b'{"request_id":"r-4","subject":{"id":"ada"},"action":{"name":"login"},"context":{"ip":"192.0.2.1"}}'
    pretty = b'{ "action":{"name":"login"},\n"context":{"ip":"192.0.2.1"}, "subject":{"id":"ada"},"request_id":"r-4"}'
    first = await live.engine.decide(DecideRequest.model_validate_json(plain), now=NOON)
    assert await live.engine.decide(DecideRequest.model_validate_json(pretty), now=NOON) == first
    with pytest.raises(ConflictError):
        await live.engine.decide(DecideRequest.model_validate_json(plain.replace(b"ada", b"eve")), now=NOON)


async def test_anonymous_subject_without_ip(live: Live) -> None:
    """The engine takes an anonymous subject and an unknown address; history is unknown, not new."""
    request = DecisionRequest.model_validate_json('{"action": {"name": "view"}}')
    decision = await live.engine.decide(request, now=NOON)
    assert decision.decision == "allow"
    assert _codes(decision) == set()


class _DownStore:
    """Stands in for a store that does not answer, beside the real one that tests/faults takes away."""

    async def observe_all(
        self, attempts: list[Attempt], _budget_s: float, _window_s: int, _counts: list[Counts | None]
    ) -> list[Observation | StoreUnavailable]:
        return [StoreUnavailable("gone")] * len(attempts)


@pytest.mark.parametrize(("action", "outcome"), [("login", "step_up"), ("view", "allow")])
async def test_store_down_follows_the_fail_mode(
    live: Live, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch, action: str, outcome: str
) -> None:
    """Without the store the answer says so and is at least the action's fail mode; the record says so too."""
    monkeypatch.setattr(live.engine, "_store", _DownStore())
    decision = await live.engine.decide(make_request(action={"name": action}), now=NOON)
    assert decision.degraded == ("store",)
    assert decision.decision == outcome
    record = find(live.log, decision.decision_id)
    assert record is not None
    assert record.degraded == ("store",)
    assert record.facts.subject.token is None


async def test_record_is_judged_again_byte_for_byte(
    live: Live, make_request: MakeRequest, default_policy: Policy, tmp_path: Path
) -> None:
    """From the record alone, the pure function gives the very decision that was answered."""
    await _habit(live, make_request)
    secret = {**ABROAD, "attributes": {"note": "hunter2", "email": "alice@example.com"}}
    decisions = [
        await live.engine.decide(make_request(), now=NOON),
        await live.engine.decide(make_request(context=secret), now=NOON + timedelta(minutes=1)),
    ]
    for decision in decisions:
        record = find(tmp_path / "log", decision.decision_id)
        assert record is not None
        again = answer(
            evaluate(record.facts, default_policy, None),
            record.facts,
            default_policy,
            decision_id=record.decision_id,
            model_version=None,
            at=record.evaluated_at,
        )
        assert again.model_dump_json() == decision.model_dump_json()


async def test_no_identifier_reaches_the_record(live: Live, make_request: MakeRequest) -> None:
    """Subject, session, device, address and attributes are nowhere in the log as the caller sent them."""
    request = make_request(
        subject={"id": "alice-4711", "session_id": "sess-secret-1"},
        context={"device_id": "dev-secret-2", "attributes": {"pan": "4111111111111111"}},
        action={"name": "transfer", "amount": 10.0, "currency": "EUR", "recipient": "DE02120300000000202051"},
    )
    await live.engine.decide(request, now=NOON)
    text = "".join(path.read_text() for path in live.log.iterdir())
    for secret in ("alice-4711", "sess-secret-1", "dev-secret-2", "81.2.69.142", "4111111111111111", "DE0212030000"):
        assert secret not in text


async def test_a_device_known_for_minutes_is_still_fresh(live: Live, make_request: MakeRequest) -> None:
    """A device that became known today does not carry a payment as the old laptop does."""
    await _habit(live, make_request)
    decision = await live.engine.decide(make_request(context={"device_id": "phone"}), now=NOON)
    assert decision.decision == "allow"
    report = OutcomeReport(decision_id=decision.decision_id, outcome=Reported.LOGIN_SUCCEEDED)
    await live.outcomes.report(report, now=NOON)
    payment = {"name": "transfer", "amount": 10.0, "currency": "EUR"}
    soon = make_request(action=payment, context={"device_id": "phone"})
    decision = await live.engine.decide(soon, now=NOON + timedelta(minutes=5))
    assert "fresh_device" in _codes(decision)
    assert "new_device" not in _codes(decision)
    laptop = await live.engine.decide(make_request(action=payment), now=NOON + timedelta(minutes=5))
    assert "fresh_device" not in _codes(laptop)
    later = await live.engine.decide(soon, now=NOON + timedelta(days=2))
    assert "fresh_device" not in _codes(later)


@pytest.mark.parametrize(
    ("peer", "header", "same"),
    [
        ("10.0.0.7", "1.2.3.4, 81.2.69.142", True),  # the right-most hop that is no trusted proxy
        ("10.0.0.7", "81.2.69.142, 177.36.0.1", False),  # what the client wrote itself counts for nothing
        ("177.36.0.1", "81.2.69.142", False),  # the peer is no trusted proxy: the header is ignored
    ],
)
async def test_forwarded_for_is_read_from_the_right(
    live: Live, make_request: MakeRequest, tmp_path: Path, peer: str, header: str, same: bool
) -> None:
    """The client behind trusted proxies is the known address, and a spoofed header does not make it so."""
    await _habit(live, make_request)
    live.engine._enricher = Enricher(IDENTITY, Geo(tmp_path), trusted=(ip_network("10.0.0.0/8"),))
    decision = await live.engine.decide(make_request(context={"ip": peer, "forwarded_for": header}), now=NOON)
    assert ("new_ip" not in _codes(decision)) is same


async def test_old_evidence_from_elsewhere_teaches_nothing(live: Live, make_request: MakeRequest) -> None:
    """A thief with the owner's fresh assurance may pass, but not make his device known: no step-up was his."""
    await _habit(live, make_request)
    proof = {"acr": "urn:riskd:loa:2", "auth_time": int(NOON.timestamp()) - 300, "session_id": None}
    own = await live.engine.decide(make_request(subject=proof), now=NOON)
    report = OutcomeReport(decision_id=own.decision_id, outcome=Reported.LOGIN_SUCCEEDED)
    await live.outcomes.report(report, now=NOON)
    await live.engine.decide(make_request(subject=proof, context=ABROAD), now=NOON + timedelta(minutes=3))
    assert live.evidence == []
