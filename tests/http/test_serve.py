"""Start, restart and end of the service, under load."""

import json
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.http.servers import BODY, PATIENCE, Load, Start, answer, launch, request


def gone(pid: int) -> bool:
    """Tell whether a process ends within patience."""
    for _ in range(int(PATIENCE * 20)):
        if not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
            return True
        time.sleep(0.05)
    return False


def test_one_line_says_that_it_is_ready(start: Start) -> None:
    """The line has the URL and the key, comes when every worker answers, and is the only one on stdout."""
    running = start(workers=2)
    assert running.ready_line == f"riskd ready: {running.url} key=rk_all"
    assert len(running.worker_pids()) == 2
    with running.client() as client:
        assert client.get("/readyz").status_code == 200
    assert running.end() == 0
    assert running.process.stdout is not None
    assert running.process.stdout.read() == ""


def test_30_term_under_full_load_cuts_nobody(start: Start) -> None:
    """On TERM /readyz says 503 first, all requests under way and after are answered, and the end comes in time."""
    running = start(workers=2, drain=0.8)
    with running.client() as probe, Load(running) as load:
        time.sleep(0.5)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        probed = probe.get("/readyz")
        assert (probed.status_code, probed.json()["draining"]) == (503, True)
        assert running.process.wait(PATIENCE) == 0
    assert load.failures == []
    assert load.answered > 100


def test_a_request_under_way_is_finished(start: Start) -> None:
    """TERM waits for an answer that takes its time."""
    running = start(drain=0.1)
    slow = BODY | {"action": {"name": "sleep_1"}}
    with running.connect() as connection:
        connection.sendall(request("/decide", json.dumps(slow).encode()))
        time.sleep(0.1)
        running.process.send_signal(signal.SIGTERM)
        assert answer(connection)[0] == 200
    assert running.process.wait(PATIENCE) == 0


def test_a_second_term_ends_at_once(start: Start) -> None:
    """Who asks twice does not want to wait for the slow ones."""
    running = start(drain=50.0)
    slow = BODY | {"action": {"name": "sleep_90"}}
    with running.connect() as connection:
        connection.sendall(request("/decide", json.dumps(slow).encode()))
        time.sleep(0.1)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert running.end() == 0


def test_restart_under_load_loses_nothing(start: Start) -> None:
    """USR2 replaces both workers while callers ask on; none of them fails, and new workers answer."""
    running = start(workers=2, drain=0.4)
    before = set(running.worker_pids())
    with Load(running) as load:
        time.sleep(0.3)
        running.process.send_signal(signal.SIGUSR2)
        deadline = time.monotonic() + PATIENCE
        while (set(running.worker_pids()) & before or len(running.worker_pids()) != 2) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
    after = set(running.worker_pids())
    assert load.failures == []
    assert len(after) == 2
    assert not after & before
    assert load.workers & {str(pid) for pid in after}


def test_a_worker_that_dies_is_replaced(start: Start) -> None:
    """A killed worker has a successor, and the other one serves meanwhile."""
    running = start(workers=2)
    victim = running.worker_pids()[0]
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while (victim in running.worker_pids() or len(running.worker_pids()) < 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert victim not in running.worker_pids()
    with running.client() as client:
        assert client.post("/decide", json=BODY).status_code == 200


def test_workers_do_not_outlive_their_parent(start: Start) -> None:
    """When the parent is killed the workers finish and leave the port."""
    running = start(workers=2)
    workers = running.worker_pids()
    running.process.kill()
    assert all(gone(pid) for pid in workers)
    with pytest.raises(httpx.ConnectError), running.client() as client:
        client.get("/healthz")


def test_14_a_wrong_setting_refuses_to_start_in_one_line() -> None:
    """What a person must mend is one line on stderr, whatever the number of workers, and nothing listens."""
    process = launch(workers=2, ECHO_WRONG="riskd.yaml: line 3: no such signal\nreally")
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert out == ""
    assert err == "riskd: riskd.yaml: line 3: no such signal really\n"


def test_a_taken_port_is_said_in_one_line(start: Start) -> None:
    """The address that cannot be had is named."""
    running = start()
    process = launch(port=running.port)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (1, "")
    assert err.startswith(f"riskd: cannot listen on 127.0.0.1:{running.port}: ")
    assert err.count("\n") == 1


def test_term_before_ready_ends_it() -> None:
    """A service that is told to end while it starts does."""
    process = launch()
    time.sleep(0.4)
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode in {0, -signal.SIGTERM}


def test_logs_are_one_json_object_a_line(start: Start) -> None:
    """A failure inside is logged with its traceback as one JSON line, without what the caller sent."""
    running = start()
    with running.client() as client:
        crash = {"subject": {"id": "planted-secret"}, "action": {"name": "crash"}, "context": {"ip": "192.0.2.1"}}
        assert client.post("/decide", json=crash).status_code == 500
    running.end()
    assert running.process.stderr is not None
    events = [json.loads(line) for line in running.process.stderr.read().splitlines()]
    failed = next(event for event in events if event["event"] == "request_failed")
    assert (failed["level"], "RuntimeError" in failed["exception"]) == ("error", True)
    assert not any("planted-secret" in json.dumps(event) or "rk_all" in json.dumps(event) for event in events)
