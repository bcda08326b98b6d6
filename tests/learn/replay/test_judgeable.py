"""What a record can answer under another policy, and what it cannot: never judged unknown in silence."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from riskd.errors import DataError
from riskd.evaluation import Evaluation, Scorer, evaluate
from riskd.facts import NOT_LISTED, Facts, ListFacts
from riskd.features import MODEL_FEATURES, schema_hash
from riskd.learn.replay.judgeable import CHECKS, why_not
from riskd.learn.replay.relook import restated
from riskd.policy import Policy
from riskd.policy.load import parse
from riskd.record.schema import DecisionRecord
from riskd.signals import CATALOGUE
from tests.attempts import attempt
from tests.learn.replay.conftest import POLICY
from tests.models import FixedModel

HASHED = "3f" * 12
TEXT = POLICY.read_text(encoding="utf-8")
NO_LISTS = "lists:\n  deny:\n    networks: []\n  feeds: []\n"
MODEL = FixedModel(0.5)


def policy(more: str = "") -> Policy:
    """The shipped policy with more keys at its top; its own empty lists make room for others."""
    return parse(f"{TEXT.replace(NO_LISTS, '') if 'lists:' in more else TEXT}\n{more}\n".encode(), "policy")


PAST = policy()
DENIES_NET = policy("lists:\n  deny:\n    networks: [198.51.100.0/24]")
DENIES_ASN = policy("lists:\n  deny:\n    networks: [AS64500, '# a comment']")
FEED = policy("lists:\n  feeds: [{name: tor_feed, file: tor.txt}]")
LEAKS = policy("lists:\n  leaked_credentials: hashes.txt")


def facts(**groups: Any) -> Facts:  # noqa: ANN401 - groups of facts
    """An attempt from an address that was looked up under a policy without lists, and kept as a hash."""
    network = {"ip": HASHED, "key": "AS64500", "asn": 64500, "private": False, "denied": False}
    return attempt(**{**groups, "network": {**network, **groups.get("network", {})}})


def record(of: Facts, **more: Any) -> DecisionRecord:  # noqa: ANN401 - fields of a record
    """The record of an attempt under the shipped policy of the day."""
    made: dict[str, Any] = {
        "decision_id": "d",
        "evaluated_at": datetime(2026, 3, 4, 12, tzinfo=UTC),
        "facts": of,
        "vector": (),
        "feature_schema": schema_hash(MODEL_FEATURES),
        "catalogue": CATALOGUE,
        "score": 0.0,
        "score_range": (0.0, 0.0),
        "outcome": "allow",
        "policy_revision": PAST.revision,
    }
    return DecisionRecord(**{**made, **more})


def asked(
    about: DecisionRecord, new: Policy, past: Policy | None = PAST, model: Scorer | None = None
) -> tuple[str | None, Evaluation]:
    """Why a record does not count, and what its facts give."""
    evaluation = evaluate(restated(about, past, new, model), new, model)
    return why_not(about, past, new, model, evaluation), evaluation


def test_what_stays_the_same_needs_no_doubt() -> None:
    """Under its own policy, and under one with other thresholds and weights, every record answers."""
    about = record(facts())
    softer = policy("signals: {new_device: {weight: 0.1}}")
    assert asked(about, PAST)[0] is None
    assert asked(about, softer)[0] is None
    assert asked(about, softer, past=None)[0] is None
    assert restated(about, PAST, PAST, None) is about.facts


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (HASHED, "the address was not kept"),
        ("198.51.100.0/24", "the address was not kept"),
        ("198.51.100.9", None),
        ("203.0.113.9", None),
        (None, None),
    ],
)
def test_a_prefix_list_needs_the_plain_address(kept: str | None, why: str | None) -> None:
    """A changed list of prefixes is answered by a plain address alone."""
    about = record(facts(network={"ip": kept}))
    said, evaluation = asked(about, DENIES_NET)
    assert said == why or (why and said and why in said)
    if why is None:
        hit = any(hit.question.code == "denied_network" for hit in evaluation.hits)
        assert hit is (kept == "198.51.100.9")


def test_an_unchanged_prefix_list_keeps_its_answer() -> None:
    """What the list said then stands when the new policy has the same list, hash or not."""
    about = record(facts(network={"denied": True}), policy_revision=DENIES_NET.revision)
    same = policy("lists:\n  deny:\n    networks: [198.51.100.0/24]\nsignals: {new_ip: {weight: 0.1}}")
    said, evaluation = asked(about, same, past=DENIES_NET)
    assert said is None
    assert any(hit.question.code == "denied_network" for hit in evaluation.hits)


@pytest.mark.parametrize(("asn", "denied"), [(64500, True), (64501, False), (None, None)])
def test_an_asn_list_is_looked_up_anew(asn: int | None, denied: bool | None) -> None:
    """A record knows its ASN: a list of ASNs is answered, and an unknown ASN is unknown as it would have been."""
    about = record(facts(network={"asn": asn, "key": None}))
    said, evaluation = asked(about, DENIES_ASN)
    assert said is None
    assert restated(about, PAST, DENIES_ASN, None).network.denied is denied
    assert ("denied_network" in evaluation.unknown) is (denied is None)


def test_an_emptied_deny_list_denies_nobody() -> None:
    """What a former list denied is not denied under a policy without it."""
    about = record(facts(network={"denied": True}), policy_revision=DENIES_ASN.revision)
    said, evaluation = asked(about, PAST, past=DENIES_ASN)
    assert said is None
    assert not evaluation.hits
    assert asked(about, PAST, past=None)[1].hits == ()


def test_a_feed_must_have_been_looked_up() -> None:
    """A feed that is new cannot be answered; one known by policy or record can; one that is gone is left out."""
    about = record(facts())
    assert "feed tor_feed" in (asked(about, FEED)[0] or "")
    assert "feed tor_feed" in (asked(about, FEED, past=None)[0] or "")
    listed = record(facts(network={"listed": ("tor_feed", "other")}), sources={"tor_feed": "", "other": ""})
    said, evaluation = asked(listed, FEED, past=None)
    assert said is None
    assert restated(listed, None, FEED, None).network.listed == ("tor_feed",)
    assert any(hit.question.code == "listed_ip" for hit in evaluation.hits)
    assert restated(listed, FEED, PAST, None).network.listed is None


def test_lists_that_were_down_stay_down() -> None:
    """Where the lists failed, the record says so, and nothing is looked up in their place."""
    about = record(facts(network={"denied": None}, down=("lists",)))
    assert asked(about, DENIES_NET)[0] is None
    assert restated(about, PAST, DENIES_ASN, None) is about.facts


def test_another_set_of_leaked_passwords_is_not_known() -> None:
    """A set that came or went cannot be answered, unless the source was down or nothing was ever known."""
    about = record(facts())
    assert "leaked_credentials" in (asked(about, LEAKS)[0] or "")
    assert asked(record(facts(down=("leaked_credentials",))), LEAKS)[0] is None
    told = record(facts(subject={"token": "t", "leaked_credential": True}))
    assert asked(told, PAST, past=None)[0] is None
    assert "leaked_credentials" in (asked(told, PAST, past=LEAKS)[0] or "")
    assert asked(record(facts()), PAST, past=LEAKS)[0] is None


LOGIN, RULES = "names: [login, sign_in, authenticate]", "\nresources:\n"


@pytest.mark.parametrize(
    ("field", "value", "old", "new"),
    [
        ("name", HASHED, LOGIN, LOGIN.replace("]", ", step2fa99]")),
        ("path", f"/api/{HASHED}/x", RULES, f"{RULES}  - {{name: r, match: {{endpoint: [/api/export2024/x]}}}}\n"),
        ("resource_type", HASHED, RULES, f"{RULES}  - {{name: r, match: {{type: [invoice7777]}}}}\n"),
    ],
)
def test_a_word_that_was_masked_may_be_the_policys(field: str, value: str, old: str, new: str) -> None:
    """Where the new policy spells a word that was kept as a hash before, a masked word cannot be compared."""
    assert TEXT.count(old) == 1
    spells = parse(TEXT.replace(old, new).encode(), "policy")
    about = record(facts(action={"name": "login", field: value}))
    assert "kept as a hash" in (asked(about, spells)[0] or "")
    assert asked(about, PAST)[0] is None
    assert asked(record(facts()), spells)[0] is None
    assert asked(about, spells, past=spells)[0] is None


def reading(when: str) -> Policy:
    """The shipped policy with an attribute and a signal."""
    return policy(
        "attributes: {partner: text}\n"
        f"custom_signals: [{{code: partner, when: '{when}', weight: 0.4, text: A partner.}}]"
    )


def test_an_attribute_that_was_masked_may_be_the_word() -> None:
    """An address that only the new policy spells lies in the record as a hash, which cannot be compared."""
    before, after = reading('attributes.partner == "acme"'), reading('attributes.partner == "203.0.113.7"')
    about = record(facts(attributes={"partner": HASHED}))
    assert "kept as a hash" in (asked(about, after, past=before)[0] or "")
    assert asked(about, after, past=after)[0] is None
    assert asked(record(facts(attributes={"partner": "other"})), after, past=before)[0] is None


def test_an_address_that_was_kept_otherwise() -> None:
    """A signal that reads the address finds it in the form of the day, not in that of the new policy."""
    hashed = reading('network.ip == "81.2.69.142"')
    plain = parse(TEXT.replace("    ip: hash", "    ip: plain").encode(), "policy")
    assert plain.file.record.keep.ip != hashed.file.record.keep.ip
    assert asked(record(facts()), hashed, past=plain)[0] == "network.ip may have been kept otherwise then"
    assert asked(record(facts()), hashed, past=hashed)[0] is None
    assert asked(record(facts()), plain, past=hashed)[0] is None


def test_another_model_asks_for_the_same_features() -> None:
    """A record made with other features cannot feed a model, and does without one."""
    about = record(facts(), feature_schema="0" * 12)
    assert "other features" in (asked(about, PAST, model=MODEL)[0] or "")
    assert asked(about, PAST)[0] is None


def test_a_signal_that_the_record_never_heard_of() -> None:
    """Of a record of another catalogue, a signal that finds nothing to read now and was not unknown then is missing."""
    about = record(attempt(network={"ip": HASHED, "denied": False}), catalogue="0" * 12)
    evaluation = evaluate(about.facts, PAST, None)
    assert "without what" in (why_not(about, PAST, PAST, None, evaluation) or "")
    told = replace(about, unknown=evaluation.unknown)
    assert why_not(told, PAST, PAST, None, evaluation) is None


def test_a_model_that_was_down_says_nothing_of_another() -> None:
    """Under the same model the decision stays degraded; another is asked."""
    about = record(facts(down=("model",)), model_version=MODEL.version)
    assert asked(about, PAST, model=MODEL)[1].degraded == ("model",)
    other = FixedModel(0.5)
    other.version = "20260202-11111111"
    _, evaluation = asked(about, PAST, model=other)
    assert (evaluation.degraded, evaluation.anomaly) == ((), 0.5)


def test_an_attribute_that_was_not_recorded() -> None:
    """A custom signal whose attribute was not recorded then cannot be answered; one that was sent can."""
    reads = policy(
        "attributes: {plan: text}\n"
        "custom_signals: [{code: free_plan, when: 'attributes.plan == \"free\"', weight: 0.4, text: Free.}]"
    )
    about = record(facts())
    assert asked(about, reads)[0] == "attribute plan was not recorded then"
    assert asked(about, reads, past=None)[0] == "attribute plan was not recorded then"
    assert asked(about, reads, past=reads)[0] is None
    sent = record(facts(attributes={"plan": "free"}))
    said, evaluation = asked(sent, reads)
    assert said is None
    assert [hit.question.code for hit in evaluation.hits] == ["free_plan"]


def test_every_check_says_what_it_is_about() -> None:
    """The table holds each check once, documented."""
    assert len(set(CHECKS)) == len(CHECKS)
    assert all(check.__doc__ for check in CHECKS)


def named(*lists: str) -> Policy:
    """The shipped policy with named lists."""
    return policy("lists:\n  named:\n" + "".join(f"    {one}\n" for one in lists))


COUNTRIES = "sanctioned: {kind: deny, of: country, entries: [KP, SE]}"
OFFICE = "office: {kind: allow, of: network, entries: [AS64500], exempts: [new_ip]}"


@pytest.mark.parametrize(("country", "denied"), [("SE", ("sanctioned",)), ("DE", ()), (None, None)])
def test_a_list_of_countries_is_looked_up_anew(country: str | None, denied: tuple[str, ...] | None) -> None:
    """A record knows its country: a new list is answered as it would have been, the unknown place included."""
    about = record(facts(place={"country": country}))
    said, evaluation = asked(about, named(COUNTRIES))
    assert said is None
    assert restated(about, PAST, named(COUNTRIES), None).lists.denied == denied
    assert any(hit.question.code == "deny_listed" for hit in evaluation.hits) is bool(denied)
    assert ("deny_listed" in evaluation.unknown) is (denied is None)


def test_an_allow_list_of_asns_is_looked_up_anew() -> None:
    """A hash has its ASN beside it; a list of prefixes needs the address itself."""
    assert asked(record(facts()), named(OFFICE))[0] is None
    assert restated(record(facts()), PAST, named(OFFICE), None).lists.allowed == ("office",)
    elsewhere = record(facts(network={"asn": 64501}))
    assert restated(elsewhere, PAST, named(OFFICE), None) is elsewhere.facts
    prefixes = named("office: {kind: allow, of: network, entries: [198.51.100.0/24], exempts: [new_ip]}")
    assert "list office" in (asked(record(facts()), prefixes)[0] or "")
    plain = record(facts(network={"ip": "198.51.100.9"}))
    assert asked(plain, prefixes)[0] is None
    assert restated(plain, PAST, prefixes, None).lists.allowed == ("office",)


def test_an_allow_list_is_asked_as_of_the_decision() -> None:
    """What had lapsed when the attempt was judged lifts nothing, though the attempt was of the day before."""
    dated = OFFICE.replace("AS64500", "'AS64500 # until 2026-03-03'")
    of_the_day_before = facts(time=datetime(2026, 3, 3, 18, tzinfo=UTC))
    for judged, allowed in ((4, ()), (3, ("office",))):
        about = record(of_the_day_before, evaluated_at=datetime(2026, 3, judged, 19, tzinfo=UTC))
        assert restated(about, PAST, named(dated), None).lists.allowed == allowed
    denied = named(dated.replace("allow", "deny").replace(", exempts: [new_ip]", ""))
    about = record(of_the_day_before, evaluated_at=datetime(2026, 3, 4, 19, tzinfo=UTC))
    assert restated(about, PAST, denied, None).lists.denied == ("office",)


@pytest.mark.parametrize(
    "declared",
    [
        "people: {kind: deny, of: subject, entries: [mallory]}",
        "things: {kind: deny, of: device, entries: [bot]}",
        "mails: {kind: deny, of: email_domain, entries: [evil.example]}",
        "held: {kind: deny, of: country, store: true}",
    ],
)
def test_what_a_record_does_not_hold_is_not_asked(declared: str) -> None:
    """Lists of subjects, devices and e-mail domains, and what the store holds, cannot be asked about a record."""
    about = record(facts(place={"country": "DE"}))
    assert "may differ" in (asked(about, named(declared))[0] or "")
    assert asked(about, named(declared), past=named(declared))[0] is None


def test_an_unchanged_named_list_keeps_its_answer() -> None:
    """What a list said then stands where it is declared as it was; what another said is dropped with it."""
    people = "people: {kind: deny, of: subject, store: true}"
    about = record(facts(lists=ListFacts(denied=("people", "gone"), allowed=("old",)), place={"country": "DE"}))
    new, past = named(people, COUNTRIES), named(people, "gone: {kind: deny, of: device, store: true}")
    assert asked(about, new, past=past)[0] is None
    lists = restated(about, past, new, None).lists
    assert (lists.denied, lists.allowed) == (("people",), ())
    assert restated(about, past, PAST, None).lists == NOT_LISTED
    unsaid = record(facts(lists=ListFacts(denied=None), place={"country": "DE"}))
    assert restated(unsaid, past, new, None).lists.denied is None


def test_a_list_in_a_file_is_read(tmp_path: Path) -> None:
    """Entries in a file beside the policy count, and a file that is not there is told."""
    (tmp_path / "countries.txt").write_text("SE\n")
    text = TEXT.replace(NO_LISTS, "") + "lists: {named: {few: {kind: deny, of: country, file: countries.txt}}}\n"
    new = parse(text.encode(), str(tmp_path / "new.yaml"))
    about = record(facts(place={"country": "SE"}))
    assert restated(about, PAST, new, None).lists.denied == ("few",)
    lost = parse(text.encode(), str(tmp_path / "elsewhere" / "new.yaml"))
    with pytest.raises(DataError, match=r"countries\.txt"):
        restated(about, PAST, lost, None)
