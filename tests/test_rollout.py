"""A rollout takes its subjects by lot: the same ones everywhere and always, and more of them as it grows."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.contract import DecisionRequest
from riskd.enrich.enrich import Enricher
from riskd.enrich.geo import Geo
from riskd.enrich.identity import Pseudonyms
from riskd.errors import PolicyError
from riskd.evaluation import evaluate
from riskd.metrics import Metrics
from riskd.policy import Policy
from riskd.trial import Candidates, Trial
from tests.conftest import NOON
from tests.policy.test_custom import with_signals
from tests.tried import login, tried

SECRET = b"s" * 32
CANDIDATE = with_signals(
    {"when": 'action.name == "login"', "floor": "step_up", "weight": 0.0},
    velocities=[{"name": "logins_1h", "count": "attempts", "per": "ip", "window": "1h"}],
)
PEOPLE = [f"person {number}" for number in range(60)]


def rolling(percent: float, name: str = "candidate.yaml") -> Policy:
    """The shipped policy, rolling out a candidate."""
    return with_signals(rollout={"policy": name, "percent": percent})


def lot(request: DecisionRequest, folder: Path, name: str = "candidate.yaml", *added: bytes) -> float | None:
    """Draw a lot as a service with these keys would."""
    enricher = Enricher(Pseudonyms(SECRET, added), Geo(folder))
    return enricher.lot(request, enricher.draft(request, NOON), name)


def chosen(policy: Policy, lots: dict[str, float]) -> set[str]:
    """Return who is judged by the candidate."""
    trial = Trial(policy, Metrics(), Candidates(rollout=CANDIDATE))
    return {who for who, drawn in lots.items() if trial.policy_for(lambda _name, drawn=drawn: drawn) is CANDIDATE}


def test_the_lot_of_a_subject_stays(tmp_path: Path) -> None:
    """It is the same from every device and address, after a rotation of keys; not for another rollout or type."""
    own = lot(login("ada"), tmp_path)
    assert own is not None
    assert own == lot(login("ada", ip="177.36.0.1", device_id="other"), tmp_path)
    assert own == lot(login("ada"), tmp_path, "candidate.yaml", b"n" * 32)
    assert own != lot(login("ada"), tmp_path, "second.yaml")
    service = login("ada").model_copy(update={"subject": login("ada").subject.model_copy(update={"type": "service"})})
    assert own != lot(service, tmp_path)


def test_who_is_anonymous_draws_by_device_or_address(tmp_path: Path) -> None:
    """By the device, wherever it is; without one by the address; and nobody of whom neither is known."""
    here, there = login(None, device_id="tablet"), login(None, device_id="tablet", ip="177.36.0.1")
    assert lot(here, tmp_path) == lot(there, tmp_path) is not None
    without, elsewhere = login(None, device_id=None), login(None, device_id=None, ip="177.36.0.1")
    assert None not in {lot(without, tmp_path), lot(elsewhere, tmp_path)}
    assert lot(without, tmp_path) != lot(elsewhere, tmp_path)
    assert lot(login(None, device_id=None, ip=None), tmp_path) is None


@given(st.lists(st.floats(0, 1, exclude_max=True), max_size=50), st.floats(0, 100), st.floats(0, 100))
def test_a_higher_percentage_only_adds(drawn: list[float], one: float, other: float) -> None:
    """Whoever is in at a percentage is in at every higher one; at 0 is nobody, at 100 everybody."""
    lots = {str(number): value for number, value in enumerate(drawn)}
    low, high = sorted((one, other))
    assert chosen(rolling(low), lots) <= chosen(rolling(high), lots)
    assert chosen(rolling(0), lots) == set()
    assert chosen(rolling(100), lots) == set(lots)


def test_lots_are_spread() -> None:
    """Among thousands of subjects each tenth of the range holds about a tenth."""
    names = Pseudonyms(SECRET)
    lots = [names.lot("candidate.yaml", f"subject {number}") for number in range(20_000)]
    shares = [sum(low / 10 <= drawn < (low + 1) / 10 for drawn in lots) for low in range(10)]
    assert all(1800 < share < 2200 for share in shares)


async def test_each_is_judged_and_recorded_by_its_policy(valkey: str, tmp_path: Path) -> None:
    """The answer and the record name the revision, the same at every attempt; the record yields the decision again."""
    policy = rolling(30)
    async with tried(valkey, tmp_path, policy, Candidates(rollout=CANDIDATE)) as riskd:
        first = await riskd.log_in(PEOPLE)
        again = await riskd.log_in(PEOPLE, NOON + timedelta(minutes=10))
        records = riskd.records()
    by = [decision.policy_revision for decision in first]
    assert [decision.policy_revision for decision in again] == by
    assert set(by) == {policy.revision, CANDIDATE.revision}
    for decision, record in zip((*first, *again), records, strict=True):
        assert ("own_0" in record.hits) is (decision.policy_revision == CANDIDATE.revision)
        assert record.policy_revision == decision.policy_revision
        judged_by = CANDIDATE if record.policy_revision == CANDIDATE.revision else policy
        found = evaluate(record.facts, judged_by, None)
        assert (found.outcome.word, found.score, found.unknown) == (record.outcome, record.score, record.unknown)
    assert [next(iter(record.facts.velocities.values())) for record in records] == list(range(1, 121))


async def test_velocities_count_those_whom_a_rollout_took(valkey: str, tmp_path: Path) -> None:
    """What the policy in use counts, it counts of all: its limit holds from the attempt on that passes it overall."""
    limit = {"name": "shared_1h", "count": "attempts", "per": "ip", "window": "1h", "limit": 30, "floor": "step_up"}
    policy = with_signals(velocities=[limit], rollout={"policy": "candidate.yaml", "percent": 50})
    async with tried(valkey, tmp_path, policy, Candidates(rollout=CANDIDATE)) as riskd:
        await riskd.log_in(PEOPLE)
        records = riskd.records()
    (key,) = (velocity.key for velocity in policy.velocities.values())
    own = {number: one for number, one in enumerate(records, 1) if one.policy_revision == policy.revision}
    assert 10 < len(own) < 50
    assert {number: one.facts.velocities[key] for number, one in own.items()} == {number: number for number in own}
    assert {number: "velocity_shared_1h" in one.hits for number, one in own.items()} == {
        number: number > 30 for number in own
    }


async def test_without_a_candidate_all_go_on(valkey: str, tmp_path: Path) -> None:
    """While the candidate cannot be loaded, everybody is judged by the policy in use."""
    policy = rolling(100)
    async with tried(valkey, tmp_path, policy) as riskd:
        (decision,) = await riskd.log_in(["ada"])
    assert decision.policy_revision == policy.revision


@pytest.mark.parametrize(
    "section",
    [
        {"rollout": {"policy": "a.yaml", "percent": 101}},
        {"rollout": {"percent": 5}},
        {"shadow": {}},
        {"shadow": {"model": "x"}},
    ],
)
def test_what_may_not_be_said(section: dict[str, Any]) -> None:
    """A share over 100, a rollout of nothing, an empty shadow and what is no version are mistakes."""
    with pytest.raises(PolicyError):
        with_signals(**section)
