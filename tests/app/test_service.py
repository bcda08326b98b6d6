"""The whole service: every part real, from the socket to the record."""

import json
import math
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from riskd.record.reader import read
from riskd.record.schema import OutcomeRecord
from riskd.tokens.keyfile import create_key
from tests.app.riskd import Riskd, amend
from tests.http.servers import BODY, PATIENCE, Load, Running, eventually


def metric(running: Running, key: str, name: str) -> float:
    """Return the sum of a metric's samples; NaN from a worker that does not know the new key yet."""
    with running.client(**{"x-api-key": key}) as client:
        answer = client.get("/metrics")
        if answer.status_code == 401:
            return math.nan
        families = text_string_to_metric_families(answer.text)
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def decisions(riskd: Riskd) -> list[str]:
    """Return the ids in the decision log."""
    return [record.decision_id for record in read(riskd.data_dir / "log")]


def test_a_decision_its_outcome_and_their_records(riskd: Riskd) -> None:
    """A login is judged, its outcome reported twice and taken once, and both stand in the log."""
    running = riskd.start()
    with running.client() as client:
        answer = client.post("/decide", json=BODY).json()
        report = {"decision_id": answer["decision_id"], "outcome": "login_succeeded"}
        assert client.post("/outcome", json=report).json()["status"] == "accepted"
        assert client.post("/outcome", json=report).json()["status"] == "repeated"
        ready = client.get("/readyz").json()
    running.end()
    assert [record.decision_id for record in read(riskd.data_dir / "log")] == [answer["decision_id"]] * 2
    assert ready["ready"]
    assert set(ready["parts"]) == {"store", "databases", "model", "policy", "record"}
    assert all(source["licence"] for source in ready["parts"]["databases"]["sources"])


@pytest.mark.parametrize("wrong", [{"time": "2001-01-01T00:00:00Z"}, {"ip": "nowhere"}])
def test_a_batch_that_is_refused_is_judged_in_no_part(riskd: Riskd, wrong: dict[str, str]) -> None:
    """One wrong time or address near the end of a batch refuses it whole: nothing is counted, nothing recorded."""
    running = riskd.start()
    broken = {**BODY, "context": {**BODY["context"], **wrong}}
    with running.client() as client:
        assert client.post("/decide/batch", json={"requests": [*[BODY] * 18, broken, BODY]}).status_code == 422
    running.end()
    assert decisions(riskd) == []


def test_fresh_evidence_counts_as_a_passed_step_up(riskd: Riskd) -> None:
    """The retry after a step-up is allowed by its evidence, and the log says that the step-up was passed."""
    running = riskd.start()
    odd = {
        "action": {"name": "change_password"},
        "context": {"ip": "185.220.101.1", "user_agent": "curl/8.5.0", "network": {"kind": "tor"}},
    }
    with running.client() as client:
        first = client.post("/decide", json=BODY | odd).json()
        assert first["decision"] == "step_up"
        evidence = {
            "acr": first["step_up"]["acr_values"][0],
            "amr": first["step_up"]["amr_values"],
            "auth_time": datetime.now(UTC).isoformat(),
        }
        retry = client.post("/decide", json=BODY | odd | {"subject": {"id": "ada"} | evidence}).json()
        assert retry["decision"] == "allow"

    def told() -> bool:
        outcomes = [record for record in read(riskd.data_dir / "log") if isinstance(record, OutcomeRecord)]
        return [(o.decision_id, o.outcome, o.source) for o in outcomes] == [
            (retry["decision_id"], "step_up_passed", "evidence")
        ]

    assert eventually(told)


def test_the_first_key_is_kept_and_shown_again(riskd: Riskd) -> None:
    """A second start shows the key of the first one, which still works; the file is its owner's alone."""
    first = riskd.start()
    first.end()
    second = riskd.start()
    assert second.headers == first.headers
    with second.client() as client:
        assert client.post("/decide", json=BODY).status_code == 200
    assert (riskd.data_dir / "secrets" / "default-key").stat().st_mode & 0o777 == 0o600


def test_two_workers_count_together(riskd: Riskd) -> None:
    """Whichever worker is asked, /metrics has the sum, and a replaced worker's share stays in it."""
    running = riskd.start(workers=2)
    key = create_key(riskd.data_dir / "secrets" / "keys.json", "ops", ["admin"], now=datetime.now(UTC)).text
    for _ in range(20):
        with running.client() as client:
            assert client.post("/decide", json=BODY).status_code == 200
    with running.client(**{"x-api-key": key}) as client:
        assert eventually(lambda: client.get("/metrics").status_code == 200)
    assert eventually(lambda: metric(running, key, "riskd_decisions_total") == 20)
    os.kill(running.worker_pids()[-1], signal.SIGTERM)
    assert eventually(lambda: metric(running, key, "riskd_decisions_total") == 20)


