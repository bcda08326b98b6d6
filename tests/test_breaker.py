"""A bad signal of one's own cannot lock everybody out, and an attacker cannot switch a good one off."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from riskd.answer import answer
from riskd.breaker import MOST, Breaker
from riskd.contract import Outcome
from riskd.evaluation import evaluate
from riskd.explain import explain
from riskd.facts import Facts
from riskd.metrics import Metrics
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load
from riskd.trial import Candidates
from tests.attempts import attempt, history
from tests.conftest import NOON
from tests.policy.test_custom import ID, with_signals
from tests.test_evaluation import attempts, many
from tests.tried import tried

EVERYBODY = {"when": "features.attempts_1h >= 0.0", "floor": "deny", "weight": 0.0}
FAILING = {"when": "10 / (size(action.name) - size(action.name)) > 3", "weight": 0.0}
"""Divides by zero, whatever comes."""
NO_ACTIONS: dict[str, Any] = {}
"""Of classes with fail modes of their own."""
BRAZIL = {"when": 'place.country == "BR"', "floor": "deny", "weight": 0.0}
PEOPLE = [f"person {number}" for number in range(60)]
ABROAD = {"ip": "177.36.0.1", "device_id": "a stranger's"}
DAY_S = 86_400.0


def known(token: str, **more: Any) -> Facts:  # noqa: ANN401 - any group of facts
    """A login of an established subject from a device that is known."""
    past = history(token=token, confirmed=5, first_confirmed_age_s=9 * DAY_S, device_age_s=DAY_S, attempts_1h=1)
    return attempt(**{"history": past, **more})


def counted(policy: Policy, facts: list[Facts], breaker: Breaker | None = None, at_s: float = 1000.0) -> Breaker:
    """Let a breaker count facts as a policy judges them, all at once, and look a second later."""
    breaker = breaker or Breaker(Metrics())
    breaker.follow(policy)
    breaker.look(at_s)
    for one in facts:
        breaker.count(one, evaluate(one, policy, None), at_s)
    breaker.look(at_s + 1)
    return breaker


async def test_a_bad_signal_falls_to_step_up_and_recovers(valkey: str, tmp_path: Path) -> None:
    """Fifty people are denied, then the others are stepped up; after the window the signal denies again."""
    policy = with_signals(EVERYBODY, breaker={"subjects": 50, "share": 20})
    async with tried(valkey, tmp_path, policy) as riskd:
        await riskd.settle(PEOPLE)
        outcomes = [decision.decision for decision in await riskd.log_in(PEOPLE)]
        assert outcomes == ["deny"] * 50 + ["step_up"] * 10
        assert riskd.metrics.breaker_trips.at("own_0").value == 1
        assert riskd.metrics.breaker_tripped.at("own_0").value == 1
        (later,) = await riskd.log_in(PEOPLE[:1], NOON + timedelta(minutes=25))
        assert later.decision == "deny"
        assert riskd.metrics.breaker_tripped.at("own_0").value == 0
        records = riskd.records()[len(PEOPLE) :]
    told = [record.facts.tripped for record in records if record.facts.tripped]
    assert told == [("own_0",)] * 10
    for record in records:
        again = evaluate(record.facts, policy, None)
        assert (again.outcome.word, again.score, again.score_range) == (
            record.outcome,
            record.score,
            record.score_range,
        )
        assert tuple((hit.question.code, hit.contribution) for hit in again.hits) == record.reasons


async def test_a_flood_switches_nothing_off(valkey: str, tmp_path: Path) -> None:
    """Made-up accounts, and real names from a stranger's device, are denied to the last, however many they are."""
    policy = with_signals(BRAZIL, breaker={"subjects": 10, "share": 1})
    async with tried(valkey, tmp_path, policy) as riskd:
        await riskd.settle(PEOPLE)
        await riskd.log_in(PEOPLE[:20])
        made_up = [f"nobody {number}" for number in range(150)]
        flood = await riskd.log_in(PEOPLE + made_up, NOON + timedelta(seconds=30), **ABROAD)
        assert {decision.decision for decision in flood} == {"deny"}
        assert riskd.metrics.breaker_trips.snapshot().samples == ()


