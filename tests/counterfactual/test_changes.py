"""Each change: what it turns, how it is told, and that changed facts fit each other."""

from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from riskd.contract import Outcome
from riskd.counterfactual import changes_for, documented
from riskd.evaluation import evaluate
from riskd.facts import Facts
from riskd.features.velocity import Counted, Velocity
from riskd.policy import Policy
from tests.attempts import attempt
from tests.counterfactual.asked import KNOWN, PERSONAL, POLICIES, sized, texts, told
from tests.models import FixedModel
from tests.test_cases import CASES, facts_of, policy
from tests.test_cases import read as read_case
from tests.test_evaluation import attempts, many

STORIES = {
    "new_device_abroad": [
        "allowed from a known device", "allowed from a known network", "allowed from a known country",
        "allowed with a fresh authentication of level 2",
    ],
    "password_used_abroad_an_hour_later": [
        "allowed from a known network", "allowed from a known country",
        "allowed with a fresh authentication of level 2",
    ],
    "payment_over_the_limit": [
        "allowed for up to 5,000 EUR", "allowed with a fresh authentication of level 2",
    ],
    "guessed_at": ["allowed without the recent failures", "allowed 2 hours later"],
    "reported": [
        "allowed 15 days later", "allowed with the report confirmed to be a mistake",
        "allowed with a fresh authentication of level 2",
    ],
    "replay_with_earlier_evidence": ["allowed with a device payload of its own"],
    "evidence_never_lowers_deny": ["allowed from an address that no list names"],
    "store_down_and_listed": ["only a step-up from an address that no list names"],
    "store_down_login": ["allowed with every source up", "allowed with a fresh authentication of level 2"],
    "odd_altogether": ["allowed with a fresh authentication of level 2"],
    "known_laptop": [],
    "payments/over_the_limit": ["allowed for up to 1,000 EUR", "allowed with a fresh authentication of level 2"],
    "payments/stranger_from_a_strange_place": ["only a step-up for up to 400 EUR"],
    "payments/takeover_then_payout": [
        "allowed without the recent changes to the account", "only a step-up 25 hours later",
    ],
    "admin_console/through_tor": ["allowed not through Tor"],
    "sensitive_api/hidden_path": ["allowed with the path written plainly"],
}  # fmt: skip
"""Golden stories of `cases/`, and what would have turned each, in order."""


@pytest.mark.parametrize("story", STORIES)
def test_story(story: str) -> None:
    """Each of the golden stories is turned by what a person would say, and by nothing that sounds odd."""
    case = read_case(CASES / f"{story}.yaml")
    folder, _, _ = story.rpartition("/")
    model = FixedModel(case["model"]) if "model" in case else None
    found = told(facts_of(case), policy(folder or "default"), model)
    assert set(STORIES[story]) <= set(texts(found))
    assert [text for text in texts(found) if text in STORIES[story]] == STORIES[story]


