"""Cases 1 to 7: the store dies, falls silent, drags, breaks off, refuses or forgets; every caller is answered."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from riskd.record.schema import DecisionRecord
from tests.faultproxy import Mode
from tests.faults.rig import Behind, decide, healthy, login, metric
from tests.http.servers import answer, eventually, request

ASKED = 25


@pytest.fixture
def client(behind: Behind) -> Iterator[httpx.Client]:
    """A caller."""
    with behind.running[0].client() as made:
        yield made


def while_down(behind: Behind, client: httpx.Client, source: str = "store") -> list[dict[str, Any]]:
    """Ask during a fault: all are answered, degraded, never softer than the fail mode, recorded and counted as such."""
    before = metric(client, "riskd_degraded_total", source=source)
    answers = [decide(client, login(f"ada-{number % 5}")) for number in range(ASKED)]
    reads = decide(client, login() | {"action": {"name": "read"}})
    assert all(source in told["degraded"] for told in (*answers, reads))
    assert {told["decision"] for told in answers} <= {"step_up", "deny"}
    assert reads["decision"] == "allow"  # its fail mode in the shipped policy
    recorded = {r.decision_id: r.degraded for r in behind.records() if isinstance(r, DecisionRecord)}
    assert all(source in recorded[told["decision_id"]] for told in (*answers, reads))
    assert metric(client, "riskd_degraded_total", source=source) == before + ASKED + 1
    return answers


@contextmanager
def down(behind: Behind, break_it: Callable[[], object], mend_it: Callable[[], object]) -> Iterator[None]:
    """Break the store for the length of the block; afterwards full service is back without a restart."""
    with behind.running[0].client() as client:
        break_it()
        try:
            yield
            ready = client.get("/readyz")
            assert (ready.status_code, ready.json()["parts"]["store"]["state"]) == (200, "down")
        finally:
            mend_it()
        assert eventually(lambda: healthy(client))
        assert eventually(lambda: client.get("/readyz").json()["parts"]["store"]["state"] == "ok")


def test_case_01_store_killed(behind: Behind, client: httpx.Client) -> None:
    """With the store killed all are answered, degraded; reports are told to come again; when it is back so is all."""
    known = decide(client)
    with down(behind, behind.store.kill, behind.store.start):
        while_down(behind, client)
        report = {"decision_id": known["decision_id"], "outcome": "login_succeeded"}
        refused = client.post("/outcome", json=report)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert client.post("/outcome", json=report).json()["status"] == "accepted"


def test_case_02_store_silent(behind: Behind, client: httpx.Client) -> None:
    """A stopped store is connected and silent: the first callers wait out the budget, the rest nobody."""
    with down(behind, lambda: behind.store.signal(signal.SIGSTOP), lambda: behind.store.signal(signal.SIGCONT)):
        while_down(behind, client)


def test_case_03_store_slow_and_probed_by_one(behind: Behind, client: httpx.Client) -> None:
    """While every answer of the store takes four budgets, many callers cause a few connections, not a herd."""
    before = behind.proxy.accepted
    with down(behind, lambda: behind.proxy.fail("delay"), lambda: behind.proxy.fail("pass")):
        for _ in range(4):
            while_down(behind, client)
        assert behind.proxy.accepted - before <= 20


@pytest.mark.parametrize("mode", ["reset", "drip", "blackhole", "refuse"])
def test_case_04_broken_answers_count_once(behind: Behind, client: httpx.Client, mode: Mode) -> None:
    """Whatever breaks underway, an attempt that comes again under its request id is counted once."""
    attempt = login(f"counted-{mode}") | {"request_id": f"r-{mode}"}
    with down(behind, lambda: behind.proxy.fail(mode), lambda: behind.proxy.fail("pass")):
        assert all("store" in decide(client, attempt)["degraded"] for _ in range(3))
        while_down(behind, client)
    assert decide(client, attempt)["degraded"] == []
    history = behind.record(decide(client, login(f"counted-{mode}"))["decision_id"]).facts.history
    assert history is not None
    assert history.attempts_5m == 2


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        (("CONFIG", "SET", "maxmemory", 1), ("CONFIG", "SET", "maxmemory", 0)),
        (("REPLICAOF", "127.0.0.1", 1), ("REPLICAOF", "NO", "ONE")),
    ],
    ids=["out of memory", "read only"],
)
def test_case_05_store_takes_no_writes(
    behind: Behind, client: httpx.Client, broken: tuple[str, ...], mended: tuple[str, ...]
) -> None:
    """A store that is full, or has become a replica, counts as down."""
    with down(behind, lambda: behind.store.say(*broken), lambda: behind.store.say(*mended)):
        while_down(behind, client)


def test_case_05_store_holds_another_type(behind: Behind, client: httpx.Client) -> None:
    """A key of a foreign type costs the lookups that need it and no other."""
    decide(client, login("twisted"))
    before = {key for key in keys(behind) if key.endswith("}:a")}
    decide(client, login("twisted-too"))
    (key,) = {key for key in keys(behind) if key.endswith("}:a")} - before
    behind.store.say("SET", key, "no sorted set")
    for _ in range(12):
        assert "store" in decide(client, login("twisted-too"))["degraded"]
        assert decide(client, login("twisted"))["degraded"] == []


def keys(behind: Behind) -> set[str]:
    """Return all keys of the store."""
    found = behind.store.say("KEYS", "*")
    assert isinstance(found, list)
    return set(found)


def test_case_05_store_loading(behind: Behind, client: httpx.Client) -> None:
    """While the store reads its file it counts as down; then the history is all there."""
    token = history_token(behind, client)
    behind.store.say("DEBUG", "POPULATE", 2000, "filler")
    behind.store.say("BGREWRITEAOF")
    assert eventually(lambda: not behind.store.info("persistence")["aof_rewrite_in_progress"])

    def restart() -> None:
        behind.store.signal(signal.SIGTERM)
        behind.store.process.wait()
        slowly = ("--key-load-delay", "1500", "--loading-process-events-interval-bytes", "1024")
        behind.store.start(*slowly, ready=False)

    restart()
    while_down(behind, client)
    assert eventually(lambda: healthy(client))
    assert history_token(behind, client) == token
    behind.store.say("CONFIG", "SET", "key-load-delay", 0)
    behind.store.say("EVAL", "for _, k in ipairs(redis.call('KEYS', 'filler*')) do redis.call('DEL', k) end", 0)


def history_token(behind: Behind, client: httpx.Client) -> str:
    """Return the token under which the store keeps a subject's history."""
    history = behind.record(decide(client, login("kept"))["decision_id"]).facts.history
    assert history is not None
    return history.token


