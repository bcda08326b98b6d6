"""Laws of the judgement: what is unknown never counts against anybody; more risk never means less severity."""

from datetime import timedelta
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from riskd.contract import Outcome
from riskd.evaluation import evaluate
from riskd.facts import (
    ActionFacts,
    AddressCounts,
    DeviceCounts,
    DeviceFacts,
    Facts,
    ListFacts,
    NetworkCounts,
    NetworkFacts,
    PayloadSeen,
    PlaceFacts,
    SubjectFacts,
    SubjectHistory,
)
from riskd.features import FEATURES, MODEL_FEATURES, Extractor, Fault
from riskd.features.device import familiar
from riskd.features.population import Population
from riskd.policy.load import SHIPPED, load
from riskd.policy.named import NEVER_EXEMPT
from riskd.signals import SIGNALS
from tests.attempts import NOON, attempt, history
from tests.models import FixedModel

POLICY = load(SHIPPED / "default.yaml")
ACTIONS = ("login", "read", "transfer", "export", "grant_role", "change_email", "unheard_of")

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(0, 300),
    float: st.one_of(st.floats(0, 100), st.floats(0, 4e7)),
    str: st.sampled_from(["NO", "SE", "EUR", "mfa", "Windows|Chrome", "Linux|Firefox", "Chrome", "mobile", "desktop"]),
    bool: st.booleans(),
    NoneType: st.none(),
}
BOUNDED: dict[str, st.SearchStrategy[Any]] = {
    "latitude": st.one_of(st.none(), st.floats(-90, 90)),
    "longitude": st.one_of(st.none(), st.floats(-180, 180)),
    "name": st.sampled_from(ACTIONS),
    "path": st.sampled_from([None, "/login", "/admin/users", "/export/all"]),
    "hour_sin": st.floats(-300, 300),
    "hour_cos": st.floats(-300, 300),
}


