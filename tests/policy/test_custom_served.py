"""Custom signals in the engine: recorded, counted, and judged again from the record."""

from collections.abc import Callable

import pytest

from riskd.contract import DecideRequest
from riskd.evaluation import evaluate
from riskd.policy import Policy
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord
from tests.conftest import NOON, Live
from tests.policy.test_custom import with_signals

CONTACT = "ops+7@example.com"


@pytest.fixture(scope="session")
def default_policy() -> Policy:
    """A policy with signals of its own, in place of the shipped one."""
    return with_signals(
        {"when": "attributes.items > 20.0 && attributes.gift"},
        {"when": 'attributes.plan == "free"'},
        {"when": "int(attributes.items) / size(attributes.plan) > 5"},
        {"when": f'attributes.plan == "{CONTACT}"'},
    )


async def test_decisions_are_recorded_and_judged_again(
    live: Live, make_request: Callable[..., DecideRequest], default_policy: Policy
) -> None:
    """Hits, unknown and errors are in the record by code; its facts yield the same evaluation; metrics count them."""
    attributes = (
        {"items": 21, "gift": True, "plan": "free", "secret": "hunter2"},
        {"items": 21.5, "gift": True},
        {"items": "many", "gift": False, "plan": CONTACT},
    )
    decisions = [await live.engine.decide(make_request(context={"attributes": sent}), now=NOON) for sent in attributes]
    records = [record for record in read(live.log) if isinstance(record, DecisionRecord)]
    assert [record.decision_id for record in records] == [decision.decision_id for decision in decisions]
    own = [sorted(code for code in record.hits if code.startswith("own_")) for record in records]
    assert own == [["own_0", "own_1"], ["own_0"], ["own_3"]]
    assert {"own_1", "own_2", "own_3"} <= set(records[1].unknown)
    assert records[2].errors == ("own_0", "own_2")
    assert decisions[2].degraded == ("signal:own_0", "signal:own_2")
    assert records[0].facts.attributes == {"items": 21, "gift": True, "plan": "free"}
    assert records[2].facts.attributes["plan"] == CONTACT  # the policy itself spells it
    for record in records:
        again = evaluate(record.facts, default_policy, None)
        assert (again.score, again.outcome.word, again.score_range) == (
            record.score,
            record.outcome,
            record.score_range,
        )
        assert {hit.question.code: hit.strength for hit in again.hits} == record.hits
        assert (again.unknown, again.degraded) == (record.unknown, record.degraded)
    assert live.metrics.signal_hits.at("own_0").value == 2
    assert live.metrics.signal_errors.at("own_2").value == 1
