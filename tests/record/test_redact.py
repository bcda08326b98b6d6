"""No secret reaches the log, whatever field it strays into (fault case 29, the record's side)."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from riskd.facts import ActionFacts, DeviceFacts, Facts, NetworkFacts, PlaceFacts, SubjectFacts, SubjectHistory
from riskd.record.redact import Redaction, looks_secret
from riskd.record.schema import MAX_LINE, DecisionRecord, OutcomeRecord, encode

SECRETS = {
    "password": "Tr0ub4dor&3-horse",
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJlMTIzNDU2",
    "pan": "4111 1111 1111 1111",
    "email": "jane.doe@example.org",
    "ipv4": "203.0.113.77",
    "ipv6": "2001:db8:85a3::8a2e:370:7334",
}


def mask(text: str) -> str:
    """Return a keyed hash, as the service's pseudonyms are."""
    return "h:" + hmac.new(b"key of the test", text.encode(), hashlib.sha256).hexdigest()[:16]


def planted(secret: str, history: SubjectHistory, when: datetime) -> Facts:
    """Return facts with a secret in every field that a caller's free text can reach."""
    return Facts(
        time=when,
        subject=SubjectFacts(type=secret, acr=secret, amr=("pwd", secret), enrolled_factors=(secret, "totp")),
        action=ActionFacts(name=secret, resource_type=secret, method=secret, path=f"/reset/{secret}/done"),
        network=NetworkFacts(organization=secret),
        place=PlaceFacts(city=secret),
        device=DeviceFacts(
            os_family=secret,
            browser_family=secret,
            family=f"{secret}|Chrome",
            hint_os_family=secret,
            hint_browser_family=secret,
            platform_os_family=secret,
        ),
        history=replace(history, device_family=f"{secret}|Chrome"),
        attributes={"note": secret, secret: 1, "number": 1},
    )


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_29_a_planted_secret_is_absent(secret: str, history: SubjectHistory, noon: datetime) -> None:
    """A password, token, card number, e-mail or IP address in every field leaves no trace, not even a plain hash."""
    kept = Redaction(mask).facts(planted(secret, history, noon))
    text = msgspec.json.encode(kept).decode()
    assert secret not in text
    assert not any(part in text for part in secret.split(" ") if len(part) > 3 and not part.isalpha())
    for algorithm in ("md5", "sha1", "sha256", "sha512", "blake2b"):
        assert hashlib.new(algorithm, secret.encode(), usedforsecurity=False).hexdigest()[:16] not in text
    assert kept.attributes == {}
    assert kept.action.path == f"/reset/{mask(secret)}/done"
    assert kept.subject.amr == ("pwd", mask(secret))


@pytest.mark.parametrize("kind", ["token", "pan", "email", "ipv4", "ipv6"])
def test_29_an_allowed_attribute_does_not_hold_a_secret(kind: str, history: SubjectHistory, noon: datetime) -> None:
    """An attribute that the policy lets be recorded is masked when its value looks like a secret."""
    text = f"seen {SECRETS[kind]} today"
    facts = replace(planted("x", history, noon), attributes={"note": text})
    kept = Redaction(mask, attributes={"note"}).facts(facts)
    assert kept.attributes == {"note": mask(text)}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_29_an_outcome_is_redacted_too(secret: str, outcome: Callable[..., OutcomeRecord]) -> None:
    """The words of an outcome report are a caller's as well."""
    kept = Redaction(mask, words=("urn:mace:gold2",)).outcome(outcome(acr=secret, amr=("pwd", secret), method=secret))
    assert secret not in encode(kept).decode()
    assert (kept.acr, kept.amr, kept.method) == (mask(secret), ("pwd", mask(secret)), mask(secret))


def test_ordinary_facts_stay_the_same_object(facts: Facts, outcome: Callable[..., OutcomeRecord]) -> None:
    """Where nothing has to go nothing is copied, the first time and every other."""
    redaction = Redaction(mask)
    assert redaction.facts(facts) is facts
    assert redaction.facts(facts) is facts
    record = outcome()
    assert redaction.outcome(record) is record


def test_what_the_policy_spells_is_kept(facts: Facts) -> None:
    """Words with digits or signs survive when the policy itself holds them."""
    action = replace(facts.action, name="transfer_2fa", resource_type="iban16", path="/v1/s3cret-area/users")
    odd = replace(facts, action=action, subject=replace(facts.subject, acr="loa2", amr=("u2f",)))
    words = ("transfer_2fa", "iban16", "s3cret-area", "loa2", "u2f")
    assert Redaction(mask, words=words).facts(odd) is odd
    kept = Redaction(mask).facts(odd)
    assert kept.action.path == f"/v1/{mask('s3cret-area')}/users"
    assert kept.action.name == mask("transfer_2fa")