async def test_a_reloaded_policy_keeps_what_it_declares_as_before(valkey: str, tmp_path: Path) -> None:
    """A tripped signal stays so under a policy that left it alone; one that was changed starts anew."""
    async with tried(valkey, tmp_path, with_signals(EVERYBODY)) as riskd:
        await riskd.settle(PEOPLE)
        await riskd.log_in(PEOPLE)
        for changed, outcome in ((EVERYBODY, "step_up"), ({**EVERYBODY, "text": "Mended."}, "deny")):
            policy = with_signals(changed, thresholds={"step_up": 40, "deny": 90})
            riskd.engine = riskd.again(policy, Candidates())
            (decision,) = await riskd.log_in(PEOPLE[:1], NOON + timedelta(minutes=2))
            assert decision.decision == outcome
        assert riskd.metrics.breaker_tripped.at("own_0").value == 0


@pytest.mark.parametrize(
    ("what", "trips"),
    [
        ({"history": history(token="n", confirmed=9, first_confirmed_age_s=9 * DAY_S, attempts_1h=1)}, False),
        ({"history": history(token="n", confirmed=9, first_confirmed_age_s=3600.0, device_age_s=60.0)}, False),
        ({"history": history(token="n", device_age_s=60.0)}, False),
        ({"history": None}, False),
        ({"history": history(token="n", confirmed=9, first_confirmed_age_s=9 * DAY_S, ip_age_s=60.0)}, True),
        ({}, True),
    ],
)  # fmt: skip
def test_who_counts(what: dict[str, Any], trips: bool) -> None:
    """Only who was confirmed long ago, and comes from a device or an address that is known."""
    facts = [known(f"t{number}", **what) for number in range(80)]
    facts = [
        f if f.history is None else replace(f, history=replace(f.history, token=f"t{n}")) for n, f in enumerate(facts)
    ]
    assert bool(counted(with_signals(EVERYBODY), facts).tripped) is trips


def test_a_policy_that_is_withdrawn_has_nothing_tripped() -> None:
    """With a rollout its breaker goes, and the metric says so; taken up again, the policy begins anew."""
    metrics, policy = Metrics(), with_signals(EVERYBODY)
    breaker = counted(policy, [known(f"t{n}") for n in range(60)], Breaker(metrics))
    assert (breaker.tripped, metrics.breaker_tripped.at("own_0").value) == (("own_0",), 1)
    breaker.rest()
    assert (breaker.look(1002.0), metrics.breaker_tripped.at("own_0").value) == ((), 0)
    breaker.follow(policy)
    assert breaker.look(1003.0) == ()


def test_one_subject_counts_once() -> None:
    """A subject that tries a thousand times is one."""
    assert counted(with_signals(EVERYBODY), [known("the same")] * 1000).tripped == ()


def test_a_share_below_does_not_trip() -> None:
    """A signal that stops every tenth stays in power, and one that stops every fourth does not."""
    policy = with_signals({**EVERYBODY, "when": 'place.country == "BR"'})
    for every, trips in ((10, ()), (4, ("own_0",))):
        facts = [known(f"t{n}", place={"country": "GB" if n % every else "BR"}) for n in range(200)]
        assert counted(policy, facts).tripped == trips


def test_two_bad_signals_do_not_hide_each_other() -> None:
    """Where each would deny without the other, both are counted."""
    assert counted(with_signals(EVERYBODY, EVERYBODY), [known(f"t{n}") for n in range(60)]).tripped == (
        "own_0",
        "own_1",
    )


def test_what_has_no_breaker() -> None:
    """An opt-out, a signal in shadow, one without weight and floor, and built-in ones never trip; a limit does."""
    people = [known(f"t{n}") for n in range(60)]
    quiet = [{**EVERYBODY, "breaker": False}, {**EVERYBODY, "shadow": True}, {**EVERYBODY, "floor": "allow"}]
    assert counted(with_signals(*quiet), people).tripped == ()
    tor = [replace(one, network=replace(one.network, tor=True, proxy=True)) for one in people]
    assert counted(load(SHIPPED / "default.yaml"), tor).tripped == ()
    velocity = {"name": "logins_1h", "count": "attempts", "per": "subject", "window": "1h", "limit": 1, "floor": "deny"}
    policy = with_signals(velocities=[velocity])
    (key,) = [declared.key for declared in policy.velocities.values()]
    assert counted(policy, [replace(one, velocities={key: 5.0}) for one in people]).tripped == ("velocity_logins_1h",)


