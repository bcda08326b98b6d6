"""The store on a real cluster of three nodes: the same behaviour, atomic per entity."""

import asyncio
import contextlib
import itertools
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from riskd.errors import ConflictError, RequestError, StoreUnavailable
from riskd.store import Settlement, Store, parse
from riskd.store.embedded import find_server
from riskd.store.route import SLOTS, slot_of
from tests.store.story import NOW, attempt, confirmed, history
from tests.store.test_behaviour import *  # noqa: F403 - what holds on one server holds on a cluster

pytestmark = pytest.mark.real
_numbers = itertools.count()


@dataclass
class Nodes:
    """Three running nodes."""

    ports: list[int]
    processes: list[subprocess.Popen[bytes]]

    @property
    def url(self) -> str:
        """The URL that names all of them."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def clients(self) -> list[redis.Redis]:
        """One plain client per node."""
        return [redis.Redis(port=port, decode_responses=True) for port in self.ports]


def _free_ports(count: int) -> list[int]:
    """Return ports whose bus port, 10,000 higher, is a port as well."""
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        for port in range(21_000, 30_000):
            held = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                held.bind(("127.0.0.1", port))
                ports.append(port)
            if len(ports) == count:
                return ports
    raise RuntimeError("no free ports")


def _join(clients: list[redis.Redis]) -> None:
    third = SLOTS // 3
    for number, client in enumerate(clients):
        last = SLOTS - 1 if number == 2 else (number + 1) * third - 1
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * third, last)
        client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for client in clients[1:]:
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", client.connection_pool.connection_kwargs["port"])


def _wait(clients: list[redis.Redis]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(redis.ConnectionError):
            if all("cluster_state:ok" in client.execute_command("CLUSTER", "INFO") for client in clients):
                return
        time.sleep(0.05)
    raise RuntimeError("the cluster did not form")


def _answering(clients: list[redis.Redis]) -> None:
    for client in clients:
        end = time.monotonic() + 10
        while True:
            with contextlib.suppress(redis.ConnectionError):
                if client.ping():
                    break
            assert time.monotonic() < end, "a node did not start"
            time.sleep(0.02)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A cluster of three masters on loopback."""
    running = Nodes(_free_ports(3), [])
    for port in running.ports:
        home = tmp_path_factory.mktemp(f"node{port}")
        options = ["--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--dir", str(home)]
        options += [
            "--save",
            "",
            "--appendonly",
            "no",
            "--cluster-node-timeout",
            "2000",
            "--enable-debug-command",
            "local",
        ]
        running.processes.append(
            subprocess.Popen([str(find_server()), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
    clients = running.clients()
    try:
        _answering(clients)
        _join(clients)
        _wait(clients)
        yield running
    finally:
        for client in clients:
            client.close()
        for process in running.processes:
            process.kill()
            process.wait()


@pytest.fixture
async def store(nodes: Nodes, tmp_path: Path) -> AsyncIterator[Store]:
    """A patient store on the cluster under a prefix of its own."""
    made = Store(parse(nodes.url), tmp_path / "store-epoch", budget_s=5.0, prefix=f"c{next(_numbers)}")
    yield made
    await made.close()


async def test_entities_spread_over_the_nodes(nodes: Nodes, store: Store) -> None:
    """Many subjects live on all three nodes, and each key of one subject on the same."""
    await asyncio.gather(*(confirmed(store, subject=f"s{number}") for number in range(60)))
    prefix = store._keys.epoch.partition(":")[0]
    held = [set(client.scan_iter(f"{prefix}:{{s:*", count=10_000)) for client in nodes.clients()]
    assert all(held)
    homes = [{key[key.index("{") : key.index("}")] for key in keys} for keys in held]
    assert not homes[0] & homes[1] | homes[1] & homes[2] | homes[0] & homes[2]
    assert all(client.ttl(key) > 0 for client, keys in zip(nodes.clients(), held, strict=True) for key in keys)


async def test_a_conflict_counts_where_only_it_was_seen(store: Store) -> None:
    """What both bodies name counts once, and nothing waits for an outcome; another address counts the refused one."""
    first = await store.observe(attempt(NOW - 2, request_id="r", request_digest="d"))
    refused = attempt(NOW - 1, request_id="r", request_digest="e", address="elsewhere")
    with pytest.raises(ConflictError):
        await store.observe(refused)
    with pytest.raises(RequestError):
        await store.settle(refused.decision_id, Settlement(outcome="login_failed", decided=0, at=NOW, confirms=False))
    again = await store.observe(attempt(NOW, request_id="r", request_digest="d"))
    assert (again.repeated, again.decision_id) == (True, first.decision_id)
    assert (await history(store)).attempts_5m == 2
    home, elsewhere = [await store.observe(attempt(NOW, subject="bob", address=at)) for at in ("home", "elsewhere")]
    assert [seen.address_counts and seen.address_counts.subjects_5m for seen in (home, elsewhere)] == [2, 2]


async def test_slots_are_counted_as_the_server_does(nodes: Nodes) -> None:
    """Our hash slot is the server's, also for odd braces."""
    (client, *_) = nodes.clients()
    for key in ("riskd:epoch", "riskd:{s:1}", "riskd:{s:1}:q:{x}", "a{}b", "{", "ä{ö}"):
        assert client.execute_command("CLUSTER", "KEYSLOT", key) == slot_of(key)
    client.close()


async def test_a_moved_slot_is_followed(nodes: Nodes, store: Store) -> None:
    """While and after a slot moves to another node every attempt is counted once."""
    await confirmed(store, NOW - 10)
    slot = slot_of(store._keys.entity("s", "ada"))
    clients = nodes.clients()
    names = [client.execute_command("CLUSTER", "MYID") for client in clients]
    source = min(slot // (SLOTS // 3), 2)
    target = (source + 1) % 3
    clients[target].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
    clients[source].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
    for key in clients[source].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000):
        clients[source].execute_command("MIGRATE", "127.0.0.1", nodes.ports[target], key, 0, 5000)
    assert (await history(store, NOW - 5)).attempts_5m == 2
    for number in (target, source, 3 - source - target):
        clients[number].execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[target])
    seen = await history(store)
    assert (seen.attempts_5m, seen.device_age_s) == (3, 10.0)
    for client in clients:
        client.close()


async def test_a_silent_node_degrades_and_comes_back(nodes: Nodes, tmp_path: Path) -> None:
    """While one node is stopped its entities are unavailable; afterwards the breaker closes by itself."""
    store = Store(parse(nodes.url), tmp_path / "store-epoch", budget_s=0.2, prefix=f"c{next(_numbers)}")
    subjects = [f"s{number}" for number in range(30)]
    try:
        for _ in range(20):
            with contextlib.suppress(StoreUnavailable):
                await confirmed(store)
                break
        nodes.processes[0].send_signal(19)  # SIGSTOP
        results = await asyncio.gather(
            *(store.observe(attempt(subject=subject)) for subject in subjects), return_exceptions=True
        )
        assert all(isinstance(result, StoreUnavailable) or not isinstance(result, Exception) for result in results)
        assert any(isinstance(result, StoreUnavailable) for result in results)
    finally:
        nodes.processes[0].send_signal(18)  # SIGCONT
    _wait(nodes.clients())
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with contextlib.suppress(StoreUnavailable):
            if (await history(store)).token:
                break
        await asyncio.sleep(0.05)
    assert (await history(store, NOW + 1)).attempts_5m >= 2
    await store.close()
