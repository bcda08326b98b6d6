"""Named lists in a policy: mistakes, what they lift, precedence."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from riskd.errors import PolicyError
from riskd.evaluation import evaluate
from riskd.explain import explain
from riskd.facts import ActionFacts, DeviceFacts, Facts, ListFacts, NetworkFacts, PlaceFacts, SubjectFacts
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, parse
from riskd.policy.named import DEFAULT_EXEMPTS, NEVER_EXEMPT, NamedList, answered_by
from riskd.signals import SIGNALS

SHIPPED_TEXT = (SHIPPED / "default.yaml").read_text(encoding="utf-8")
FACTS = Facts(
    time=datetime(2026, 11, 2, tzinfo=UTC),
    subject=SubjectFacts(leaked_credential=True, email_disposable=True),
    action=ActionFacts(name="login"),
    network=NetworkFacts(tor=True, listed=("feed",), denied=False),
    place=PlaceFacts(country="KP"),
    device=DeviceFacts(bot=True, user_agent_present=True, user_agent_parsed=True),
)


def policy_with(named: str, more: str = "") -> Policy:
    """The shipped policy with named lists."""
    text = SHIPPED_TEXT.replace("  feeds: []\n", f"  feeds: []\n  named:\n{named}")
    return parse((text + more).encode(), "riskd.yaml")


def mistakes(named: str) -> list[str]:
    """What is wrong with named lists."""
    with pytest.raises(PolicyError) as caught:
        policy_with(named)
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("    a: {kind: deny, of: country}\n", "has no entries"),
        ("    a: {kind: deny, of: country, entries: [KP], exempts: [new_ip]}\n", "is for allow lists"),
        ("    a: {kind: allow, of: device, entries: [x]}\n", "must say in `exempts`"),
        ("    a: {kind: allow, of: network, entries: [1.2.3.4], exempts: [new_pi]}\n", "no such signal (got 'new_pi')"),
        ("    a: {kind: allow, of: network, store: true, exempts: [reported]}\n", "nothing is exempt from reported"),
        ("    A: {kind: deny, of: country, entries: [KP]}\n", "match pattern"),
        ("    a: {kind: deny, of: planet, entries: [KP]}\n", "'network'"),
        ("    a: {kind: denny, of: country, entries: [KP]}\n", "did you mean deny"),
        ("    a: {kind: deny, of: country, entries: [KP], until: 1}\n", "no such key"),
        (f"    a: {{kind: deny, of: endpoint, entries: {[f'/{n}' for n in range(201)]}}}\n", "has more than 200 globs"),
        ("    a: {kind: deny, of: endpoint, entries: [admin]}\n", "'admin' is no path"),
    ],
)
def test_mistakes_are_named(named: str, said: str) -> None:
    """Every mistake in a named list is told with its line, and the nearest right word where there is one."""
    (told,) = mistakes(named)
    assert told.startswith("line ")
    assert said in told


def test_nearest_code() -> None:
    """A misspelt signal in `exempts` is told with the nearest right ones."""
    (told,) = mistakes("    a: {kind: allow, of: network, entries: [1.2.3.4], exempts: [new_pi]}\n")
    assert "did you mean new_ip" in told


def test_what_an_allow_list_lifts_counts_nothing() -> None:
    """The signals that an allow list names bring neither weight nor floor, and are told; all others count as before."""
    policy = policy_with(
        "    office: {kind: allow, of: network, entries: [1.2.3.4], exempts: [tor_exit]}\n",
        "signals:\n  tor_exit: {floor: deny}\n",
    )
    plain = evaluate(FACTS, policy, None)
    allowed = evaluate(replace(FACTS, lists=ListFacts(allowed=("office",))), policy, None)
    assert plain.floor.word == "deny"
    assert "tor_exit" in {hit.question.code for hit in plain.hits}
    assert plain.exempt == ()
    assert allowed.exempt == ("tor_exit",)
    assert allowed.floor.word == "allow"
    assert {hit.question.code for hit in plain.hits} - {hit.question.code for hit in allowed.hits} == {"tor_exit"}
    assert allowed.score < plain.score
    unknown_list = evaluate(replace(FACTS, lists=ListFacts(allowed=("elsewhere",))), policy, None)
    assert unknown_list.outcome is plain.outcome
    assert unknown_list.score == plain.score


def test_defaults_lift_feeds_but_no_denial() -> None:
    """An allow list of networks goes before threat feeds, and behind the policy's own denials."""
    policy = policy_with("    office: {kind: allow, of: network, entries: [1.2.3.4]}\n")
    facts = replace(FACTS, lists=ListFacts(allowed=("office",), denied=("other",)))
    judged = evaluate(facts, policy, None)
    assert {"tor_exit", "listed_ip"} <= set(judged.exempt)
    assert judged.outcome.word == "deny"
    (denied,) = [hit for hit in judged.hits if hit.question.code == "deny_listed"]
    assert denied.inputs == ("other",)


def test_an_exemption_lifts_its_code_alone() -> None:
    """An exempted signal counts nothing for the subject; one that is never exempt counts whatever the facts say."""
    policy = policy_with("    a: {kind: deny, of: country, entries: [KP]}\n")
    facts = replace(FACTS, exempt={"tor_exit": "a1", "leaked_credential": "a2"})
    judged = evaluate(facts, policy, None)
    assert judged.exempt == ("tor_exit",)
    assert "leaked_credential" in {hit.question.code for hit in judged.hits}


