"""The bad-input list over a real socket: each row has its status and code, and the next request is fine."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.http.servers import BODY, Running, answer, request

LIMIT = 64 * 1024


def body(**changes: object) -> bytes:
    """Return a good body with `a__b` set to a value."""
    whole: dict[str, Any] = json.loads(json.dumps(BODY))
    for path, value in changes.items():
        *groups, name = path.split("__")
        at = whole
        for group in groups:
            at = at.setdefault(group, {})
        at[name] = value
    return json.dumps(whole).encode()


def amount(literal: str) -> bytes:
    """Return a good body whose amount is a JSON literal."""
    return body(action__amount="@", action__currency="EUR").replace(b'"@"', literal.encode())


def ago(**span: float) -> str:
    """Return the time so long ago, as the wire wants it."""
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


NOT_JSON = {
    "empty": b"",
    "words": b"hello",
    "half": body()[:-1],
    "two values": body() + b"{}",
    "NaN": amount("NaN"),
    "Infinity": amount("Infinity"),
    "-Infinity": amount("-Infinity"),
    "number of 60,000 digits": amount("9" * 60_000),
    "depth 30,000": b"[" * 30_000,
    "depth 201": body(context__attributes="@").replace(b'"@"', b"[" * 201 + b"]" * 201),
    "duplicate key": b'{"action":{"name":"a"},' + body()[1:],
    "duplicate key within": body().replace(b'"ip"', b'"ip": "192.0.2.2", "ip"'),
    "invalid UTF-8": body(subject__id="@").replace(b"@", b"\xff\xfe"),
    "overlong UTF-8": body(subject__id="@").replace(b"@", b"\xc0\xaf"),
    "lone surrogate": body(subject__id="@").replace(b"@", b"\\ud800"),
    "lone surrogate as key": body(subject__x="@").replace(b'"x"', b'"\\udc00"'),
    "raw NUL": body(subject__id="@").replace(b"@", b"\x00"),
    "raw newline": body(subject__id="@").replace(b"@", b"\n"),
    "byte order mark": b"\xef\xbb\xbf" + body(),
    "UTF-16": body().decode().encode("utf-16"),
}
WRONG_SHAPE = {
    "no object": (b"[]", ""),
    "a text": (b'"x"', ""),
    "no subject": (b'{"action":{"name":"a"},"context":{"ip":"192.0.2.1"}}', "subject"),
    "no subject id": (body(subject={}), "subject.id"),
    "subject id null": (body(subject__id=None), "subject.id"),
    "no action name": (body(action={}), "action.name"),
    "no ip": (body(context={}), "context.ip"),
    "unknown key": (body(extra=1), "extra"),
    "unknown key within": (body(subject__pasword="x"), "subject.pasword"),
    "1e999": (amount("1e999"), "action.amount"),
    "4,000 digits": (amount("9" * 4000), "action.amount"),
    "negative amount": (amount("-1"), "action.amount"),
    "true for a number": (amount("true"), "action.amount"),
    "text for a number": (amount('"1500"'), "action.amount"),
    "NaN as text": (amount('"NaN"'), "action.amount"),
    "list for a number": (amount("[]"), "action.amount"),
    "number for a text": (body(subject__id=7), "subject.id"),
    "amount without currency": (body(action__amount=1), "action"),
    "escaped NUL": (body(subject__id="a\0b"), "subject.id"),
    "newline in an id": (body(subject__id='a\n{"record":1}'), "subject.id"),
    "empty id": (body(subject__id=""), "subject.id"),
    "long id": (body(subject__id="a" * 257), "subject.id"),
    "long user agent": (body(context__user_agent="x" * 9000), "context.user_agent"),
    "65 attributes": (body(context__attributes={f"a{n}": n for n in range(65)}), "context.attributes"),
    "5,000 attributes": (body(context__attributes={f"{n}": 0 for n in range(5000)}), "context.attributes"),
    "infinite attribute": (body(context__attributes="@").replace(b'"@"', b'{"a":1e999}'), "context.attributes.a"),
    "huge attribute": (body(context__attributes={"a": 2**60}), "context.attributes"),
    "ip with garbage": (body(context__ip="1" * 65), "context.ip"),
    "time of next week": (body(context__time=ago(days=-7)), "context.time"),
    "time of last week": (body(context__time=ago(days=7)), "context.time"),
    "time an hour ahead": (body(context__time=ago(hours=-1)), "context.time"),
    "year 9999": (body(context__time="9999-12-31T23:59:59-14:00"), "context.time"),
    "year 1": (body(context__time="0001-01-01T00:00:00+14:00"), "context.time"),
    "year 1 of auth_time": (body(subject__auth_time="0001-01-01T00:00:00+14:00"), "subject.auth_time"),
    "auth_time ahead": (body(subject__auth_time=ago(hours=-1)), "subject.auth_time"),
    "time without zone": (body(context__time="2026-01-01T00:00:00"), "context.time"),
    "half coordinates": (body(context__place={"latitude": 1.0}), "context.place"),
    "request id with blanks": (body(request_id="a b"), "request_id"),
}
TOO_LARGE = {
    "1 MB subject id": body(subject__id="a" * 1_000_000),
    "100 KB user agent": body(context__user_agent="x" * 100_000),
    "100,000 attributes": body(context__attributes={f"a{n}": 0 for n in range(100_000)}),
    "depth 100,000": b"[" * 100_000,
    "5 million digits": amount("9" * 5_000_000),
    "10 MB": b" " * 10_000_000,
    "one byte too many": body() + b" " * (LIMIT + 1 - len(body())),
}
MEDIA = {
    "text/plain": ["content-type: text/plain"],
    "form": ["content-type: application/x-www-form-urlencoded"],
    "another charset": ["content-type: application/json; charset=utf-16"],
    "two types": ["content-type: application/json", "content-type: text/plain"],
    "none": [],
    "gzip": ["content-type: application/json", "content-encoding: gzip"],
}


def sent(server: Running, data: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes and a good request after them, on one connection; return what the first one got."""
    with server.connect() as connection:
        connection.sendall(data)
        status, _, text = answer(connection)
        connection.sendall(request("/decide", body()))
        assert answer(connection)[0] == 200
    error: dict[str, Any] = json.loads(text)["error"]
    return status, error


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_not_json_gets_400(server: Running, name: str) -> None:
    """Bytes that are not one JSON value are told so, with the place and without their content."""
    status, error = sent(server, request("/decide", NOT_JSON[name]))
    assert (status, error["code"]) == (400, "invalid_json")
    assert len(error["message"]) < 200


