"""The store's fault cases 1 to 5 and 7: every call ends, nothing but StoreUnavailable comes out, service returns."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from riskd.errors import StoreUnavailable
from riskd.store import Embedded, Store, parse
from tests.faultproxy import FaultProxy, Mode
from tests.store.servers import Server
from tests.store.story import NOW, Raw, attempt, history

BUDGET_S = 0.2
PATIENCE_S = 10.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of one's own to maltreat."""
    made = Server(tmp_path)
    yield made
    made.kill()


@pytest.fixture
async def hasty(server: Server, tmp_path: Path) -> AsyncIterator[Store]:
    """A store on the own server with a short budget."""
    made = Store(parse(server.url), tmp_path / "marker", budget_s=BUDGET_S)
    await until_served(made)
    yield made
    await made.close()


async def until_served(store: Store) -> None:
    """Attempt until the store answers."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            await store.observe(attempt(subject="probe"))
        except StoreUnavailable:
            assert time.monotonic() < end, "the store did not come back"
            await asyncio.sleep(0.02)
        else:
            return


async def until_open(store: Store) -> int:
    """Attempt until the breaker opens; return after how many failures."""
    for number in range(1, 11):
        with pytest.raises(StoreUnavailable):
            async with asyncio.timeout(10 * BUDGET_S):
                await store.observe(attempt())
        if not store.available:
            return number
    raise AssertionError("the breaker stayed closed")


async def test_case_1_killed_and_back(server: Server, hasty: Store) -> None:
    """Case 1: with the server killed every call fails, and when it is back so is the service, without a restart."""
    server.kill()
    assert await until_open(hasty) <= 10
    with pytest.raises(StoreUnavailable):
        await hasty.ping()
    server.start()
    await until_served(hasty)
    assert hasty.available


async def test_case_2_silent(server: Server, hasty: Store) -> None:
    """Case 2: a stopped server costs a few budgets, then calls fail without any I/O until it goes on."""
    server.signal(signal.SIGSTOP)
    assert await until_open(hasty) <= 10
    sent = hasty._gate.route.call
    hasty._gate.route.call = None  # type: ignore[method-assign, assignment]  # a call that touched the network would break
    for _ in range(100):
        with pytest.raises(StoreUnavailable):
            await hasty.observe(attempt())
    hasty._gate.route.call = sent  # type: ignore[method-assign]
    server.signal(signal.SIGCONT)
    await until_served(hasty)


async def test_case_3_probes_are_single(server: Server, tmp_path: Path) -> None:
    """Case 3: while every answer takes too long, many callers cause one probe at a time."""
    async with FaultProxy(str(server.socket), delay_s=2.0) as proxy:
        store = Store(parse(f"redis://127.0.0.1:{proxy.port}"), tmp_path / "marker", budget_s=BUDGET_S)
        await until_served(store)
        proxy.fail("delay")
        await until_open(store)
        before = proxy.accepted
        started = time.monotonic()
        while time.monotonic() - started < 1.0:
            calls = (store.observe(attempt()) for _ in range(20))
            assert all(isinstance(r, StoreUnavailable) for r in await asyncio.gather(*calls, return_exceptions=True))
            await asyncio.sleep(0.01)
        assert proxy.accepted - before <= 5
        proxy.fail("pass")
        await until_served(store)
        await store.close()


@pytest.mark.parametrize("mode", ["reset", "drip", "blackhole", "refuse"])
async def test_case_4_broken_answers_count_once(server: Server, tmp_path: Path, mode: Mode) -> None:
    """Case 4: whatever happens to an answer underway, the same request id is counted once."""
    async with FaultProxy(str(server.socket), delay_s=0.05) as proxy:
        store = Store(parse(f"redis://127.0.0.1:{proxy.port}"), tmp_path / "marker", budget_s=BUDGET_S)
        await until_served(store)
        proxy.fail(mode)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                async with asyncio.timeout(10 * BUDGET_S):
                    await store.observe(attempt(request_id="r", request_digest="d"))
        proxy.fail("pass")
        await until_served(store)
        await store.observe(attempt(request_id="r", request_digest="d"))
        assert (await history(store)).attempts_5m == 2
        await store.close()


async def test_a_late_answer_reaches_nobody_else(server: Server, tmp_path: Path) -> None:
    """After a time-out the next caller gets its own answer, not the late one."""
    async with FaultProxy(str(server.socket), delay_s=0.5) as proxy:
        store = Store(parse(f"redis://127.0.0.1:{proxy.port}"), tmp_path / "marker", budget_s=BUDGET_S)
        await until_served(store)
        proxy.fail("delay")
        with pytest.raises(StoreUnavailable):
            await store.observe(attempt(subject="late"))
        proxy.fail("pass")
        for number in range(20):
            sent = attempt(subject=f"s{number}")
            seen = await store.observe(sent)
            assert seen.decision_id == sent.decision_id
            await asyncio.sleep(0.05)
        await store.close()


async def test_a_caller_that_leaves_harms_no_other(store: Store) -> None:
    """A cancelled call leaves the connection in step for all others."""
    calls = [asyncio.create_task(store.observe(attempt(subject=f"s{number}"))) for number in range(40)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in done[::2])
    tokens = [result.history.token for result in done[1::2] if not isinstance(result, BaseException) and result.history]
    assert len(set(tokens)) == 20
    assert store.available


async def test_case_5_a_key_of_another_type(store: Store, prefix: str, raw: Raw) -> None:
    """Case 5: a key of a wrong type or content degrades its own lookups and leaves the breaker closed."""
    await raw.client.set(f"{prefix}:{{s:ada}}:a", "text")
    await raw.client.hset(f"{prefix}:{{s:bob}}", mapping={"token": "t", "core": "ü"})
    await raw.client.set(f"{prefix}:{{q:r}}", "ü")
    for _ in range(12):
        for broken in (attempt(), attempt(subject="bob"), attempt(subject="cy", request_id="r")):
            with pytest.raises(StoreUnavailable):
                await store.observe(broken)
    assert store.available
    assert (await history(store, subject="di")).attempts_5m == 1


async def test_case_5_read_only_out_of_memory_and_no_script(server: Server, hasty: Store) -> None:
    """Case 5: a server that takes no writes counts as down, and one that lost the script gets it again."""
    server.say("SCRIPT", "FLUSH")
    assert (await history(hasty)).attempts_5m == 1
    server.say("CONFIG", "SET", "maxmemory", 1)
    await until_open(hasty)
    server.say("CONFIG", "SET", "maxmemory", 0)
    await until_served(hasty)
    server.say("REPLICAOF", "127.0.0.1", 1)
    await until_open(hasty)
    server.say("REPLICAOF", "NO", "ONE")
    await until_served(hasty)
    assert (await history(hasty)).attempts_5m == 2


async def test_case_5_loading(tmp_path: Path) -> None:
    """Case 5: while the server loads its file it counts as down; then its history is back."""
    server = Server(tmp_path, "--appendonly", "yes", "--enable-debug-command", "local")
    store = Store(parse(server.url), tmp_path / "marker", budget_s=BUDGET_S)
    try:
        await until_served(store)
        before = await history(store)
        server.say("DEBUG", "POPULATE", 2000, "filler")
        server.say("BGREWRITEAOF")
        while server.info("persistence")["aof_rewrite_in_progress"]:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.02)
        server.signal(signal.SIGTERM)
        server.process.wait()
        server.start("--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024", ready=False)
        await until_open(store)
        await until_served(store)
        assert (await history(store)).token == before.token
    finally:
        await store.close()
        server.kill()


async def test_case_7_many_callers_one_connection(embedded: Embedded, tmp_path: Path, prefix: str, raw: Raw) -> None:
    """Case 7: 64 callers share one connection, and none is told that there are too many."""
    before = len(await raw.client.client_list())
    store = Store(parse(embedded.url), tmp_path / "marker", budget_s=5.0, prefix=prefix)

    async def caller(number: int) -> None:
        for _ in range(20):
            await store.observe(attempt(NOW, subject=f"s{number}"))

    await asyncio.gather(*(caller(number) for number in range(64)))
    assert len(await raw.client.client_list()) - before <= 1
    await store.close()