async def test_a_signal_that_always_fails_falls_to_step_up(valkey: str, tmp_path: Path) -> None:
    """Under `fail_mode: deny` it locks fifty people out, then steps the others up; the records come out the same."""
    policy = with_signals(FAILING, fail_mode="deny", actions=NO_ACTIONS, breaker={"subjects": 50, "share": 20})
    async with tried(valkey, tmp_path, policy) as riskd:
        await riskd.settle(PEOPLE)
        decisions = await riskd.log_in(PEOPLE)
        assert [decision.decision for decision in decisions] == ["deny"] * 50 + ["step_up"] * 10
        assert {decision.degraded for decision in decisions} == {("signal:own_0",)}
        assert riskd.metrics.breaker_trips.at("own_0").value == 1
        records = riskd.records()[len(PEOPLE) :]
    assert [record.facts.tripped for record in records] == [()] * 50 + [("own_0",)] * 10
    for record in records:
        again = evaluate(record.facts, policy, None)
        assert (again.outcome.word, again.score, again.score_range, again.degraded) == (
            record.outcome,
            record.score,
            record.score_range,
            record.degraded,
        )


def test_a_failure_that_forces_nothing_does_not_trip() -> None:
    """Where the fail mode is allow, or the signal has no breaker, nothing is counted; else it is, weight or not."""
    people = [known(f"t{n}") for n in range(60)]
    for signal, mode, trips in (
        (FAILING, "deny", ("own_0",)),
        (FAILING, "step_up", ("own_0",)),
        ({**FAILING, "weight": 0.5}, "deny", ("own_0",)),
        (FAILING, "allow", ()),
        ({**FAILING, "breaker": False}, "deny", ()),
        ({**FAILING, "shadow": True}, "deny", ()),
    ):
        policy = with_signals(signal, fail_mode=mode, actions=NO_ACTIONS)
        assert counted(policy, people).tripped == trips
    innocent = {"when": "features.attempts_1h >= 0.0", "weight": 0.0}
    assert counted(with_signals(innocent, FAILING, fail_mode="deny", actions=NO_ACTIONS), people).tripped == ("own_1",)
    assert counted(with_signals(innocent, EVERYBODY), people).tripped == ("own_1",)


def test_a_failure_falls_only_so_far_as_it_is_the_cause() -> None:
    """What another source, failing signal or hit demands is still demanded; the explanation names what fell."""
    opted_out = {**FAILING, "breaker": False}
    denied, stepped = Outcome.DENY, Outcome.STEP_UP
    for signals, more, outcome, fallen in (
        ((FAILING,), {}, stepped, ("own_0",)),
        ((FAILING,), {"down": ("geo",)}, denied, ()),
        ((FAILING, opted_out), {}, denied, ()),
        ((FAILING, FAILING), {}, denied, ("own_0",)),
        ((FAILING, EVERYBODY), {}, denied, ("own_0",)),
        ((FAILING, FAILING), {"tripped": ("own_0", "own_1")}, stepped, ("own_0", "own_1")),
        ((FAILING, EVERYBODY), {"tripped": ("own_0", "own_1")}, stepped, ("own_1", "own_0")),
        ((EVERYBODY, FAILING), {}, denied, ("own_0",)),
        (({**EVERYBODY, "floor": "allow"}, FAILING), {"tripped": ("own_0", "own_1")}, stepped, ("own_1",)),
    ):
        policy = with_signals(*signals, fail_mode="deny", actions=NO_ACTIONS)
        facts = replace(known("t"), **{"tripped": ("own_0",), **more})
        found = evaluate(facts, policy, None)
        assert (found.outcome, found.fallen) == (outcome, fallen), (signals, more)
        assert evaluate(replace(facts, tripped=()), policy, None).outcome is denied
    policy = with_signals(FAILING, fail_mode="deny", actions=NO_ACTIONS)
    (line,) = [
        line for line in explain(replace(known("t"), tripped=("own_0",)), policy, None).signals if line.state == "error"
    ]
    assert line.why.endswith("Its breaker had tripped: that is step_up at most.")
    mild = with_signals({**FAILING}, EVERYBODY, fail_mode="step_up", actions=NO_ACTIONS)
    assert evaluate(replace(known("t"), tripped=("own_0",)), mild, None).outcome is denied


