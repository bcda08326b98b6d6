"""Case 30: the end, under full load and by force; a restart under load; more load than there is room for."""

import json
import signal
import time
from contextlib import ExitStack

from tests.faults.callers import Callers
from tests.faults.rig import PATIENCE_S, Rig, eventually, login
from tests.http.servers import answer, request


def test_case_30_term_at_full_load(rig: Rig) -> None:
    """On TERM /readyz says 503 first; 16 callers all get their 200, every answer has its record, and the end comes."""
    running = rig.start(DRAIN_SECONDS="1.0")
    with running.client() as probe, Callers(running) as load:
        assert probe.get("/readyz").status_code == 200
        assert eventually(lambda: len(load.answers) > 200)
        running.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: probe.get("/readyz").json()["draining"])
        drained_at = len(load.answers)
        assert running.process.wait(PATIENCE_S * 3) == 0
    assert (load.statuses, load.broken) == ({200}, [])
    assert len(load.answers) > drained_at
    recorded = [record.decision_id for record in rig.records()]
    assert sorted(recorded) == sorted(load.ids)


def test_case_30_second_term_forces(rig: Rig) -> None:
    """Who says it twice does not wait for the minute of draining that was configured."""
    running = rig.start(DRAIN_SECONDS="60")
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert running.process.poll() is None
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(PATIENCE_S * 2) == 0


def test_case_30_restart_under_load_with_two_workers(rig: Rig) -> None:
    """While both workers are replaced nobody fails, before, during or after, and each answer has its one record."""
    running = rig.start(workers=2)
    before = set(running.worker_pids())
    with Callers(running, 8) as load:
        assert eventually(lambda: len(load.answers) > 200)
        running.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: len(set(running.worker_pids()) - before) == 2)
        assert eventually(lambda: not before & set(running.worker_pids()))
        renewed_at = len(load.answers)
        assert eventually(lambda: len(load.answers) > renewed_at + 200)
        assert running.end() == 0
    assert (load.statuses, load.broken) == ({200}, [])
    recorded = [record.decision_id for record in rig.records()]
    assert sorted(recorded) == sorted(load.ids)


def test_case_30_overload_is_told_so(rig: Rig) -> None:
    """Beyond the requests that a worker holds, and beyond a key's rate, callers are told when to come again."""
    running = rig.start(MAX_IN_FLIGHT="4", RATE_LIMIT="5")
    data = request("/decide", json.dumps(login()).encode(), key=rig.key)
    with ExitStack() as stack, running.client() as client:
        under_way = [stack.enter_context(running.connect()) for _ in range(4)]
        for caller in under_way:
            caller.sendall(data[:-5])
        time.sleep(0.3)  # the four are taken in
        refused = client.post("/decide", json=login())
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        for caller in under_way:
            caller.sendall(data[-5:])
        assert {answer(caller)[0] for caller in under_way} == {200}
        answers = [client.post("/decide", json=login()) for _ in range(40)]
        assert {told.status_code for told in answers} == {200, 429}
        assert {told.headers["retry-after"] for told in answers if told.status_code == 429} == {"1"}
        assert eventually(lambda: client.post("/decide", json=login()).status_code == 200)