def test_case_06_store_restarted_empty(behind: Behind, client: httpx.Client) -> None:
    """A store that lost its history degrades every decision, over restarts of riskd as well, until that is accepted."""
    behind.store.kill()
    shutil.rmtree(behind.store.home / "appendonlydir")
    behind.store.start()
    assert eventually(lambda: decide(client)["degraded"] == ["store_history_lost"])
    while_down(behind, client, "store_history_lost")
    assert eventually(lambda: client.get("/readyz").json()["parts"]["store"]["state"] == "history_lost")
    status = behind.command("store", "status", "--json")
    assert (status.returncode, json.loads(status.stdout)["history"]) == (1, "lost")
    accepted = behind.command("store", "accept-loss")
    assert accepted.returncode == 0, accepted.stderr
    assert eventually(lambda: healthy(client))
    assert eventually(lambda: client.get("/readyz").json()["parts"]["store"]["state"] == "ok")


def test_case_06_new_store_is_no_fault(behind: Behind, client: httpx.Client) -> None:
    """On a store that never had an epoch the very first decision of this service was whole."""
    first = next(r for r in behind.records() if isinstance(r, DecisionRecord))
    assert first.degraded == ()
    assert healthy(client)


def test_case_07_many_callers_few_connections(behind: Behind, client: httpx.Client) -> None:
    """64 callers at once are all answered in full, over no more connections to the store than before."""
    assert healthy(client)
    before = connections(behind)
    running = behind.running[0]
    callers = [running.connect() for _ in range(64)]
    try:
        for turn in range(5):
            for number, caller in enumerate(callers):
                body = json.dumps(login(f"{number}-{turn}")).encode()
                caller.sendall(request("/decide", body, key=behind.key))
            told = [answer(caller) for caller in callers]
            assert {status for status, _, _ in told} == {200}
            assert all(json.loads(text)["degraded"] == [] for _, _, text in told)
            assert connections(behind) <= before
    finally:
        for caller in callers:
            caller.close()


def connections(behind: Behind) -> int:
    """Return how many clients the store has."""
    listed = behind.store.say("CLIENT", "LIST")
    assert isinstance(listed, str)
    return len(listed.splitlines())