def test_a_sample_stays_small_and_true() -> None:
    """Of ten thousand subjects a bounded sample is kept, and still tells a tenth from a third."""
    policy = with_signals(BRAZIL)
    for every, trips in ((10, ()), (3, ("own_0",))):
        facts = [known(f"token {n}", place={"country": "GB" if n % every else "BR"}) for n in range(10_000)]
        breaker = counted(policy, facts)
        (sample,) = breaker._samples.values()
        assert MOST // 4 < len(sample.seen) <= MOST
        assert breaker.tripped == trips


def test_a_rare_class_is_not_drowned() -> None:
    """A signal for payments is weighed by who pays, not by who logs in."""
    policy = with_signals({**EVERYBODY, "actions": ["payment"]})
    logins = [known(f"token {n}") for n in range(5000)]
    payments = [known(f"token {n}", action={"name": "payout"}) for n in range(60)]
    assert counted(policy, logins + payments).tripped == ("own_0",)


def test_a_clock_that_goes_back_does_no_harm() -> None:
    """The shares are looked at all the same."""
    policy, people = with_signals(EVERYBODY), [known(f"t{n}") for n in range(60)]
    breaker = counted(policy, [], at_s=1e9)
    assert counted(policy, people, breaker, at_s=5000.0).tripped == ("own_0",)


LOUD = (
    {"when": "network.tor", "floor": "deny", "weight": 0.1},
    {"when": "features.attempts_1h > 5.0", "weight": 0.9},
    {"when": 'place.country == "NO"', "weight": 0.5, "floor": "step_up"},
)
OWN, OTHERS = with_signals(*LOUD), load(SHIPPED / "default.yaml")
codes = st.sets(st.sampled_from(["own_0", "own_1", "own_2"])).map(lambda found: tuple(sorted(found)))


@many
@given(attempts, codes)
def test_falling_is_from_deny_to_step_up_and_no_further(facts: Facts, tripped: tuple[str, ...]) -> None:
    """A trip lowers nothing but a deny that rests on the policy's own signals, and that to step_up."""
    whole, fell = evaluate(facts, OWN, None), evaluate(replace(facts, tripped=tripped), OWN, None)
    if not fell.fallen:
        assert fell == whole
        return
    assert whole.outcome is Outcome.DENY
    assert fell.outcome >= (Outcome.ALLOW if fell.evidence_met else Outcome.STEP_UP)
    assert set(fell.fallen) <= set(tripped)
    assert evaluate(facts, OTHERS, None).outcome < Outcome.DENY
    assert {hit.question.code for hit in fell.hits} == {hit.question.code for hit in whole.hits}
    assert round(sum(hit.contribution for hit in fell.hits), 1) == fell.score
    if tripped == ("own_0", "own_1", "own_2"):
        assert fell.outcome < Outcome.DENY


def test_the_answer_and_the_explanation_say_so() -> None:
    """A reason whose signal had tripped names step_up as its floor, and brings nothing to the score."""
    facts = replace(known("t"), tripped=("own_0",))
    policy = with_signals(EVERYBODY)
    decision = answer(evaluate(facts, policy, None), facts, policy, decision_id=ID, model_version=None, at=NOON)
    reason = next(reason for reason in decision.reasons if reason.code == "own_0")
    assert (decision.decision, reason.contribution) == ("step_up", 0.0)
    assert (reason.detail["floor"], reason.detail["tripped"]) == ("step_up", True)
    (line,) = [line for line in explain(facts, policy, None).signals if line.code == "own_0"]
    assert "breaker had tripped" in line.why
