"""More than a worker can hold is refused at once, and what it holds is answered."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.http.servers import BODY, Start


def test_beyond_the_limit_requests_get_503_before_any_work(start: Start) -> None:
    """With four places and twenty requests at once, four are judged and the rest is told to come back."""
    running = start(ECHO_IN_FLIGHT="4")
    slow = BODY | {"action": {"name": "sleep_1"}}
    with running.client() as client, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: client.post("/decide", json=slow), range(20)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] * 4 + [503] * 16
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["error"]["code"] == "overloaded"
        assert client.post("/decide", json=BODY).status_code == 200


def test_callers_who_leave_give_their_place_back(start: Start) -> None:
    """A connection that goes away in the middle of a body holds no place."""
    running = start(ECHO_IN_FLIGHT="2")
    for _ in range(10):
        with running.connect() as connection:
            connection.sendall(b"POST /decide HTTP/1.1\r\nx-api-key: rk_all\r\ncontent-type: application/json\r\n")
            connection.sendall(b"content-length: 100\r\n\r\n{")
    with running.client() as client:
        answers = [client.post("/decide", json=BODY).status_code for _ in range(5)]
        assert answers[-1] == 200
        assert json.loads(
            client.post("/decide", content=json.dumps(BODY), headers={"content-type": "application/json"}).text
        )


def test_repeats_that_wait_take_nobodys_place(start: Start) -> None:
    """While as many repeats as may be under way wait for their firsts, others are answered; and so are they, later."""
    waits = BODY | {"action": {"name": "repeat_2"}}
    server = start(ECHO_IN_FLIGHT="4")
    with ThreadPoolExecutor(4) as callers, server.client() as client:
        waiting = [callers.submit(client.post, "/decide", json=waits) for _ in range(4)]
        time.sleep(0.5)
        assert [client.post("/decide", json=BODY).status_code for _ in range(8)] == [200] * 8
        assert not any(one.done() for one in waiting)
        assert client.post("/decide", json=waits).status_code == 503
        assert [one.result().status_code for one in waiting] == [200] * 4


@pytest.mark.parametrize("way", ["/decide?explain=full", "/decide/batch"])
def test_repeats_on_the_long_way_take_nobodys_place(start: Start, way: str) -> None:
    """Nor do those that are to be explained, or come in a batch."""
    waits = BODY | {"action": {"name": "repeat_2"}}
    server = start(ECHO_IN_FLIGHT="4")
    with ThreadPoolExecutor(4) as callers, server.client() as client:
        body = {"requests": [waits]} if way.endswith("batch") else waits
        waiting = [callers.submit(client.post, way, json=body) for _ in range(4)]
        time.sleep(0.5)
        assert [client.post("/decide", json=BODY).status_code for _ in range(4)] == [200] * 4
        assert client.post(way, json=body).status_code == 503
        assert [one.result().status_code for one in waiting] == [200] * 4


def test_the_repeats_of_a_batch_wait_together(start: Start) -> None:
    """A batch of thirty repeats, each of which waits a second, takes a second or two."""
    waits = {"requests": [BODY | {"action": {"name": "repeat_1"}}] * 30}
    server = start()
    with server.client() as client:
        answer = client.post("/decide/batch", json=waits, timeout=15)
    assert len(answer.json()["decisions"]) == 30
