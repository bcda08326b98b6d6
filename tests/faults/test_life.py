"""Case 30: the end, under full load and by force; a restart under load; more load than there is room for."""

import json
import signal
import time
from contextlib import ExitStack
from pathlib import Path

from tests.faults.callers import Callers
from tests.faults.rig import PATIENCE_S, Behind, Rig, healthy, login
from tests.http.servers import answer, eventually, request


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
        running.process.send_signal(signal.SIGUSR2)
        assert eventually(lambda: len(set(running.worker_pids()) - before) == 2)
        assert eventually(lambda: not before & set(running.worker_pids()))
        renewed_at = len(load.answers)
        assert eventually(lambda: len(load.answers) > renewed_at + 200)
        assert running.end() == 0
    assert (load.statuses, load.broken) == ({200}, [])
    recorded = [record.decision_id for record in rig.records()]
    assert sorted(recorded) == sorted(load.ids)


def test_case_30_more_than_a_worker_holds(tmp_path: Path) -> None:
    """While a worker holds as many as it may, waiting for a silent store, others hear when to come again."""
    with Behind(tmp_path / "rig", deadlines={"store": "1s"}) as rig, ExitStack() as stack:
        running = rig.start(MAX_IN_FLIGHT="4")
        data = request("/decide", json.dumps(login()).encode(), key=rig.key)
        callers = [stack.enter_context(running.connect()) for _ in range(12)]
        rig.store.signal(signal.SIGSTOP)
        for caller in callers:
            caller.sendall(data)
        told = [(status, headers.get("retry-after")) for status, headers, _ in map(answer, callers)]
        assert (told.count((200, None)), told.count((503, "1"))) == (4, 8)
        rig.store.signal(signal.SIGCONT)
        with running.client() as client:
            assert eventually(lambda: healthy(client))


def test_case_30_more_than_a_key_may_send(rig: Rig) -> None:
    """Beyond its rate a key hears when to come again, and may then."""
    with rig.start(RATE_LIMIT="5").client() as client:
        answers = [client.post("/decide", json=login()) for _ in range(40)]
        assert {told.status_code for told in answers} == {200, 429}
        assert {told.headers["retry-after"] for told in answers if told.status_code == 429} == {"1"}
        assert eventually(lambda: client.post("/decide", json=login()).status_code == 200)
