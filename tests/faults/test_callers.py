"""Cases 25 and 26: who may call, and the same request again."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from riskd.record.schema import DecisionRecord
from riskd.tokens.keyfile import create_key, revoke_key
from tests.faults.rig import Rig, decide, login, metric
from tests.http.servers import BODY, Running, answer, eventually, request
from tests.http.test_bad_input import body

ROUTES = ("/decide", "/decide/batch", "/outcome")


def told(response: httpx.Response) -> tuple[int, bytes]:
    """Return status and body."""
    return response.status_code, response.content


def test_case_25_keys(shared_rig: Rig, shared: Running, client: httpx.Client) -> None:
    """No key, a wrong, revoked, endless and doubled one get the same 401; one of another scope the same 403."""
    keys = shared_rig.data / "secrets" / "keys.json"
    now = datetime.now(UTC)
    other, revoked = (create_key(keys, name, ["policy"], now=now) for name in ("other", "revoked"))
    revoke_key(keys, revoked.key.id, now=now)
    with shared.client(**{"x-api-key": other.text}) as policy:
        assert eventually(lambda: policy.post("/decide", json=BODY).status_code == 403)
        refused = {told(policy.post(path, json=BODY)) for path in ROUTES} | {told(policy.get("/metrics"))}
    assert [status for status, _ in refused] == [403]
    right = client.headers["x-api-key"]
    wrong: list[dict[str, str]] = [
        {},
        {"x-api-key": ""},
        {"x-api-key": "none"},
        {"x-api-key": right[:-1]},
        {"x-api-key": right[:-1] + ("a" if right[-1] != "a" else "b")},
        {"x-api-key": right.upper()},
        {"x-api-key": revoked.text},
        {"x-api-key": "rk_" + "0" * 12 + right[15:]},
        {"x-api-key": "k" * 10_000},
        {"authorization": f"Bearer {right}"},
    ]
    with httpx.Client(base_url=shared.url, timeout=10) as stranger:
        refused = {told(stranger.post(path, json=BODY, headers=headers)) for headers in wrong for path in ROUTES}
        refused |= {told(stranger.get("/metrics", headers=headers)) for headers in wrong}
        doubled = [("x-api-key", right), ("x-api-key", right)]
        refused.add(told(stranger.post("/decide", json=BODY, headers=doubled)))
    assert [status for status, _ in refused] == [401]
    with shared.connect() as connection:  # 1 MB of key is too much for any header
        connection.sendall(request("/decide", body(), key="k" * 1_000_000))
        assert answer(connection)[0] == 431
    said = shared_rig.errors.read_text() + client.get("/metrics").text + repr(refused)
    for secret in (right, other.text, revoked.text):
        assert secret.rpartition("_")[2] not in said


@pytest.fixture
def twice(rig: Rig) -> Running:
    """A service of two workers: the same request may meet either."""
    return rig.start(workers=2)


def test_case_26_the_same_request_50_times_at_once(rig: Rig, twice: Running) -> None:
    """Fifty at once are one evaluation, one count, one record and one answer; another body under that id is a 409."""
    attempt = login("eager") | {"request_id": "once"}
    data = request("/decide", json.dumps(attempt).encode(), key=rig.key)

    def ask(_: int) -> tuple[int, bytes]:
        with twice.connect() as connection:
            connection.sendall(data)
            status, _, text = answer(connection)
            return status, text

    with ThreadPoolExecutor(50) as callers:
        answers = set(callers.map(ask, range(50)))
    assert [status for status, _ in answers] == [200]
    with twice.client() as client:
        assert decide(client, attempt) == json.loads(answers.pop()[1])
        for other in (login("eager", rtt_ms=1.0), login("eve")):
            assert client.post("/decide", json=other | {"request_id": "once"}).status_code == 409
        following = rig.record(decide(client, login("eager"))["decision_id"]).facts.history
        assert eventually(lambda: metric(client, "riskd_record_written_total") == 2)
    assert following is not None
    assert following.attempts_5m == 2
    assert len([record for record in rig.records() if isinstance(record, DecisionRecord)]) == 2


def test_case_26_old_requests_are_refused(client: httpx.Client) -> None:
    """A captured request of yesterday, or one dated ahead, is no attempt of now."""
    for when in (timedelta(hours=-25), timedelta(minutes=6)):
        old: dict[str, Any] = login("replayed", time=(datetime.now(UTC) + when).isoformat())
        assert client.post("/decide", json=old).status_code == 422