ALONE: dict[str, tuple[dict[str, Any], str]] = {
    "known_device": ({"history": KNOWN, "device": {"id": "d", "family": "f"}}, "allowed from a known device"),
    "known_network": (
        {"history": {**KNOWN, "network_age_s": None}, "network": {"key": "AS1"}}, "allowed from a known network",
    ),
    "known_place": (
        {"history": {**KNOWN, "country_age_s": None}, "place": {"country": "BR"}}, "allowed from a known country",
    ),
    "plain_network": (
        {"network": {"tor": True, "hosting": True, "key": "AS1"}}, "allowed not through Tor or a hosting network",
    ),
    "unlisted_address": ({"network": {"listed": ["feed"]}}, "allowed from an address that no list names"),
    "amount": (
        {"action": {"name": "purchase", "amount": 7000.0, "currency": "EUR"}}, "allowed for up to 5,000 EUR",
    ),
    "known_recipient": (
        {"history": KNOWN, "action": {"recipient": "r"}}, "allowed to a recipient paid before",
    ),
    "without_failures": ({"history": {**KNOWN, "failures_1h": 9}}, "allowed without the recent failures"),
    "later": ({"history": {**KNOWN, "attempts_5m": 50}}, "allowed 15 minutes later"),
    "steady_session": (
        {"history": {**KNOWN, "session_hop_age_s": 5.0}, "subject": {"session": "s"}},
        "allowed without the session's change of country, device or network",
    ),
    "only_session": (
        {
            "history": {**KNOWN, "sessions": [{"latitude": 50.0, "longitude": 9.0}]},
            "place": {"latitude": -23.5, "longitude": -46.6},
        },
        "allowed without the other live sessions",
    ),
    "own_payload": ({"payload": {"age_s": 5.0, "elsewhere": True}}, "allowed with a device payload of its own"),
    "without_changes": (
        {"history": {**KNOWN, "contact_change_age_s": 60.0, "password_change_age_s": 30.0}},
        "allowed without the recent changes to the account",
    ),
    "settled_report": (
        {"history": {**KNOWN, "reported_age_s": 60.0}}, "allowed with the report confirmed to be a mistake",
    ),
    "sources_up": ({"down": ["geo"]}, "allowed with every source up"),
    "settled_device": (
        {"history": {**KNOWN, "device_age_s": 60.0, "device_known_age_s": 60.0}, "action": {"name": "change_email"},
         "device": {"id": "d"}},
        "allowed from a device known for long",
    ),
    "usual_browser": (
        {"device": {"user_agent_present": True, "user_agent_parsed": True, "bot": True}},
        "allowed with the usual browser",
    ),
    "own_device": (
        {"device_counts": {"subjects_24h": 9, "subjects_30d": 9}}, "allowed from a device that nobody else uses",
    ),
    "fitting_clock": (
        {
            "place": {"utc_offset_min_minutes": 60, "utc_offset_max_minutes": 120},
            "device": {"utc_offset_minutes": -300},
        },
        "allowed with a clock set to the place's time zone",
    ),
    "quiet_address": (
        {"address_counts": {"subjects_1h": 99, "subjects_24h": 99}},
        "allowed from an address without others and their failures",
    ),
    "unleaked_credential": ({"subject": {"leaked_credential": True}}, "allowed with a password that did not leak"),
    "lasting_email": (
        {"subject": {"email_disposable": True}}, "allowed with an e-mail address that is not disposable",
    ),
    "off_deny_lists": ({"lists": {"denied": ["people"]}}, "allowed were it on no deny list"),
    "old_account": ({"subject": {"account_age_days": 0.5}}, "allowed on an account of long standing"),
    "recent_success": (
        {"history": {**KNOWN, "last_confirmed_age_s": 9e6}}, "allowed after a confirmed success the day before",
    ),
    "plain_path": ({"action": {"path": "/x", "path_obfuscated": True}}, "allowed with the path written plainly"),
    "usual_hour": (
        {"history": {**KNOWN, "hour_sin": 0.0, "hour_cos": 40.0, "hour_count": 40}},
        "allowed at a usual hour (about 00:00 UTC)",
    ),
    "fresh_authentication": ({"down": ["geo"]}, "allowed with a fresh authentication of level 2"),
}  # fmt: skip
"""For each change an attempt that it turns by itself, and how that is told. Signals of what is at stake are off."""


@pytest.mark.parametrize("code", ALONE)
def test_each_change_turns_something(code: str) -> None:
    """Each change that is offered turns an attempt that is odd in this and nothing else, and says so."""
    groups, text = ALONE[code]
    found = told(attempt(**{**groups, "subject": {"token": "t", **groups.get("subject", {})}}), PERSONAL)
    way = next(way for way in found if [change.code for change in way.changes] == [code])
    assert (way.text, way.decision) == (text, "allow")


GOES_WITH: list[tuple[str, dict[str, Any]]] = [
    ("known_device", {"device_counts": {"subjects_24h": 9, "subjects_30d": 9}}),
    ("known_device", {"device": {"id": "d", "family": "f", "kind": "mobile", "hint_mobile": False}}),
    ("known_device", {"device": {"id": "d", "browser_family": "Chrome", "browser_major": 90}}),
    ("known_device", {"device": {"id": "d", "language": "pt"}}),
    ("usual_browser", {"device": {"family": "f", "browser_family": "Chrome", "browser_major": 90}}),
    ("usual_browser", {"device": {"family": "f", "os_family": "a", "platform_os_family": "b"}}),
    ("usual_browser", {"device": {"family": "f", "id": "d"}, "history": {**KNOWN, "device_age_s": 9.0,
                                                                         "device_family": "g"}}),
    ("known_network", {"network": {"key": "n", "proxy": True}}),
    ("known_network", {"network": {"key": "n", "listed": ["feed"], "denied": True}}),
    ("known_network", {"network": {"key": "n"}, "address_counts": {"subjects_1h": 99, "failed_subjects_1h": 99}}),
    ("known_network", {"network": {"key": "n"}, "network_counts": {"failed_subjects_1h": 99}, "address_counts": {}}),
    ("known_place", {"place": {"country": "BR", "latitude": -23.5, "longitude": -46.6},
                     "history": {**KNOWN, "country_age_s": None, "places": [{"latitude": 50.0, "longitude": 9.0,
                                                                             "country": "DE"}]}}),
    ("known_place", {"place": {"country": "BR"}, "device": {"rtt_ms": 9e3},
                     "history": {**KNOWN, "country_age_s": None, "rtt_count": 9, "rtt_mean_log_ms": 3.0}}),
    ("later", {"history": {**KNOWN, "attempts_5m": 50, "attempts_1h": 99, "attempts_24h": 120, "ips_24h": 50}}),
    ("later", {"address_counts": {"subjects_1h": 99, "subjects_24h": 99}}),
    ("later", {"history": {**KNOWN, "reported_age_s": 60.0, "session_hop_age_s": 5.0}, "subject": {"session": "s"}}),
    ("later", {"action": {"name": "purchase", "amount": 9.0, "currency": "EUR"},
               "history": {**KNOWN, "amount_24h": 20_000.0}}),
    ("own_payload", {"history": {**KNOWN, "replayed_age_s": 9.0}}),
]  # fmt: skip
"""Changes, and what else goes away with each."""


