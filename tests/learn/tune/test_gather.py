"""A judged log says of every decision at which thresholds it turns, and who it was as far as anybody said."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from msgspec.structs import replace

from riskd.contract import Outcome, Reported
from riskd.learn.replay.judge import Judged, judge
from riskd.learn.simulate.run import Simulated
from riskd.learn.tune.gather import ATTACK, HONEST, NEITHER, Decisions, gather, tenths
from riskd.learn.tune.places import TOP, highest_step_up, places
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, parse
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord, OutcomeRecord, Record

DEFAULT = (SHIPPED / "default.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def record(simulated: Simulated) -> DecisionRecord:
    """An allowed login."""
    return next(
        record
        for record in read(simulated.log)
        if isinstance(record, DecisionRecord) and (record.facts.action.name, record.outcome) == ("login", "allow")
    )


def outcome(record: DecisionRecord, *said: Reported) -> list[Record]:
    """What was said of a decision, an hour apart."""
    times = [record.when + timedelta(hours=n) for n in range(1, len(said) + 1)]
    return [
        OutcomeRecord(decision_id=record.decision_id, recorded_at=at, at=at, outcome=word, source="reported")
        for word, at in zip(said, times, strict=True)
    ]


@pytest.fixture(scope="module")
def judged(simulated: Simulated, policy: Policy) -> list[Judged]:
    """The log, judged decision by decision."""
    return list(judge((r for r in read(simulated.log) if isinstance(r, DecisionRecord)), policy, None))


@pytest.mark.parametrize("step_up", [0.0, 12.3, 35.0, 50.0, 84.9])
@pytest.mark.parametrize("deny", [40.0, 85.0])
def test_turning_points_are_what_the_engine_decides(
    judged: list[Judged], decisions: Decisions, step_up: float, deny: float
) -> None:
    """At any thresholds exactly those turn that the judging pass steps up or denies: floors, evidence and all."""
    outcomes = np.array([int(one.outcome_at(min(step_up, deny), deny)) for one in judged])
    assert ((decisions.turns(tenths(deny)) >= tenths(min(step_up, deny))) == (outcomes > Outcome.ALLOW)).all()
    assert ((decisions.denies >= tenths(deny)) == (outcomes == Outcome.DENY)).all()


def test_fresh_evidence_and_the_fail_mode(record: DecisionRecord, policy: Policy) -> None:
    """A degraded decision turns at every threshold and says by what; a session that just proved itself at none."""
    facts = record.facts
    down = replace(record, facts=replace(facts, down=("store",)))
    proved = replace(record, facts=replace(facts, subject=replace(facts.subject, acr="2", auth_age_s=5.0)))
    judged = gather([down, proved], policy, None)
    turned = judged.turns(judged.deny)
    assert turned[0] > 1000
    assert judged.floors[judged.floor[0]] == "fail mode (store)"
    assert turned[1] < 0


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ((), HONEST),
        ((Reported.LOGIN_SUCCEEDED,), HONEST),
        ((Reported.LOGIN_FAILED,), NEITHER),
        ((Reported.STEP_UP_ABANDONED,), NEITHER),
        ((Reported.STEP_UP_FAILED,), ATTACK),
        ((Reported.STEP_UP_FAILED, Reported.STEP_UP_PASSED), HONEST),
        ((Reported.LOGIN_SUCCEEDED, Reported.REPORTED_BY_USER), ATTACK),
        ((Reported.REPORTED_BY_USER, Reported.CONFIRMED_LEGITIMATE), HONEST),
        ((Reported.CONFIRMED_LEGITIMATE, Reported.CONFIRMED_FRAUD), ATTACK),
        ((Reported.CONFIRMED_FRAUD, Reported.CONFIRMED_LEGITIMATE), HONEST),
    ],
)
def test_labels(record: DecisionRecord, policy: Policy, said: Sequence[Reported], means: int) -> None:
    """The weightiest word counts, of equals the latest; silence after an allow is honest."""
    assert gather([record, *outcome(record, *said)], policy, None).said.tolist() == [means]


def test_a_deny_that_nobody_vouched_for_says_nothing(record: DecisionRecord, policy: Policy) -> None:
    """It is counted apart, unless an analyst said who it was."""
    denied = replace(record, outcome="deny")
    alone = gather([denied], policy, None)
    assert (alone.said.tolist(), alone.unproven_denies) == ([NEITHER], 1)
    vouched = gather([denied, *outcome(denied, Reported.CONFIRMED_LEGITIMATE)], policy, None)
    assert (vouched.said.tolist(), vouched.unproven_denies) == ([HONEST], 0)


def test_a_span_keeps_what_was_said_later(simulated: Simulated, policy: Policy, decisions: Decisions) -> None:
    """Decisions outside are left out; outcomes reported after the end still label those inside."""
    since = datetime.fromtimestamp(float(np.quantile(decisions.when, 0.3)), UTC)
    until = datetime.fromtimestamp(float(np.quantile(decisions.when, 0.6)), UTC)
    found = gather(read(simulated.log), policy, None, since=since, until=until)
    inside = (decisions.when >= since.timestamp()) & (decisions.when < until.timestamp())
    assert found.said.tolist() == decisions.said[inside].tolist()


def test_decisions_without_a_subject_are_one_each(record: DecisionRecord, policy: Policy) -> None:
    """Nobody knows whether two nameless decisions belong together, so they do not."""
    nameless = replace(record, facts=replace(record.facts, subject=replace(record.facts.subject, token=None)))
    assert gather([record, nameless, nameless, record], policy, None).subject.tolist() == [0, 1, 2, 0]


def test_what_a_record_cannot_answer_is_counted(simulated: Simulated) -> None:
    """A deny list with addresses cannot be asked about hashed ones: no decision is judged, and it is said why."""
    text = DEFAULT.replace("networks: []", "networks: [192.0.2.0/24]")
    found = gather(read(simulated.log), parse(text.encode(), "p"), None)
    assert not len(found.when)
    assert found.unanswered.total() == simulated.decisions


def test_places(policy: Policy) -> None:
    """The top, each class, and each resource with thresholds of its own; who inherits cannot be outdone."""
    found = places(policy)
    assert found[TOP].name == "other"
    assert found["actions", "login"].follows
    assert found["resources", 0].step_up == 35
    assert ("resources", 1) not in found
    capped = DEFAULT.replace("names: [login,", "thresholds: {deny: 60}\n    names: [login,")
    assert highest_step_up(parse(capped.encode(), "p"), TOP) == 60
    assert highest_step_up(policy, ("actions", "login")) == 85


def test_a_resource_has_its_own_place(record: DecisionRecord, policy: Policy) -> None:
    """An attempt on a resource with thresholds turns there, whatever its action."""
    action = replace(record.facts.action, path="/admin/users")
    found = gather([replace(record, facts=replace(record.facts, action=action))], policy, None)
    assert found.places[found.place[0]].name == "resource administration"
    assert found.step_up.tolist() == [350]
