"""The wire is strict: what is not exactly right is refused, what is left out is unknown."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from riskd.contract import (
    DecideBatchRequest,
    DecideRequest,
    Decision,
    DecisionRequest,
    Outcome,
    OutcomeReport,
    Reported,
    Wire,
)

LEAST = {"subject": {"id": "ada"}, "action": {"name": "login"}, "context": {"ip": "192.0.2.1"}}
TIME = "2026-03-04T12:00:00Z"


def taken(body: object, model: type[Wire] = DecideRequest) -> Any:  # noqa: ANN401 - any wire type
    """Read a body as a server does: from JSON."""
    return model.model_validate_json(json.dumps(body))


def with_(path: str, value: object) -> dict[str, Any]:
    """The least request with one more field."""
    body: dict[str, Any] = json.loads(json.dumps(LEAST))
    *parents, last = path.split(".")
    place = body
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return body


def test_the_least_request() -> None:
    """Subject id, action name and address suffice; everything else is unknown, never false or zero."""
    request = taken(LEAST)
    assert (request.subject.id, request.action.name, request.context.ip) == ("ada", "login", "192.0.2.1")
    assert request.context.device_id is None
    assert request.subject.leaked_credential is None
    assert request.action.amount is None


@pytest.mark.parametrize("prefix", ["0123456789", "aBcDeF01234", "FFFFFFFFFFFF"])
def test_a_hash_prefix_is_taken_and_not_shown(prefix: str) -> None:
    """Ten to twelve hexadecimal digits in either case; whoever prints the request does not print them."""
    request = taken(with_("subject.credential_hash_prefix", prefix))
    assert request.subject.credential_hash_prefix == prefix
    assert prefix not in f"{request!r} {request}"


@pytest.mark.parametrize("path", ["subject.id", "action.name", "context.ip", "subject", "action", "context"])
def test_what_decide_requires(path: str) -> None:
    """Without subject id, action name or address the service does not decide."""
    body = json.loads(json.dumps(LEAST))
    *parents, last = path.split(".")
    del (body[parents[0]] if parents else body)[last]
    with pytest.raises(ValidationError):
        taken(body)


def test_the_engine_takes_less() -> None:
    """The engine itself takes an anonymous subject and an unknown address; only the action needs a name."""
    request = taken({"action": {"name": "login"}}, DecisionRequest)
    assert request.subject.id is None
    assert request.context.ip is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("request_id", "a-1"),
        ("subject.account_age_days", 3),
        ("subject.auth_time", TIME),
        ("subject.auth_time", 1_772_625_600),
        ("subject.enrolled_factors", ["totp", "webauthn"]),
        ("context.time", "2026-03-04T13:00:00+01:00"),
        ("context.attributes", {"tier": "gold", "visits": 3, "share": 0.5, "beta": True}),
        ("context.place", {"country": "NO"}),
        ("context.place", {"latitude": 59.9, "longitude": 10.7}),
        ("context.network", {"kind": "vpn"}),
        ("context.screen", {"width": 1512, "height": 982}),
        ("context.client_hints", {"sec_ch_ua_mobile": "?0"}),
        ("context.user_agent", ""),
        ("resource.endpoint", {"path": "/a/../b", "method": "POST"}),
    ],
)
def test_taken(path: str, value: object) -> None:
    """What the contract describes is taken."""
    assert taken(with_(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("colour", "red"),  # unknown keys
        ("subject.colour", "red"),
        ("context.place", {"country": "NO", "planet": "Earth"}),
        ("subject.id", ""),
        ("subject.id", "x" * 257),
        ("subject.id", 7),
        ("subject.id", "line\nbreak"),
        ("subject.id", "nul\0"),
        ("subject.id", None),
        ("action.name", "x" * 65),
        ("request_id", "with space"),
        ("request_id", "ümlaut"),
        ("request_id", "x" * 129),
        ("subject.account_age_days", -1),
        ("subject.account_age_days", "3"),
        ("subject.account_age_days", True),
        ("subject.leaked_credential", 1),
        ("subject.leaked_credential", "true"),
        ("subject.credential_hash_prefix", ""),
        ("subject.credential_hash_prefix", "a" * 9),
        ("subject.credential_hash_prefix", "a" * 13),
        ("subject.credential_hash_prefix", "a" * 40),  # the whole hash is never wanted
        ("subject.credential_hash_prefix", "0123456789g"),
        ("subject.credential_hash_prefix", "0123456789\n"),
        ("subject.credential_hash_prefix", " 123456789a"),
        ("subject.credential_hash_prefix", "\uff10123456789"),  # a digit, but none of sixteen
        ("subject.credential_hash_prefix", "0x12345678ab"),
        ("subject.credential_hash_prefix", 1234567890),
        ("subject.auth_time", "2026-03-04T12:00:00"),  # of no time zone
        ("subject.auth_time", "yesterday"),
        ("subject.auth_time", "1772625600"),  # a number as text
        ("subject.auth_time", 1_772_625_600_000),  # milliseconds
        ("subject.enrolled_factors", ["x"] * 33),
        ("subject.enrolled_factors", "totp"),
        ("context.time", "2026-03-04"),
        ("context.attributes", {f"a{n}": n for n in range(65)}),
        ("context.attributes", {"huge": 2**53 + 1}),
        ("context.attributes", {"nested": {"a": 1}}),
        ("context.attributes", {"text": "x" * 1025}),
        ("context.attributes", {"": 1}),
        ("context.place", {"latitude": 59.9}),
        ("context.place", {"latitude": 91, "longitude": 0}),
        ("context.place", {"country": "Norway"}),
        ("context.place", {"country": "no"}),
        ("context.network", {"kind": "wifi"}),
        ("context.network", {"asn": 0}),
        ("context.screen", {"width": 0, "height": 10}),
        ("context.screen", {"width": 1.5, "height": 10}),
        ("context.client_hints", {"sec_ch_ua_mobile": "yes"}),
        ("context.user_agent", "x" * 8193),
        ("context.utc_offset_minutes", 900),
        ("context.rtt_ms", -1),
        ("resource.endpoint", {"path": ""}),
        ("resource.endpoint", {"path": "/", "method": "get"}),
        ("resource.endpoint", {"path": "/" * 4097}),
    ],
)
def test_refused(path: str, value: object) -> None:
    """Wrong types, unknown keys, control characters and what is out of bounds are refused."""
    with pytest.raises(ValidationError):
        taken(with_(path, value))


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", '"1500"', "true", "-1", "-0.0", "1e16"])
def test_an_amount_is_a_finite_number(word: str) -> None:
    """An amount is a finite number of money, not a word, a flag or less than nothing."""
    body = json.dumps(with_("action", {"name": "pay", "amount": 0, "currency": "EUR"})).replace("0,", f"{word},", 1)
    assert word in body
    with pytest.raises(ValidationError):
        DecideRequest.model_validate_json(body)


@pytest.mark.parametrize("currency", [None, "eur", "EURO", "€"])
def test_an_amount_has_a_currency(currency: str | None) -> None:
    """An amount without an ISO 4217 code is no amount."""
    action = {"name": "pay", "amount": 5, "currency": currency}
    with pytest.raises(ValidationError, match="currency"):
        taken(with_("action", action))


def test_nothing_taken_can_be_changed() -> None:
    """What was taken is frozen."""
    with pytest.raises(ValidationError):
        taken(LEAST).subject.id = "eve"


def test_a_batch_is_one_to_a_hundred() -> None:
    """A batch holds between one and a hundred attempts."""
    assert len(taken({"requests": [LEAST] * 100}, DecideBatchRequest).requests) == 100
    for count in (0, 101):
        with pytest.raises(ValidationError):
            taken({"requests": [LEAST] * count}, DecideBatchRequest)


@pytest.mark.parametrize("outcome", Reported)
def test_every_outcome_can_be_reported(outcome: Reported) -> None:
    """Each of the outcomes is one word on the wire."""
    body = {"decision_id": "01890a5d-ac96-774b-bcce-b302099a8057", "outcome": outcome.value}
    assert taken(body, OutcomeReport).outcome is outcome


@pytest.mark.parametrize(
    "change",
    [{"outcome": "won"}, {"decision_id": "7"}, {"decision_id": "01890A5D-AC96-774B-BCCE-B302099A8057"}, {"who": "me"}],
)
def test_reports_are_strict(change: dict[str, str]) -> None:
    """An unknown outcome, an id that was never given out, or a further key is refused."""
    body = {"decision_id": "01890a5d-ac96-774b-bcce-b302099a8057", "outcome": "login_failed", **change}
    with pytest.raises(ValidationError):
        taken(body, OutcomeReport)


def test_outcomes_are_ordered_and_have_words() -> None:
    """Allow < step_up < deny, and each word names its outcome again."""
    assert Outcome.ALLOW < Outcome.STEP_UP < Outcome.DENY
    assert [outcome.word for outcome in Outcome] == ["allow", "step_up", "deny"]
    assert all(Outcome.of(outcome.word) is outcome for outcome in Outcome)
    with pytest.raises(KeyError):
        Outcome.of("maybe")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["subject", "action", "context", "resource", "request_id"]), json_values)
def test_any_json_is_taken_or_refused(key: str, value: object) -> None:
    """Whatever stands in a request, it is taken, or refused with a validation error; nothing else happens."""
    adapter = TypeAdapter(DecideRequest)
    with suppress(ValidationError):
        request = adapter.validate_json(json.dumps({**LEAST, key: value}))
        assert adapter.validate_json(request.model_dump_json()) == request


def test_every_wire_field_is_strict() -> None:
    """All wire types refuse unknown keys and are frozen."""
    config = Decision.model_config
    assert (config["extra"], config["frozen"], config["strict"]) == ("forbid", True, True)