@pytest.mark.parametrize(
    "name",
    [
        "login",
        "changeEmail",
        "change_email",
        "payment.create",
        "urn:mace:incommon:iap:silver",
        "GET",
        "pwd",
        "MFA",
        "2",
    ],
)
def test_words_are_kept(name: str, facts: Facts) -> None:
    """Common ways to spell an action or an acr need no entry anywhere."""
    named = replace(facts, action=replace(facts.action, name=name))
    assert Redaction(mask).facts(named) is named


@pytest.mark.parametrize(
    ("city", "family"),
    [
        ("Frankfurt am Main", "Mac OS X|Mobile Safari UI/WKWebView"),
        ("'s-Hertogenbosch", "Linux|HeadlessChrome"),
        ("São Paulo", "Chrome OS|Samsung Internet"),
        ("東京", "Other|python-requests"),
        ("Sankt Pölten (Stadt)", "iOS|Chrome Mobile iOS"),
    ],
)
def test_names_are_kept(city: str, family: str, facts: Facts) -> None:
    """Places, companies and browsers are named in all languages."""
    named = replace(facts, place=replace(facts.place, city=city), device=replace(facts.device, family=family))
    assert Redaction(mask).facts(named) is named


def test_masked_texts_still_compare(facts: Facts, history: SubjectHistory) -> None:
    """A masked device family equals the masked one of the history exactly when the texts were equal."""
    odd = replace(
        facts,
        device=replace(facts.device, family="Linux|360Spider"),
        history=replace(history, device_family="Linux|360Spider"),
    )
    kept = Redaction(mask).facts(odd)
    assert kept.history is not None
    assert kept.device.family == kept.history.device_family != odd.device.family


def test_attributes_keep_their_types(facts: Facts) -> None:
    """Numbers, flags and short texts that are allowed pass as they are; what is not allowed is gone."""
    values: dict[str, str | bool | int | float] = {"a": True, "b": 12, "c": 0.5, "d": "gold", "e": 1_772_884_800_000}
    kept = Redaction(mask, attributes=values).facts(replace(facts, attributes=values | {"z": 1}))
    assert kept.attributes == values
    numbers = Redaction(mask, attributes={"n", "f"}).facts(
        replace(facts, attributes={"n": 4111111111111111, "f": 4111111111111111.0})
    )
    assert numbers.attributes == {"n": mask("4111111111111111"), "f": mask("4111111111111111.0")}


def test_fractions_and_what_the_policy_spells_are_kept(facts: Facts) -> None:
    """A fraction of many digits is no card number, and a text that the policy itself spells is no secret."""
    sent = {
        "n": 0.4111111111111111,
        "m": 41111111111111.11,
        "t": 10**14 - 1,
        "d": "1234567890123",
        "s": "ops@example.com",
    }
    redaction = Redaction(mask, attributes=sent, words={"ops@example.com"})
    assert redaction.facts(replace(facts, attributes=sent)).attributes == sent
    assert Redaction(mask, attributes=sent).facts(replace(facts, attributes=sent)).attributes["s"] == mask(sent["s"])


def test_the_memory_of_harmless_values_has_an_end(facts: Facts) -> None:
    """Values without end are all looked at, and the same value is kept the second time too."""
    redaction = Redaction(mask, attributes={"v"})
    for number in range(5_000):
        text = f"value {number}"
        assert redaction.facts(replace(facts, attributes={"v": text})).attributes == {"v": text}
    assert len(redaction._harmless) <= 4_097


def test_the_widest_attributes_fit_into_a_line(decision: Callable[..., DecisionRecord], facts: Facts) -> None:
    """64 attributes of 1,024 wide characters under wide names are recorded within the limit of a line."""
    names = [f"{number:02}" + "😀" * 62 for number in range(64)]
    wide = replace(facts, attributes=dict.fromkeys(names, "😀" * 1_024))
    quoted = replace(facts, attributes=dict.fromkeys(names, '"' * 256))
    for each in (wide, quoted):
        kept = Redaction(mask, attributes=names).facts(each)
        assert len(kept.attributes) == 64
        assert len(encode(decision(facts=kept))) <= MAX_LINE


def test_memory_of_clean_texts_is_bounded(facts: Facts) -> None:
    """A caller who sends ever new words and paths does not fill the memory."""
    redaction = Redaction(mask)
    letters = "abcdefghij"
    for number in range(10_000):
        name = "".join(letters[int(digit)] for digit in str(number))
        redaction.facts(replace(facts, action=replace(facts.action, name=name, path=f"/{name}" + "/long" * 100)))
    assert all(len(clean) <= 4_097 for clean in redaction._clean.values())


@pytest.mark.parametrize("text", ["gold", "2026-03-07", "1.5", "Chrome 144.0.7559.97 beta", "a:b", "1234 5678"])
def test_ordinary_values_look_like_no_secret(text: str) -> None:
    """Dates, versions and short numbers are no secrets."""
    assert not looks_secret(text)


@given(st.text(max_size=1_100))
def test_no_text_breaks_the_search(text: str) -> None:
    """Any text is judged, none raises."""
    looks_secret(text)