def values(annotation: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - any annotation
    """Values of an annotated field."""
    if annotation in PLAIN:
        return PLAIN[annotation]
    if get_origin(annotation) is tuple:
        return st.lists(values(get_args(annotation)[0]), max_size=3).map(tuple)
    if isinstance(annotation, UnionType):
        return st.one_of(*map(values, get_args(annotation)))
    return known(annotation)


def known(group: type[Struct]) -> st.SearchStrategy[Any]:
    """A group of facts with any values."""
    fields = {name: BOUNDED[name] if name in BOUNDED else values(hint) for name, hint in get_type_hints(group).items()}
    return st.builds(group, **fields)


def placed(place: Any) -> Any:  # noqa: ANN401 - three groups have a place
    """Coordinates come in pairs."""
    whole = place.latitude is not None and place.longitude is not None
    return place if whole else replace(place, latitude=None, longitude=None)


def sound(past: SubjectHistory) -> SubjectHistory:
    """No address failed that did not fail, and places are whole."""
    return replace(
        past,
        failure_ips_1h=min(past.failure_ips_1h, past.failures_1h),
        places=tuple(map(placed, past.places)),
        sessions=tuple(map(placed, past.sessions)),
    )


attempts = st.builds(
    Facts,
    time=st.just(NOON) | st.datetimes().map(lambda time: time.replace(tzinfo=NOON.tzinfo)),
    subject=known(SubjectFacts),
    action=known(ActionFacts),
    network=known(NetworkFacts),
    place=known(PlaceFacts).map(placed),
    device=known(DeviceFacts),
    history=known(SubjectHistory).map(sound),
    address_counts=known(AddressCounts),
    network_counts=known(NetworkCounts),
    device_counts=known(DeviceCounts),
    payload=known(PayloadSeen),
)
DAY_S = 86_400.0
ORDINARY = attempt(
    subject={"token": "t", "account_age_days": 400, "auth_age_s": 60.0},
    action={"name": "login", "amount": 100.0, "currency": "EUR"},
    device={"id": "d", "family": "Windows|Chrome", "browser_major": 150},
    history=history(
        confirmed=40, first_confirmed_age_s=300 * DAY_S, last_confirmed_age_s=DAY_S, known_devices=2, known_families=2,
        known_ips=9, known_networks=3, known_countries=1, known_languages=1, known_recipients=4,
        device_age_s=DAY_S, device_family="Windows|Chrome", family_age_s=DAY_S, ip_age_s=DAY_S, network_age_s=DAY_S,
        country_age_s=DAY_S, language_age_s=DAY_S, recipient_age_s=DAY_S, reported_age_s=90 * DAY_S,
        success_after_failures_age_s=90 * DAY_S, session_hop_age_s=90 * DAY_S, replayed_age_s=90 * DAY_S,
    ),
    address_counts={}, network_counts={}, device_counts={},
)  # fmt: skip
"""An attempt of somebody well known, from where and with what he always comes: allowed."""
GROUPS = (
    "subject", "action", "network", "place", "device", "history", "address_counts", "network_counts", "device_counts",
)  # fmt: skip


def odd_in_part(odd: Facts, groups: set[str]) -> Facts:
    """An ordinary attempt with some groups of an odd one."""
    return replace(ORDINARY, **{group: getattr(odd, group) for group in groups})


nearly_ordinary = st.builds(odd_in_part, attempts, st.sets(st.sampled_from(GROUPS), max_size=2))
"""Attempts of which many are allowed: of arbitrary ones most are denied, and cannot get any harder."""
many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

UNKNOWN: dict[str, dict[str, Any]] = {
    "subject": {"subject": SubjectFacts()},
    "network": {"network": NetworkFacts(), "down": ("network",)},
    "place": {"place": PlaceFacts()},
    "device": {"device": DeviceFacts()},
    "history": {"history": None, "down": ("store",)},
    "address_counts": {"address_counts": None},
    "network_counts": {"network_counts": None},
    "device_counts": {"device_counts": None},
    "payload": {"payload": None},
    "attributes": {"attributes": {}},
}
"""Each group of facts, and how an attempt looks without it; `down` says which source failed to give it."""


def without(facts: Facts, dropped: set[str]) -> Facts:
    """Take groups of facts away, but the device that explained others' doing away."""
    for group in dropped - ({"device"} if familiar(facts) else set()):
        facts = replace(facts, **{**UNKNOWN[group], "down": (*facts.down, *UNKNOWN[group].get("down", ()))})
    return facts


@many
@given(attempts, st.sets(st.sampled_from(sorted(UNKNOWN)), min_size=1))
def test_knowing_less_never_raises_the_score(facts: Facts, dropped: set[str]) -> None:
    """Take any groups of facts away, but the device that explained others' doing away: the score never rises."""
    assert evaluate(without(facts, dropped), POLICY, None).score <= evaluate(facts, POLICY, None).score


SINGLE_FIELDS = [
    (group, name)
    for group in ("subject", "action", "place", "device")
    for name in get_type_hints(get_type_hints(Facts)[group])
    # without a radius 50 km are assumed, so a coarse place that loses it gains precision; half a coordinate is none
    if name not in {"name", "type", "accuracy_km", "latitude", "longitude"}
]


def without_field(facts: Facts, field: tuple[str, str]) -> Facts:
    """Take one field away, but the device id that explained others' doing away."""
    group, name = field
    if field == ("device", "id") and familiar(facts):
        return facts
    return replace(facts, **{group: replace(getattr(facts, group), **{name: None})})


@many
@given(attempts, st.sampled_from(SINGLE_FIELDS))
def test_a_missing_field_never_raises_the_score(facts: Facts, field: tuple[str, str]) -> None:
    """Take any one field away: the score never rises, but for the device id that explained others' doing away."""
    assert evaluate(without_field(facts, field), POLICY, None).score <= evaluate(facts, POLICY, None).score


RISKIER_UP = {
    "history": (
        "attempts_5m", "attempts_1h", "attempts_24h", "ips_5m", "ips_1h", "ips_24h", "failures_10m", "failures_1h",
        "sensitive_10m", "amount_24h", "last_confirmed_age_s", "device_age_s", "family_age_s", "ip_age_s",
        "network_age_s", "country_age_s", "language_age_s", "recipient_age_s", "confirmed_safe_age_s",
    ),
    "address_counts": ("subjects_1h", "subjects_24h", "failures_1h", "failed_subjects_1h"),
    "network_counts": ("failures_1h", "failed_subjects_1h"),
    "device_counts": ("subjects_1h", "subjects_24h", "subjects_30d"),
    "action": ("amount",),
    "subject": ("auth_age_s",),
}  # fmt: skip
RISKIER_DOWN = {
    "history": ("reported_age_s", "replayed_age_s", "session_hop_age_s", "success_after_failures_age_s", "confirmed"),
    "address_counts": ("confirmed_subjects",),
    "network_counts": ("confirmed_subjects",),
    "subject": ("account_age_days",),
    "device": ("browser_major",),
}
INPUTS = [(group, name, 1) for group, names in RISKIER_UP.items() for name in names] + [
    (group, name, -1) for group, names in RISKIER_DOWN.items() for name in names
]


def riskier(facts: Facts, risk: tuple[str, str, int], by: int) -> Facts:
    """Raise one input of which more is riskier, or lower one of which less is; an unknown one stays unknown."""
    group, name, sign = risk
    values_of = getattr(facts, group)
    was = getattr(values_of, name)
    return facts if was is None else replace(facts, **{group: replace(values_of, **{name: max(0, was + sign * by)})})


@many
@given(attempts | nearly_ordinary, st.sampled_from(INPUTS), st.integers(1, 300) | st.integers(1, 10**7))
def test_more_risk_never_softens(facts: Facts, risk: tuple[str, str, int], by: int) -> None:
    """Raise any one input of which more is riskier, or lower one of which less is: the outcome never gets milder."""
    before, after = evaluate(facts, POLICY, None), evaluate(riskier(facts, risk, by), POLICY, None)
    assert after.outcome >= before.outcome
    assert after.score >= before.score


@many
@given(attempts, st.sets(st.sampled_from(sorted(SIGNALS))))
def test_an_exemption_never_hardens(facts: Facts, codes: set[str]) -> None:
    """Exempt a subject from any signals: score and outcome never get harder, and nothing else is lifted."""
    before = evaluate(facts, POLICY, None)
    after = evaluate(replace(facts, exempt=dict.fromkeys(codes, "e")), POLICY, None)
    assert after.score <= before.score
    assert after.outcome <= before.outcome
    hits = {hit.question.code for hit in before.hits}
    assert set(after.exempt) == hits & codes - NEVER_EXEMPT
    assert {hit.question.code for hit in after.hits} == hits - set(after.exempt)


@many
@given(attempts, st.sets(st.sampled_from(sorted(SIGNALS))))
def test_a_deny_list_always_denies(facts: Facts, codes: set[str]) -> None:
    """What a deny list names is denied, whatever evidence the session has and whatever is exempt."""
    listed = replace(facts, lists=ListFacts(denied=("a",)), exempt=dict.fromkeys(codes, "e"))
    assert evaluate(listed, POLICY, None).outcome is Outcome.DENY


@many
@given(attempts, st.one_of(st.none(), st.floats(0, 0.9999)))
def test_every_evaluation_is_sound(facts: Facts, anomaly: float | None) -> None:
    """Score in its range, shares that add up to it, each signal in one state only, nothing failed, twice the same."""
    model: Any = None if anomaly is None else FixedModel(anomaly)
    found = evaluate(facts, POLICY, model)
    assert found == evaluate(facts, POLICY, model)
    assert 0 <= found.score_range[0] <= found.score <= found.score_range[1] <= 100
    assert round(sum(hit.contribution for hit in found.hits), 1) == found.score
    shares = [hit.contribution for hit in found.hits]
    assert shares == sorted(shares, reverse=True)
    hits = [hit.question.code for hit in found.hits]
    assert set(hits).isdisjoint(found.unknown)
    assert len(set(hits)) == len(hits)
    assert found.degraded == ()
    assert len(found.vector) == len(MODEL_FEATURES)
    assert found.anomaly == anomaly


def test_nothing_known() -> None:
    """Of an attempt with only a name and a time nothing is held against anybody, and most signals are unknown."""
    found = evaluate(attempt(), POLICY, None)
    assert (found.outcome, found.score, found.hits) == (Outcome.ALLOW, 0.0, ())
    assert len(found.unknown) == len(SIGNALS) - 2  # an action always has a name, and no list names the attempt


def test_the_more_is_unknown_the_wider_the_range() -> None:
    """The range narrows as groups of facts become known."""
    bare = evaluate(attempt(), POLICY, None).score_range
    some = evaluate(attempt(address_counts={}, network_counts={}, device_counts={}), POLICY, None).score_range
    more = evaluate(
        attempt(history={}, address_counts={}, network_counts={}, device_counts={}), POLICY, None
    ).score_range
    assert bare[1] > some[1] > more[1]


class FaultyExtractor(Extractor):
    """An extractor that fails on some features."""

    def __init__(self, failed: tuple[str, ...]) -> None:
        super().__init__(Population())
        self._failed = failed

    def __call__(self, facts: Facts) -> tuple[list[Any], bool]:
        """All features but the failed ones."""
        found, _ = super().__call__(facts)
        return [Fault(n, "OSError") if n in self._failed else v for n, v in zip(FEATURES, found, strict=True)], True


class Faulty:
    """A model with such an extractor."""

    version = "20260101-00000000"

    def __init__(self, failed: tuple[str, ...]) -> None:
        self.extract = FaultyExtractor(failed)

    def score_all(self, vectors: list[tuple[Any, ...]]) -> list[float]:
        """No model reads a fault."""
        return [sum(0.0 * value for value in vector if value is not None) for vector in vectors]


def judged_with_faults(facts: Facts, *failed: str) -> Any:  # noqa: ANN401
    """Judge with failed features."""
    model: Any = Faulty(failed)
    return evaluate(facts, POLICY, model)


def test_a_failed_feature_costs_its_signals_and_the_model() -> None:
    """Signals that read a failed feature are in error and named, the fail mode holds, all others still count."""
    facts = attempt(history=history(attempts_1h=999), network={"tor": True, "listed": ("feed",), "denied": True})
    found = judged_with_faults(facts, "travel_speed_kmh", "tor")
    assert set(found.degraded) == {"model", "signal:impossible_travel", "signal:tor_exit"}
    assert {"listed_ip", "denied_network"} <= {hit.question.code for hit in found.hits}
    assert found.anomaly is None
    assert {type(value) for value in found.vector} <= {float, NoneType}


def test_the_fail_mode_is_a_floor() -> None:
    """A failed signal forces the action's fail mode: allow for reading, step_up for logging in."""
    assert judged_with_faults(attempt(), "country").outcome is Outcome.STEP_UP
    assert judged_with_faults(attempt(action={"name": "read"}), "country").outcome is Outcome.ALLOW
    assert judged_with_faults(attempt(), "country").score == 0.0


def test_a_fault_changes_no_other_signal() -> None:
    """The slow way, taken when a feature failed, gives every other signal the answer of the fast way."""
    facts = attempt(
        history=history(failures_10m=16, known_devices=1, known_families=1),
        device={"id": "d", "family": "f"},
        network={"tor": True},
        address_counts={"subjects_1h": 99},
    )
    plain, faulty = evaluate(facts, POLICY, None), judged_with_faults(facts, "endpoint")
    assert [hit.question.code for hit in faulty.hits] == [hit.question.code for hit in plain.hits]
    assert faulty.score == plain.score


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        ({"subject": {"account_age_days": "old"}}, "new_account"),
        ({"action": {"name": "transfer", "amount": "much", "currency": "EUR"}}, "amount_over_limit"),
    ],
)
def test_a_senseless_value_is_an_error_of_its_signal(groups: dict[str, Any], code: str) -> None:
    """A value of the wrong type, as a damaged record may hold, costs its signal and nothing else."""
    found = evaluate(attempt(network={"tor": True}, **groups), POLICY, None)
    assert found.degraded == (f"signal:{code}",)
    assert "tor_exit" in {hit.question.code for hit in found.hits}
    assert found.outcome >= Outcome.STEP_UP


def test_time_is_handed_in() -> None:
    """The same facts at another time are judged by that time alone."""
    browser = {"browser_family": "Chrome", "browser_major": 100}
    then = evaluate(attempt(time=NOON - timedelta(days=4 * 365), device=browser), POLICY, None)
    now = evaluate(attempt(time=NOON, device=browser), POLICY, None)
    assert "outdated_user_agent" not in {hit.question.code for hit in then.hits}
    assert "outdated_user_agent" in {hit.question.code for hit in now.hits}


def test_the_groups_are_all_groups() -> None:
    """The law of unknown facts is tried on every group that may be missing."""
    always = {"time", "action", "lists", "exempt", "tripped", "velocities", "down"}
    assert set(UNKNOWN) | always == set(get_type_hints(Facts))
