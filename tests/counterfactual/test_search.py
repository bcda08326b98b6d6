"""The search: true as told, the smallest that would do, and never at a price without bound."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from riskd.case import Call
from riskd.contract import DecideRequest, Decision, Outcome
from riskd.counterfactual import MAX_EVALUATIONS, Counterfactual, ExplainedDecision, changes_for, counterfactuals
from riskd.evaluation import Evaluation, evaluate
from riskd.facts import Facts
from riskd.policy import Policy
from riskd.record.reader import find, read
from tests.attempts import attempt, history
from tests.conftest import NOON, Live
from tests.counterfactual.asked import KNOWN, PERSONAL, POLICIES, sized, step_of, strict, texts, told
from tests.models import BrokenModel, FixedModel
from tests.test_cases import policy
from tests.test_evaluation import attempts, many

MakeRequest = Callable[..., DecideRequest]


def test_pairs_where_nothing_suffices_alone() -> None:
    """Two floors need two changes; no pair holds a change that does it alone, or that the pair can do without."""
    facts = attempt(
        subject={"session": "s", "token": "t", "leaked_credential": True},
        history=history(**{**KNOWN, "session_hop_age_s": 5.0}),
        network={"listed": ["feed"]},
    )
    found = told(facts, strict(signals={"session_hop": {"floor": "deny"}, "listed_ip": {"floor": "deny"}}))
    listed, hop = "from an address that no list names", "without the session's change of country, device or network"
    assert texts(found) == [f"only a step-up {listed} and 2 hours later", f"only a step-up {listed} and {hop}"]


def test_pairs_are_looked_for_when_only_the_step_up_itself_would_do() -> None:
    """That a fresh authentication suffices is no news: what would have spared it is told before it."""
    facts = attempt(subject={"leaked_credential": True, "email_disposable": True, "token": "t"})
    found = texts(told(facts, strict()))
    assert found == [
        "allowed with a password that did not leak and with an e-mail address that is not disposable",
        "allowed with a fresh authentication of level 2",
    ]


def test_nothing_to_tell() -> None:
    """An allow has nothing to turn, and a country that is denied to somebody unknown is turned by nothing."""
    assert told(attempt(), policy("default")) == []
    denied = strict(signals={"denied_country": {"countries": ["KP"], "floor": "deny"}})
    assert told(attempt(subject={}, place={"country": "KP"}), denied) == []


def test_a_broken_model_turns_nothing() -> None:
    """While the model fails every change is judged degraded too, and so told as it would be."""
    found = told(attempt(subject={"token": "t"}), policy("default"), BrokenModel())
    assert texts(found) == ["allowed with a fresh authentication of level 2"]


class Counting(FixedModel):
    """A model that counts what it is asked, and finds odd what has an odd number of known features."""

    asked = 0

    def score_all(self, vectors: Sequence[Any]) -> list[float]:
        """The same score for the same vector."""
        self.asked += len(vectors)
        return [0.999 if sum(v is not None for v in vector) % 2 else 0.1 for vector in vectors]


def changed(facts: Facts, way: Counterfactual, its_policy: Policy, before: Evaluation) -> list[Facts]:
    """The facts with the changes that were told; one of several where a change is offered in two ways."""
    offered = changes_for(facts, its_policy, before.plan)
    kinds = [
        [(c, step) for c in offered if c.code == one.code and (step := step_of(c, one.value)) is not None]
        for one in way.changes
    ]
    results = []
    for choice in product(*kinds):
        result = facts
        for change, step in choice:
            result = sized(change, step).apply(result)
        results.append(result)
    return results


@many
@given(attempts, st.sampled_from(POLICIES), st.booleans())
def test_what_is_told_is_true(facts: Facts, its_policy: Policy, with_model: bool) -> None:
    """Of any attempt: what is told turns it when it is applied and judged, as told; and it took few evaluations."""
    facts = replace(facts, action=replace(facts.action, amount=facts.action.amount and facts.action.amount % 500))
    model = Counting(0.0) if with_model else None
    before = evaluate(facts, its_policy, model)
    if model is not None:
        model.asked = 0
    found = counterfactuals(facts, its_policy, model, before)
    assert model is None or model.asked <= MAX_EVALUATIONS
    assert before.outcome is not Outcome.ALLOW or not found
    alone = {way.changes[0].code for way in found if len(way.changes) == 1} - {"fresh_authentication"}
    for way in found:
        results = [evaluate(after, its_policy, model) for after in changed(facts, way, its_policy, before)]
        assert (way.decision, way.score) in [(result.outcome.word, result.score) for result in results]
        assert Outcome.of(way.decision) < before.outcome
        assert len(way.changes) == 1 or not alone
        assert Counterfactual.model_validate_json(way.model_dump_json(), strict=False) == way
    assert counterfactuals(facts, its_policy, model, before) == found


def test_the_cost_is_bounded_when_everything_is_odd() -> None:
    """An attempt with all that can be odd, which takes three changes to turn, is given up within the bound."""
    past = KNOWN | {
        "country_age_s": None, "network_age_s": None, "failures_1h": 9, "contact_change_age_s": 60.0,
        "session_hop_age_s": 5.0, "reported_age_s": 60.0, "replayed_age_s": 9.0, "last_confirmed_age_s": 9e6,
        "hour_cos": 40.0, "hour_count": 40, "amount_24h": 9e5, "amount_median": 10.0, "sessions": [{"latitude": 1.0,
                                                                                                  "longitude": 1.0}],
    }  # fmt: skip
    facts = attempt(
        subject={"session": "s", "leaked_credential": True, "email_disposable": True, "account_age_days": 0.5},
        action={"name": "purchase", "amount": 9e5, "currency": "EUR", "recipient": "r", "path_obfuscated": True},
        network={"key": "n", "tor": True, "listed": ["feed"]},
        place={"country": "BR", "utc_offset_min_minutes": 60, "utc_offset_max_minutes": 120},
        device={"id": "d", "family": "f", "user_agent_present": True, "bot": True, "utc_offset_minutes": -300},
        history=past,
        address_counts={"subjects_1h": 99},
        device_counts={"subjects_24h": 9, "subjects_30d": 9},
        payload={"age_s": 9.0, "elsewhere": True},
        down=["geo"],
    )
    floors = {code: {"floor": "deny"} for code in ("leaked_credential", "disposable_email", "path_obfuscation")}
    model = Counting(0.0)
    before = evaluate(facts, strict(signals=floors), model)
    model.asked = 0
    assert counterfactuals(facts, strict(signals=floors), model, before) == ()
    assert len(changes_for(facts, strict(), before.plan)) > 20
    assert 100 < model.asked <= MAX_EVALUATIONS - 5 * 16


@pytest.mark.parametrize(
    "groups",
    [
        {"action": {"name": "login", "amount": float("nan"), "currency": "EUR"}},
        {"action": {"name": "login", "amount": float("inf"), "currency": "EUR"}},
        {"action": {"name": "login", "amount": -5.0, "currency": "EUR"}},
        {"action": {"name": "login", "amount": 1e-300, "currency": "EUR"}},
        {"action": {"name": "login", "amount": 5.0}},
        {"action": {"name": "login", "amount": 5.0, "currency": "XXX"}, "history": {"amount_median": float("nan")}},
        {"time": NOON.replace(year=9999, month=12, day=31), "history": KNOWN},
        {"history": {**KNOWN, "hour_count": 99, "hour_sin": float("nan"), "hour_cos": 0.0}},
    ],
)
def test_hostile_facts(groups: dict[str, Any]) -> None:
    """Numbers that are none and times at the end of time cost a change, never the answer."""
    facts = attempt(**{**groups, "subject": {"leaked_credential": True}})
    assert "allowed with a password that did not leak" in texts(told(facts, PERSONAL))


async def test_the_engine_tells_what_would_turn(live: Live, make_request: MakeRequest) -> None:
    """Asked to, the engine adds to the very decision what would have turned it; the record knows nothing of it."""
    request = make_request(request_id="r-1", subject={"leaked_credential": True, "email_domain": "mailinator.com"})
    request = request.model_copy(update={"context": request.context.model_copy(update={"device_digest": "d1"})})
    other = make_request(subject={"id": "bob"}, context={"device_digest": "d1"})
    first, asked, other_asked = [
        (await live.engine.decide_all([call]))[0]
        for call in (Call(request, NOON), Call(request, NOON, explain=True), Call(other, NOON, explain=True))
    ]
    assert isinstance(first, Decision)
    assert isinstance(asked, ExplainedDecision)
    assert isinstance(other_asked, ExplainedDecision)
    assert not isinstance(first, ExplainedDecision)
    assert asked.model_dump(exclude={"counterfactuals"}) == first.model_dump()
    assert other_asked.decision == "step_up"
    assert "allowed with a device payload of its own" in texts(other_asked.counterfactuals)
    assert ExplainedDecision.model_validate_json(other_asked.model_dump_json(), strict=False) == other_asked
    record = find(live.log, other_asked.decision_id)
    assert record is not None
    assert tuple(told(record.facts, live.engine.policy)) == other_asked.counterfactuals
    assert sum(1 for _ in read(live.log)) == 2