@pytest.mark.parametrize(("code", "groups"), GOES_WITH)
def test_what_goes_with_a_change(code: str, groups: dict[str, Any]) -> None:
    """Another device has another browser and users, another network other neighbours; later, all windows are past."""
    facts = attempt(**{"history": {**KNOWN, "network_age_s": None}, **groups})
    before = evaluate(facts, PERSONAL, None)
    assert before.outcome is Outcome.STEP_UP
    change = next(change for change in changes_for(facts, PERSONAL, before.plan) if change.code == code)
    assert [hit.question.code for hit in evaluate(change.apply(facts), PERSONAL, None).hits if hit.contribution] == []


def test_later_ages_the_authentication() -> None:
    """Waiting makes no authentication fresher: what the action wants fresh is then too old."""
    facts = attempt(
        action={"name": "export"}, subject={"auth_age_s": 60.0, "acr": "1"}, history={**KNOWN, "failures_1h": 20}
    )
    assert [text for text in texts(told(facts, policy("default"))) if "later" in text] == []


def test_every_change_is_tried_here() -> None:
    """The table above and the catalogue name the same changes, each with its meaning."""
    assert set(ALONE) == set(documented())
    assert all(meaning.endswith(".") for meaning in documented().values())


VELOCITIES = [
    ("later", "count", "attempts", "subject", 9.0, 1.0),
    ("later", "sum", "amount", "subject", 900.0, 80.0),
    ("later", "sum", "attributes.points", "subject", 900.0, 7.0),
    ("later", "sum", "attributes.unkept", "subject", 900.0, 0.0),
    ("known_device", "distinct", "subject", "device", 9.0, 1.0),
    ("known_device", "distinct", "subject", "ip", 9.0, 9.0),
    ("known_network", "count", "attempts", "ip", 9.0, 1.0),
    ("known_recipient", "distinct", "subject", "recipient", 9.0, 1.0),
    ("amount", "sum", "amount", "subject", 900.0, 820.01),
    ("amount", "count", "attempts", "subject", 9.0, 9.0),
]


@pytest.mark.parametrize(("code", "kind", "of", "per", "was", "is_now"), VELOCITIES)
def test_the_policys_velocities_are_counted_anew(
    code: str,
    kind: Literal["count", "sum", "distinct"],
    of: str,
    per: str,
    was: float,
    is_now: float,
) -> None:
    """What a change empties holds the present attempt alone; a smaller amount adds less; all else is as it was."""
    velocity = Velocity(name="v", kind=kind, of=of, per=per, window_s=86_400.0)
    plan = replace(evaluate(attempt(), policy("default"), None).plan, counted=Counted(velocities=(velocity,)))
    facts = attempt(
        action={"amount": 80.0, "currency": "EUR", "recipient": "r"},
        history={**KNOWN, "network_age_s": None},
        device={"id": "d"},
    )
    facts = replace(facts, velocities={velocity.key: was, "unpresented:1": None}, attributes={"points": 7})
    change = next(change for change in changes_for(facts, policy("default"), plan) if change.code == code)
    assert change.apply(facts).velocities == {velocity.key: pytest.approx(is_now), "unpresented:1": None}
    if code == "later":
        assert sized(change, 1).apply(facts).velocities == facts.velocities
        assert sized(change, 3).apply(facts).velocities == change.apply(facts).velocities


@many
@given(attempts, st.sampled_from(POLICIES))
def test_changed_facts_are_facts(facts: Facts, its_policy: Policy) -> None:
    """Every change, in its largest and smallest size, leaves facts of the right types that a record could hold."""
    plan = evaluate(facts, its_policy, None).plan
    for change in changes_for(facts, its_policy, plan):
        for after in {change, sized(change, 1)}:
            result = after.apply(facts)
            assert msgspec.json.decode(msgspec.json.encode(result), type=Facts) == result
            assert evaluate(result, its_policy, None).degraded == result.down