def test_restart_under_load_loses_no_record(riskd: Riskd) -> None:
    """While both workers are replaced and then the service ends, every answer has its record and nobody fails."""
    running = riskd.start(workers=2)
    before = set(running.worker_pids())
    with Load(running, callers=8) as load:
        time.sleep(0.3)
        running.process.send_signal(signal.SIGUSR2)
        assert eventually(lambda: len(set(running.worker_pids()) - before) >= 2)
        time.sleep(0.5)
        assert running.end() == 0
    assert load.failures == []
    assert load.answered > 50
    recorded = decisions(riskd)
    assert len(recorded) == len(set(recorded)) == load.answered


def test_history_lives_through_a_restart(riskd: Riskd) -> None:
    """What a confirmed login made known is known after the service was started again."""
    login = BODY | {"context": {"ip": "192.0.2.1", "device_id": "laptop"}}
    for _ in range(2):
        running = riskd.start()
        with running.client() as client:
            answer = client.post("/decide", json=login).json()
            client.post("/outcome", json={"decision_id": answer["decision_id"], "outcome": "login_succeeded"})
            client.post("/outcome", json={"decision_id": answer["decision_id"], "outcome": "confirmed_legitimate"})
        time.sleep(1.2)  # the store writes to disk every second
        running.end()
    learning = next(reason for reason in answer["reasons"] if reason["code"] == "learning_period")
    assert learning["detail"]["confirmed_successes"] >= 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("version: 1\nsignals: {new_devise: {weight: 0.1}}\n"),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.write_bytes(b"\x00\xff" * 100),
    ],
    ids=["unknown signal", "empty", "deleted", "a directory", "noise"],
)
def test_12_a_damaged_policy_leaves_the_last_good_one(riskd: Riskd, damage: Callable[[Path], object]) -> None:
    """While serving, a policy that cannot be used changes nothing but what /readyz says."""
    running = riskd.start()
    with running.client() as client:
        revision = client.post("/decide", json=BODY).json()["policy_revision"]
        damage(riskd.policy)
        assert eventually(lambda: client.get("/readyz").json()["parts"]["policy"]["state"] == "stale")
        told = client.get("/readyz")
        assert (told.status_code, told.json()["parts"]["policy"]["revision"]) == (200, revision)
        assert client.post("/decide", json=BODY).json()["policy_revision"] == revision


def test_a_changed_policy_is_taken_over(riskd: Riskd) -> None:
    """A good change on disk judges the next requests."""
    running = riskd.start()
    with running.client() as client:
        revision = client.post("/decide", json=BODY).json()["policy_revision"]
        amend(riskd.policy, lists={"deny": {"networks": ["192.0.2.0/24"]}})
        assert eventually(lambda: client.post("/decide", json=BODY).json()["policy_revision"] != revision)
        codes = [reason["code"] for reason in client.post("/decide", json=BODY).json()["reasons"]]
    assert "denied_network" in codes


def test_14_a_wrong_policy_refuses_to_start(riskd: Riskd) -> None:
    """At start the first mistake is one line with its place, and nothing listens."""
    riskd.policy.write_text("version: 1\nsignals: {new_devise: {weight: 0.1}}\n")
    process = riskd.launch()
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (1, "")
    (line,) = [line for line in err.splitlines() if not line.startswith("{")]
    assert line.startswith(f"riskd: {riskd.policy}:1:1: ")
    assert "new_device" in line


def test_8_a_missing_model_refuses_to_start_unless_the_policy_allows_it(riskd: Riskd) -> None:
    """Where the policy wants a model, none is one clear line."""
    amend(riskd.policy, anomaly={"missing": "refuse"})
    process = riskd.launch()
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "CURRENT" in err.splitlines()[-1]


def test_a_revoked_key_ends_while_serving(riskd: Riskd) -> None:
    """Changes to the key file are taken over without a restart."""
    running = riskd.start()
    with running.client() as client:
        assert client.post("/decide", json=BODY).status_code == 200
        keys = riskd.data_dir / "secrets" / "keys.json"
        content = json.loads(keys.read_text())
        content["keys"][0]["revoked"] = datetime.now(UTC).isoformat()
        keys.write_text(json.dumps(content))
        assert eventually(lambda: client.post("/decide", json=BODY).status_code == 401)


def test_1_the_store_is_killed_and_comes_back(riskd: Riskd) -> None:
    """Without the store every request is answered, degraded; when it is back so is full service."""
    running = riskd.start()
    store = next(pid for pid in children(running.process.pid) if "valkey" in command(pid) or "redis" in command(pid))
    with running.client() as client:
        assert client.post("/decide", json=BODY).json()["degraded"] == []
        os.kill(store, signal.SIGSTOP)
        try:
            stopped = [client.post("/decide", json=BODY) for _ in range(20)]
            assert {answer.status_code for answer in stopped} == {200}
            assert all("store" in answer.json()["degraded"] for answer in stopped)
            assert client.get("/readyz").json()["parts"]["store"]["state"] == "down"
        finally:
            os.kill(store, signal.SIGCONT)
        assert eventually(lambda: client.post("/decide", json=BODY).json()["degraded"] == [])


def children(pid: int) -> list[int]:
    """Return the child processes of all threads of a process."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def command(pid: int) -> str:
    """Return how a process was started."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
