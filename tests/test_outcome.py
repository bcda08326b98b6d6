"""What outcomes teach, and what they never teach."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from riskd.contract import DecideRequest, Decision, OutcomeReport, Reported
from riskd.decision_id import Verdict, new_base
from riskd.errors import RecordUnavailable, RequestError
from riskd.evaluation import evaluate
from riskd.facts import SubjectHistory
from riskd.outcome import confirms
from riskd.policy import Policy
from riskd.policy.schema import PolicyFile
from riskd.record.reader import find, read
from riskd.record.schema import DecisionRecord, OutcomeRecord, decode, encode
from tests.conftest import IDENTITY, NOON, Live

MakeRequest = Callable[..., DecideRequest]


@pytest.mark.parametrize("outcome", list(Reported))
def test_nothing_confirms_a_denied_attempt(outcome: Reported) -> None:
    """No outcome whatever makes a denied attempt known."""
    assert not confirms(outcome, Verdict.DENY)


@pytest.mark.parametrize(
    ("outcome", "verdict", "known"),
    [
        (Reported.LOGIN_SUCCEEDED, Verdict.ALLOW, True),
        (Reported.ACTION_COMPLETED, Verdict.ALLOW, True),
        (Reported.LOGIN_SUCCEEDED, Verdict.STEP_UP, False),
        (Reported.STEP_UP_PASSED, Verdict.STEP_UP, True),
        (Reported.STEP_UP_PASSED, Verdict.ALLOW_BY_EVIDENCE, True),
        (Reported.STEP_UP_PASSED, Verdict.ALLOW, False),
        (Reported.LOGIN_FAILED, Verdict.ALLOW, False),
        (Reported.STEP_UP_ABANDONED, Verdict.STEP_UP, False),
        (Reported.CONFIRMED_FRAUD, Verdict.ALLOW, False),
        (Reported.CONFIRMED_LEGITIMATE, Verdict.STEP_UP, True),
    ],
)
def test_what_confirms(outcome: Reported, verdict: Verdict, known: bool) -> None:
    """A success confirms what was allowed; after step_up only the step-up does."""
    assert confirms(outcome, verdict) is known


async def test_an_outcome_whose_record_is_lost_is_reported_again(live: Live, make_request: MakeRequest) -> None:
    """Who is told to try again is heard the next time, and the record is there then."""
    decision = await live.engine.decide(make_request(), now=NOON)
    report = OutcomeReport(decision_id=decision.decision_id, outcome=Reported.CONFIRMED_FRAUD)
    away = live.log.rename(live.log.with_name("away"))
    live.writer.close()
    live.log.write_text("in the way", encoding="utf-8")
    with pytest.raises(RecordUnavailable):
        await live.outcomes.report(report, now=NOON)
    live.log.unlink()
    away.rename(live.log)
    assert (await live.outcomes.report(report, now=NOON)).status == "accepted"
    assert [r.outcome for r in read(live.log) if isinstance(r, OutcomeRecord)] == [Reported.CONFIRMED_FRAUD]


async def test_reporting_twice_changes_nothing(live: Live, make_request: MakeRequest) -> None:
    """The same outcome again is answered `repeated`, and recorded and counted once."""
    decision = await live.engine.decide(make_request(), now=NOON)
    report = OutcomeReport(decision_id=decision.decision_id, outcome=Reported.LOGIN_SUCCEEDED)
    statuses = [(await live.outcomes.report(report, now=NOON)).status for _ in range(3)]
    assert statuses == ["accepted", "repeated", "repeated"]
    records = [r for r in read(live.log) if isinstance(r, OutcomeRecord)]
    assert [r.outcome for r in records] == [Reported.LOGIN_SUCCEEDED]
    assert live.metrics.outcomes.at("login_succeeded").value == 1


async def test_failures_feed_velocity(live: Live, make_request: MakeRequest) -> None:
    """Reported failures raise failed_logins for the subject."""
    for second in range(6):
        now = NOON + timedelta(seconds=second)
        decision = await live.engine.decide(make_request(), now=now)
        report = OutcomeReport(decision_id=decision.decision_id, outcome=Reported.LOGIN_FAILED)
        await live.outcomes.report(report, now=now)
    decision = await live.engine.decide(make_request(), now=NOON + timedelta(seconds=10))
    hit = next(r for r in decision.reasons if r.code == "failed_logins")
    assert hit.detail["failures_10m"] == 6


async def test_report_by_the_subject_forces_a_step_up(live: Live, make_request: MakeRequest) -> None:
    """After `not me`, even the known laptop must prove itself."""
    decision = await live.engine.decide(make_request(), now=NOON)
    for outcome in (Reported.LOGIN_SUCCEEDED, Reported.REPORTED_BY_USER):
        await live.outcomes.report(OutcomeReport(decision_id=decision.decision_id, outcome=outcome), now=NOON)
    later = await live.engine.decide(make_request(), now=NOON + timedelta(hours=1))
    assert later.decision == "step_up"
    assert "reported" in {reason.code for reason in later.reasons}


async def _tell(live: Live, decision: Decision, outcome: Reported, now: datetime) -> None:
    await live.outcomes.report(OutcomeReport(decision_id=decision.decision_id, outcome=outcome), now=now)


def _hit(decision: Decision) -> bool:
    return "reported" in {reason.code for reason in decision.reasons}


@pytest.fixture
def short_exemption(default_policy: Policy) -> Policy:
    """Reports are remembered for 20 days, and set aside for 3."""
    tuned = {"reported": {"memory_days": 20, "safe_for_days": 3}}
    file = PolicyFile.model_validate({**default_policy.file.model_dump(exclude_unset=True), "signals": tuned})
    return Policy(file, "short")


@pytest.mark.parametrize("vouched", ["the reported attempt", "a later attempt"])
async def test_confirmed_safe_is_an_exemption_that_expires(
    live: Live, make_request: MakeRequest, short_exemption: Policy, vouched: str
) -> None:
    """After `confirmed_legitimate` the report is set aside; when that expires within its memory, it counts again."""
    live.engine = live.with_model(None, short_exemption)
    decision = await live.engine.decide(make_request(), now=NOON)
    await _tell(live, decision, Reported.REPORTED_BY_USER, NOON)
    later = await live.engine.decide(make_request(), now=NOON + timedelta(hours=1))
    assert _hit(later)
    safe = decision if vouched == "the reported attempt" else later
    await _tell(live, safe, Reported.CONFIRMED_LEGITIMATE, NOON + timedelta(hours=2))
    within = await live.engine.decide(make_request(), now=NOON + timedelta(days=3))
    assert (within.decision, _hit(within)) == ("allow", False)
    await _tell(live, within, Reported.LOGIN_SUCCEEDED, NOON + timedelta(days=3))
    after = await live.engine.decide(make_request(), now=NOON + timedelta(days=3, hours=3))
    assert (after.decision, _hit(after)) == ("step_up", True)
    await _tell(live, after, Reported.STEP_UP_PASSED, NOON + timedelta(days=3, hours=3))
    assert not _hit(await live.engine.decide(make_request(), now=NOON + timedelta(days=4)))


async def test_a_report_after_the_confirmation_counts_at_once(live: Live, make_request: MakeRequest) -> None:
    """The exemption is for older reports only."""
    decision = await live.engine.decide(make_request(), now=NOON)
    await _tell(live, decision, Reported.CONFIRMED_FRAUD, NOON + timedelta(minutes=1))
    await _tell(live, decision, Reported.CONFIRMED_LEGITIMATE, NOON + timedelta(minutes=2))
    second = await live.engine.decide(make_request(), now=NOON + timedelta(minutes=3))
    assert not _hit(second)
    await _tell(live, second, Reported.REPORTED_BY_USER, NOON + timedelta(minutes=4))
    assert _hit(await live.engine.decide(make_request(), now=NOON + timedelta(minutes=5)))


async def test_vouching_for_another_attempt_hides_no_fraud(live: Live, make_request: MakeRequest) -> None:
    """An analyst who labels yesterday's honest login says nothing of today's theft."""
    honest = await live.engine.decide(make_request(), now=NOON - timedelta(days=1))
    theft = await live.engine.decide(make_request(context={"device_id": "thief"}), now=NOON)
    await _tell(live, theft, Reported.CONFIRMED_FRAUD, NOON + timedelta(hours=1))
    await _tell(live, honest, Reported.CONFIRMED_LEGITIMATE, NOON + timedelta(hours=2))
    assert _hit(await live.engine.decide(make_request(), now=NOON + timedelta(hours=3)))


async def test_an_exemption_is_judged_again_from_the_record(
    live: Live, make_request: MakeRequest, default_policy: Policy, short_exemption: Policy
) -> None:
    """The record holds the ages: judged again it comes out the same, under another policy as that one says."""
    decision = await live.engine.decide(make_request(), now=NOON)
    await _tell(live, decision, Reported.REPORTED_BY_USER, NOON)
    await _tell(live, decision, Reported.CONFIRMED_LEGITIMATE, NOON)
    exempt = await live.engine.decide(make_request(), now=NOON + timedelta(days=4))
    record = find(live.log, exempt.decision_id)
    assert record is not None
    assert record.facts.history is not None
    assert record.facts.history.confirmed_safe_age_s == 4 * 86_400
    again = evaluate(record.facts, default_policy, None)
    assert (again.score, again.outcome.word) == (exempt.score, exempt.decision)
    assert "reported" in {hit.question.code for hit in evaluate(record.facts, short_exemption, None).hits}


async def test_a_record_from_before_exemptions_is_still_read(live: Live, make_request: MakeRequest) -> None:
    """A line that says nothing of an exemption reads as one without."""
    decision = await live.engine.decide(make_request(), now=NOON)
    await _tell(live, decision, Reported.REPORTED_BY_USER, NOON)
    later = await live.engine.decide(make_request(), now=NOON + timedelta(hours=1))
    record = find(live.log, later.decision_id)
    assert record is not None
    line = json.loads(encode(record))
    written = line["facts"]["history"]
    assert len(written) == len(SubjectHistory.__struct_fields__)
    del written[SubjectHistory.__struct_fields__.index("confirmed_safe_age_s") :]
    old = decode(json.dumps(line).encode())
    assert isinstance(old, DecisionRecord)
    assert old == record


@pytest.mark.parametrize(
    "decision_id",
    [IDENTITY.sealer.seal(new_base(0), Verdict.ALLOW), "0" * 8 + "-0000-0000-0000-" + "0" * 12],
    ids=["of an attempt never made", "of zeros"],
)
async def test_unknown_decision_is_not_found(live: Live, decision_id: str) -> None:
    """A decision that nobody made is 404, whatever its id looks like."""
    report = OutcomeReport(decision_id=decision_id, outcome=Reported.LOGIN_SUCCEEDED)
    with pytest.raises(RequestError) as refused:
        await live.outcomes.report(report, now=NOON)
    assert refused.value.status == 404


async def test_a_report_from_the_future_is_dated_now(live: Live, make_request: MakeRequest) -> None:
    """A caller's clock that runs ahead cannot make a success younger than now."""
    decision = await live.engine.decide(make_request(), now=NOON)
    report = OutcomeReport(
        decision_id=decision.decision_id, outcome=Reported.LOGIN_SUCCEEDED, at=NOON + timedelta(days=3)
    )
    await live.outcomes.report(report, now=NOON)
    record = next(r for r in read(live.log) if isinstance(r, OutcomeRecord))
    assert record.at == NOON


async def test_a_forged_verdict_is_not_found(live: Live, make_request: MakeRequest) -> None:
    """The id of a denied attempt cannot be turned into that of an allowed one, so its device stays unknown."""
    known = await live.engine.decide(make_request(), now=NOON)
    await live.outcomes.report(OutcomeReport(decision_id=known.decision_id, outcome=Reported.LOGIN_SUCCEEDED), now=NOON)
    bot = {"device_id": "thief", "user_agent": "python-requests/2.32", "ip": "185.220.101.1"}
    denied = await live.engine.decide(make_request(context=bot), now=NOON + timedelta(minutes=5))
    assert denied.decision != "allow"
    for last in "0123456789abcdef":
        forged = denied.decision_id[:-1] + last
        if forged != denied.decision_id:
            with pytest.raises(RequestError) as refused:
                await live.outcomes.report(
                    OutcomeReport(decision_id=forged, outcome=Reported.LOGIN_SUCCEEDED), now=NOON
                )
            assert refused.value.status == 404
