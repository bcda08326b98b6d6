"""Who may call: keys, scopes and rates."""

import pytest

from tests.http.servers import BODY, Running, Start


def test_all_who_have_no_valid_key_get_one_answer(server: Running) -> None:
    """No key, a wrong one, an empty one and two of them are told the very same."""
    attempts: list[list[tuple[str, str]]] = [
        [],
        [("x-api-key", "")],
        [("x-api-key", "rk_wrong")],
        [("x-api-key", "rk_all"), ("x-api-key", "rk_all")],
        [("x-api-key", "k" * 8000)],
        [("authorization", "Bearer rk_all")],
    ]
    with server.client() as client:
        del client.headers["x-api-key"]
        answers = [client.post("/decide", json=BODY, headers=headers) for headers in attempts]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1


def test_a_key_of_one_megabyte_is_refused_as_a_header(server: Running) -> None:
    """A key longer than all headers may be ends at the head's limit."""
    with server.client() as client:
        assert client.post("/decide", json=BODY, headers={"x-api-key": "k" * 20_000}).status_code == 431


@pytest.mark.parametrize(
    ("key", "method", "path"),
    [
        ("rk_decide", "POST", "/outcome"),
        ("rk_outcome", "POST", "/decide"),
        ("rk_outcome", "POST", "/decide/batch"),
        ("rk_decide", "GET", "/metrics"),
    ],
)
def test_a_key_of_another_scope_gets_403(server: Running, key: str, method: str, path: str) -> None:
    """A right key of the wrong scope is told one constant thing."""
    with server.client() as client:
        refused = client.request(method, path, headers={"x-api-key": key})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")


def test_the_callers_name_reaches_the_engine(server: Running) -> None:
    """The engine learns whose key it was."""
    with server.client() as client:
        assert client.post("/decide", json=BODY, headers={"x-api-key": "rk_decide"}).json()["policy_revision"] == "pep"


def test_forwarded_headers_change_nothing(server: Running) -> None:
    """Who asks says in the body whom he asks about; forwarded headers are not even looked at."""
    forged = {
        "x-forwarded-for": "8.8.8.8",
        "forwarded": "for=8.8.8.8",
        "x-real-ip": "8.8.8.8",
        "x-forwarded-proto": "x",
    }
    with server.client() as client:
        body = BODY | {"request_id": "r1"}
        plain = client.post("/decide", json=body).json()
        assert client.post("/decide", json=body, headers=forged).json()["decision_id"] == plain["decision_id"]


def test_a_caller_who_comes_too_often_gets_429(start: Start) -> None:
    """Beyond its rate a key is refused with Retry-After, and other keys are not."""
    running = start(ECHO_RATE="5")
    with running.client() as client:
        statuses = [client.post("/decide", json=BODY) for _ in range(20)]
        refused = [answer for answer in statuses if answer.status_code == 429]
        assert 10 <= len(refused) <= 15
        assert refused[0].headers["retry-after"] == "1"
        assert client.post("/decide", json=BODY, headers={"x-api-key": "rk_decide"}).status_code == 200
