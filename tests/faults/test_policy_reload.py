"""Cases 11 to 13: a policy changes while the service runs; every part of it takes effect at once, or none."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from tests.faults.rig import Behind, Rig, decide, login, metric, rss_mb
from tests.http.servers import eventually

ANSWERING = 8.0
"""Seconds after which the slow store answers: more than it takes to read a policy again."""
PATIENT = {"store": "20s", "decision": "30s"}


def revision(client: httpx.Client) -> str:
    """Return the revision in use."""
    told: str = client.get("/readyz").json()["parts"]["policy"]["revision"]
    return told


def change(rig: Rig, client: httpx.Client, **sections: object) -> None:
    """Change the policy on disk and wait until it is in use."""
    before = revision(client)
    rig.amend(**sections)
    assert eventually(lambda: revision(client) != before)


def tiered(subject: str) -> dict[str, Any]:
    """Return a login with an attribute."""
    return login(subject) | {"context": login(subject)["context"] | {"attributes": {"tier": 3}}}


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[tuple[Behind, httpx.Client]]:
    """A service that would wait long for a store that can be made slow."""
    with (
        Behind(tmp_path / "rig", delay_s=ANSWERING, deadlines=PATIENT) as behind,
        behind.start().client() as client,
    ):
        client.timeout = httpx.Timeout(30)
        yield behind, client


@contextmanager
def slow(behind: Behind) -> Iterator[None]:
    """Let every answer of the store take its time."""
    behind.proxy.fail("delay")
    yield
    behind.proxy.fail("pass")


def test_what_is_recorded_changes_at_once(rig: Rig) -> None:
    """New rules of the record hold for decisions and outcomes, in the same worker, connection and log file."""
    running = rig.start()
    with running.client() as client:
        workers = running.worker_pids()
        before = decide(client, tiered("ada"))
        change(rig, client, record={"keep": {"ip": "plain", "attributes": ["tier"]}})
        after = decide(client, tiered("ada"))
        told = client.post("/outcome", json={"decision_id": after["decision_id"], "outcome": "login_succeeded"})
        assert told.json()["status"] == "accepted"
        old, new = rig.record(before["decision_id"]), rig.record(after["decision_id"])
        assert (old.facts.attributes or {}, new.facts.attributes) == ({}, {"tier": 3})
        assert old.facts.network.ip != "81.2.69.142" == new.facts.network.ip
        assert new.policy_revision == after["policy_revision"] != before["policy_revision"]
        assert len(list(rig.log.glob("*.jsonl*"))) == 1
        assert running.worker_pids() == workers


def test_what_a_lost_record_means_changes_at_once(rig: Rig) -> None:
    """Whether a decision or report whose record is lost is refused or counted follows the policy on disk, both ways."""
    with rig.start().client() as client:
        known = [decide(client, login(f"s{number}"))["decision_id"] for number in range(3)]

        def ask() -> tuple[int, int]:
            report = {"decision_id": known.pop(), "outcome": "login_succeeded"}
            return client.post("/decide", json=login("x")).status_code, client.post("/outcome", json=report).status_code

        rig.log.rename(rig.home / "away")
        for left in (rig.home / "away").iterdir():
            left.unlink()
        rig.log.write_text("no folder")
        assert ask() == (503, 503)
        change(rig, client, record={"on_failure": "count"})
        assert ask() == (200, 200)
        assert client.get("/readyz").status_code == 200
        change(rig, client, record={"on_failure": "refuse"})
        assert ask() == (503, 503)
        assert client.get("/readyz").status_code == 503
        counted = {what: metric(client, f"riskd_record_{what}_total") for what in ("written", "dropped", "failures")}
        assert counted == {"written": 3, "dropped": 6, "failures": 6}


def test_deadlines_change_at_once(tmp_path: Path) -> None:
    """A store too slow for the old budget is fast enough for the new one: for decisions, reports and its own probe."""
    with Behind(tmp_path / "rig", delay_s=0.5) as behind, behind.start().client() as client:
        client.timeout = httpx.Timeout(30)
        assert decide(client)["degraded"] == []
        behind.proxy.fail("delay")
        for _ in range(10):  # enough to open the breaker, so that only the probe can find the store again
            assert decide(client)["degraded"] == ["store"]
        change(behind, client, deadlines=PATIENT)
        assert eventually(lambda: decide(client)["degraded"] == [], within_s=40)
        report = {"decision_id": decide(client)["decision_id"], "outcome": "login_succeeded"}
        assert client.post("/outcome", json=report).json()["status"] == "accepted"
        change(behind, client, deadlines={"store": "100ms"})
        assert eventually(lambda: decide(client)["degraded"] == ["store"])


def test_the_outcome_window_changes_at_once(patient: tuple[Behind, httpx.Client]) -> None:
    """A decision waits for its outcome as long as the policy of its own time says."""
    behind, client = patient
    with redis.Redis(unix_socket_path=str(behind.store.socket)) as store:

        def waiting() -> set[bytes]:
            return set(store.scan_iter("riskd:{o:*}"))

        first = decide(client)
        (old,) = waiting()
        change(behind, client, learning={"outcome_window": "1h"})
        second = decide(client)
        (new,) = waiting() - {old}
        assert store.ttl(old) > 6 * 86_400
        assert 3000 < store.ttl(new) <= 3600
        for decided in (first, second):
            report = {"decision_id": decided["decision_id"], "outcome": "login_succeeded"}
            assert client.post("/outcome", json=report).json()["status"] == "accepted"


def test_case_13_a_request_under_way_ends_by_the_policy_it_began_with(patient: tuple[Behind, httpx.Client]) -> None:
    """While a decision waits for the store the policy changes; it is judged, answered and recorded by the old one."""
    behind, client = patient
    before = decide(client, tiered("ada"))
    with ThreadPoolExecutor() as pool:
        with slow(behind):
            under_way = pool.submit(decide, client, tiered("ada"))
            time.sleep(0.3)
            assert revision(client) == before["policy_revision"]
            behind.amend(lists={"deny": {"networks": ["81.2.69.0/24"]}}, record={"keep": {"attributes": ["tier"]}})
            assert eventually(lambda: revision(client) != before["policy_revision"])
            assert not under_way.done()
        old = under_way.result()
    new = decide(client, tiered("ada"))
    assert old["policy_revision"] == before["policy_revision"] != new["policy_revision"]
    assert "denied_network" not in {reason["code"] for reason in old["reasons"]}
    assert "denied_network" in {reason["code"] for reason in new["reasons"]}
    assert not behind.record(old["decision_id"]).facts.attributes
    assert behind.record(new["decision_id"]).facts.attributes == {"tier": 3}


def test_case_13_reloads_at_load_are_wholly_old_or_wholly_new(rig: Rig) -> None:
    """While good, broken and half-written policies come and go, every answer fits its revision and nobody fails."""
    rig.amend(lists={"deny": {"networks": ["203.0.113.0/24"]}})
    running = rig.start()
    friendly = rig.policy.read_bytes()
    rig.amend(lists={"deny": {"networks": ["81.2.69.0/24"]}}, record={"keep": {"attributes": ["tier"]}})
    hostile = rig.policy.read_bytes()
    rig.policy.write_bytes(friendly)
    ended = False
    seen: list[tuple[str, bool, str]] = []

    def ask(caller: int) -> None:
        with running.client() as client:
            while not ended:
                answer = decide(client, tiered(f"s{caller}"))
                denied = "denied_network" in {reason["code"] for reason in answer["reasons"]}
                seen.append((answer["policy_revision"], denied, answer["decision_id"]))

    with running.client() as client, ThreadPoolExecutor() as pool:
        callers = [pool.submit(ask, number) for number in range(4)]
        rss = rss_mb(running.worker_pids()[0])
        for content in (hostile, friendly[:900], friendly, b"", hostile, hostile + b"\nlevl: 2\n", friendly):
            before = revision(client)
            rig.policy.write_bytes(content)
            if content in {friendly, hostile}:
                assert eventually(lambda before=before: revision(client) != before)
            else:
                assert eventually(
                    lambda: (
                        client.get("/readyz").json()["parts"]["policy"]["state"] == "stale"
                        and client.get("/readyz").status_code == 200
                    )
                )
        ended = True
        for caller in callers:
            caller.result()
        assert rss_mb(running.worker_pids()[0]) < rss + 40
    meant = {
        is_denied: {revision for revision, denied, _ in seen if denied is is_denied} for is_denied in (True, False)
    }
    assert (len(meant[True]), len(meant[False])) == (1, 1)
    assert meant[True] != meant[False]
    recorded = {record.decision_id: record for record in rig.records()}
    assert all(bool(recorded[made].facts.attributes) is denied for _, denied, made in seen)