@pytest.mark.parametrize("name", WRONG_SHAPE)
def test_another_shape_gets_422_and_the_field(server: Running, name: str) -> None:
    """JSON that does not fit the contract is told which field is wrong."""
    data, path = WRONG_SHAPE[name]
    status, error = sent(server, request("/decide", data))
    assert (status, error["code"]) == (422, "invalid_body")
    assert path in [field["path"].removesuffix(".str").removesuffix(".float") for field in error["fields"]]


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_large_body_gets_413(server: Running, name: str) -> None:
    """A declared length above the limit is refused before the body is read, and the connection lives on."""
    status, error = sent(server, request("/decide", TOO_LARGE[name]))
    assert (status, error["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("name", MEDIA)
def test_another_media_type_gets_415(server: Running, name: str) -> None:
    """Only unencoded application/json in UTF-8 is taken."""
    data = b"\r\n".join(
        [b"POST /decide HTTP/1.1\r\nhost: x\r\nx-api-key: rk_all", *(line.encode() for line in MEDIA[name])]
    )
    status, error = sent(server, data + b"\r\ncontent-length: %d\r\n\r\n" % len(body()) + body())
    assert (status, error["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "given", ["application/json", "Application/JSON;charset=UTF-8", 'application/json; charset="utf-8"']
)
def test_json_with_its_only_charset_is_taken(server: Running, given: str) -> None:
    """Upper case and a charset of UTF-8 say the same."""
    with server.client() as client:
        assert client.post("/decide", content=body(), headers={"content-type": given}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/decide", "/decide/batch", "/outcome"])
def test_another_method_gets_405_with_allow(server: Running, method: str, path: str) -> None:
    """Everything but POST is refused, with the method that works."""
    with server.client() as client:
        refused = client.request(method, path)
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert client.post("/decide", json=BODY).status_code == 200


def test_no_refusal_repeats_a_value(server: Running) -> None:
    """What a caller sent never comes back: it may be a secret."""
    secret = "hunter2-correct-horse"
    bodies = [
        body(subject__id={"password": secret}),
        body(subject__password=secret),
        body(action__amount=secret),
        body(subject__auth_time=secret),
        body(context__network={"kind": secret}),
        f'{{"{secret}":1,"{secret}":2}}'.encode(),
        f'{{"{secret}'.encode(),
    ]
    with server.client() as client:
        for content in bodies:
            refused = client.post("/decide", content=content, headers={"content-type": "application/json"})
            assert refused.status_code in {400, 422}
            assert secret not in refused.text


def test_a_thousand_mistakes_get_a_short_answer(server: Running) -> None:
    """A body full of mistakes is answered with the first twenty, and long made-up keys are cut."""
    with server.client() as client:
        refused = client.post("/decide", json=BODY | {"x" * 200 + str(n): 1 for n in range(250)})
        fields = refused.json()["error"]["fields"]
        assert (refused.status_code, len(fields)) == (422, 20)
        assert all(len(field["path"]) < 70 for field in fields)


def test_engine_errors_have_their_statuses(server: Running) -> None:
    """What the engine refuses, conflicts and fails on reaches the caller as 422, 409, 503 and 500."""
    expected = {"refuse": 422, "conflict": 409, "unrecorded": 503, "crash": 500}
    with server.client() as client:
        for name, status in expected.items():
            refused = client.post(
                "/decide", content=body(action__name=name), headers={"content-type": "application/json"}
            )
            assert refused.status_code == status
            assert "secret of the house" not in refused.text
        assert refused.json()["error"]["code"] == "internal"
        unrecorded = client.post("/decide", json=json.loads(body(action__name="unrecorded")))
        assert unrecorded.headers["retry-after"] == "1"


def test_batch_and_outcome_refuse_alike(server: Running) -> None:
    """The other two routes have the same limits: batch size, times, ids."""
    good = {"decision_id": "0190b2a0-0000-7000-8000-00000000000a", "outcome": "login_succeeded"}
    with server.client() as client:
        assert client.post("/decide/batch", json={"requests": [BODY] * 100}).status_code == 200
        assert client.post("/decide/batch", json={"requests": [BODY] * 101}).status_code == 422
        assert client.post("/decide/batch", json={"requests": []}).status_code == 422
        late = json.loads(body(context__time=ago(days=2)))
        assert client.post("/decide/batch", json={"requests": [BODY, late]}).status_code == 422
        assert (
            client.post(
                "/decide/batch", content=b" " * 1_048_577, headers={"content-type": "application/json"}
            ).status_code
            == 413
        )
        assert client.post("/outcome", json=good).json()["status"] == "accepted"
        assert client.post("/outcome", json=good | {"at": ago(minutes=-10)}).status_code == 422
        assert client.post("/outcome", json=good | {"at": ago(days=40)}).status_code == 422
        assert client.post("/outcome", json=good | {"decision_id": "x"}).status_code == 422
        assert client.post("/outcome", json=good | {"outcome": "won"}).status_code == 422
        assert (
            client.post("/outcome", json=good | {"decision_id": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}).status_code
            == 404
        )