def test_an_exempt_signal_that_is_unknown_leaves_nothing_open() -> None:
    """What a lifted signal would say does not widen the score's range; it is still told as unknown."""
    policy = policy_with("    a: {kind: deny, of: country, entries: [KP]}\n")
    facts = Facts(time=FACTS.time, subject=SubjectFacts(), action=FACTS.action)
    plain, exempt = (evaluate(f, policy, None) for f in (facts, replace(facts, exempt={"rare_for_subject": "a1"})))
    assert exempt.score_range[1] < plain.score_range[1]
    assert "rare_for_subject" in exempt.unknown


def test_unknown_lists_are_unknown() -> None:
    """A deny list that cannot tell leaves the signal unknown, and without any list it is clear."""
    policy = policy_with("    a: {kind: deny, of: device, entries: [x]}\n")
    assert "deny_listed" in evaluate(replace(FACTS, lists=ListFacts(denied=None)), policy, None).unknown
    judged = evaluate(FACTS, policy, None)
    assert "deny_listed" not in {*judged.unknown, *(hit.question.code for hit in judged.hits)}


def test_what_is_never_exempt_covers_every_floor() -> None:
    """Every built-in signal with a floor of its own is among those that nothing lifts, and no default names one."""
    assert {code for code, signal in SIGNALS.items() if signal.floor.word != "allow"} <= NEVER_EXEMPT
    assert set(SIGNALS) >= NEVER_EXEMPT
    for codes in DEFAULT_EXEMPTS.values():
        assert set(codes) <= set(SIGNALS) - NEVER_EXEMPT


def test_expressions_read_lists() -> None:
    """A custom signal may ask which lists name the attempt."""
    policy = policy_with(
        "    watched: {kind: allow, of: country, entries: [KP], exempts: []}\n",
        "custom_signals:\n  - {code: on_watch, when: '\"watched\" in lists.allowed', weight: 0.5, text: Watched.}\n",
    )
    judged = evaluate(replace(FACTS, lists=ListFacts(allowed=("watched",))), policy, None)
    assert "on_watch" in {hit.question.code for hit in judged.hits}


def test_an_explanation_names_what_lifts() -> None:
    """A lifted signal is told as exempt, with the list or the exemption that lifts it."""
    policy = policy_with("    office: {kind: allow, of: network, entries: [1.2.3.4], exempts: [tor_exit]}\n")
    facts = replace(FACTS, lists=ListFacts(allowed=("office",)), exempt={"bot_user_agent": "e1", "tor_exit": "e2"})
    lines = {line.code: line for line in explain(facts, policy, None).signals}
    assert (lines["tor_exit"].state, lines["bot_user_agent"].state) == ("exempt", "exempt")
    assert lines["tor_exit"].why == "counts nothing: allow list office, exemption e2"
    assert lines["bot_user_agent"].why == "counts nothing: exemption e1"
    assert lines["tor_exit"].contribution == 0.0


@pytest.mark.parametrize(
    ("said", "ip", "answers"),
    [
        ({"of": "country", "entries": ["KP"]}, "ab12", True),
        ({"of": "endpoint", "entries": ["/admin/**"]}, "ab12", True),
        ({"of": "network", "entries": ["AS64500", "as1"]}, "ab12", True),
        ({"of": "network", "entries": ["AS64500", "203.0.113.0/24"]}, "ab12", False),
        ({"of": "network", "entries": ["203.0.113.0/24"]}, "203.0.113.0/24", False),
        ({"of": "network", "entries": ["203.0.113.0/24"]}, "203.0.113.9", True),
        ({"of": "network", "entries": ["2001:db8::/32"]}, "2001:db8::1", True),
        ({"of": "network", "entries": ["203.0.113.0/24"]}, None, True),
        ({"of": "subject", "entries": ["ada"]}, "203.0.113.9", False),
        ({"of": "device", "entries": ["x"]}, "203.0.113.9", False),
        ({"of": "email_domain", "entries": ["x.example"]}, "203.0.113.9", False),
        ({"of": "country", "file": "countries.txt"}, "ab12", True),
        ({"of": "network", "file": "asns.txt"}, "ab12", False),
        ({"of": "endpoint", "file": "paths.txt"}, "ab12", True),
        ({"of": "country", "store": True}, "ab12", False),
    ],
)
def test_what_a_record_answers(said: dict[str, object], ip: str | None, answers: bool) -> None:
    """A record can be asked about a list whose entries are at hand when it holds, in the clear, what they are of."""
    declared = NamedList.model_validate({"kind": "deny", **said})
    masked = ActionFacts(name="login", path="/users/" + "ab" * 12)
    if declared.of == "endpoint":
        assert answered_by(declared, replace(FACTS, action=masked)) is (declared.file is None)
    assert answered_by(declared, replace(FACTS, network=NetworkFacts(ip=ip))) is answers


def test_words_of_endpoint_lists_are_kept() -> None:
    """Segments that an endpoint list spells are recorded as they are."""
    policy = policy_with("    a: {kind: deny, of: endpoint, entries: [/secret4you/**]}\n")
    assert "secret4you" in policy.words
    assert Path(policy.source).name == "riskd.yaml"
