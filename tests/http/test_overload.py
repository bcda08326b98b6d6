"""More than a worker can hold is refused at once, and what it holds is answered."""

import json
from concurrent.futures import ThreadPoolExecutor

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
