"""Cases 20 to 22 and 25: what hostile callers cost the others, and what a wrong key's timing tells."""

import json
import os
import random
import socket
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter

from findings import Finding, percentile_ms
from paced import Paced
from scipy.stats import mannwhitneyu
from servers import SERVER_CORE

from tests.faults.rig import Rig, decide, login, rss_mb
from tests.faults.test_bulk import HOSTILE_USER_AGENTS, chunked
from tests.http.servers import Running, answer, request
from tests.http.test_bad_input import TOO_LARGE, body

RATE = 100
SAMPLES = 10_000
ATTACK_S = 10.0


def input_faults(home: Path) -> list[Finding]:
    """Run the cases against one service, which has a core to itself."""
    own = os.sched_getaffinity(0)
    with Rig(home, deadlines={"store": "50ms"}) as rig:
        os.sched_setaffinity(0, {SERVER_CORE})  # children inherit it
        running = rig.start()
        os.sched_setaffinity(0, own - {SERVER_CORE} or own)
        with running.client() as client:
            decide(client)
        findings = [*_hostile(rig, running), *_large(running), *_slow(rig, running), _timing(rig, running)]
    os.sched_setaffinity(0, own)
    return findings


def _others(rig: Rig, running: Running) -> Paced:
    data = [request("/decide", json.dumps(login(f"s{n}")).encode(), key=rig.key) for n in range(200)]
    return Paced(running.port, lambda n: data[n % 200], RATE)


def attacks() -> list[tuple[str, bytes]]:
    """Return what is deep, wide, long or made to keep a pattern busy, with where to send it."""
    large = ("depth 100,000", "100,000 attributes", "1 MB subject id", "100 KB user agent")
    many = b"{" + b",".join(b'"%d":[]' % n for n in range(6000)) + b"}"
    return [
        *(("/decide", TOO_LARGE[name]) for name in large),
        ("/decide", b"[" * 60_000),
        ("/decide", b"{" + b",".join(b'"%d":1' % n for n in range(7000)) + b"}"),
        ("/decide", body(context__attributes="@").replace(b'"@"', many)),
        ("/decide/batch", b'{"requests":[' + b",".join([b"1"] * 100_000) + b"]}"),
        *(("/decide", json.dumps(login("regex", user_agent=text)).encode()) for text in HOSTILE_USER_AGENTS.values()),
    ]


def attack(port: int, key: str, seconds: float) -> list[float]:
    """Send the attacks again and again, with a pause between them; return how long each took, ms."""
    costs_ms = []
    ready = [request(path, content, key=key) for path, content in attacks()]
    begun = perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while perf_counter() - begun < seconds:
            for data in ready:
                sent_at = perf_counter()
                connection.sendall(data)
                status, _, _ = answer(connection)
                costs_ms.append((perf_counter() - sent_at) * 1e3)
                assert status in {200, 400, 413, 422}, status
                time.sleep(0.02)
    return costs_ms


def _hostile(rig: Rig, running: Running) -> list[Finding]:
    with _others(rig, running) as calm:
        time.sleep(ATTACK_S)
    # A process of its own, so that what it costs to attack is not taken for what the attack costs.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as attacker:
        attacker.submit(attack, running.port, rig.key, 0.0).result()
        with _others(rig, running) as load:
            costs_ms = attacker.submit(attack, running.port, rig.key, ATTACK_S).result()
    before, meanwhile = percentile_ms(calm.sent, 99), percentile_ms(load.sent, 99)
    fine = all(one.status == 200 for one in load.sent)
    return [
        Finding(
            "20",
            "hostile bodies and user agents: slowest answer",
            f"{max(costs_ms):.1f} ms",
            "20 ms",
            max(costs_ms) <= 20,
        ),
        Finding(
            "20",
            "others meanwhile: p99, and without them",
            f"{meanwhile:.1f}, {before:.1f} ms",
            "2 x",
            fine and meanwhile <= 2 * before,
        ),
    ]


def _large(running: Running) -> list[Finding]:
    (worker,) = running.worker_pids()
    before = rss_mb(worker)
    taken = [chunked(running, 64 * 2**20)[1] for _ in range(5)]
    grown = rss_mb(worker) - before
    return [
        Finding(
            "21",
            "64 MB without a length, five times: taken before refused (most)",
            f"{max(taken) / 1e6:.1f} MB",
            "64 MB",
            max(taken) < 64e6,
        ),
        Finding("21", "memory after them", f"{grown:+.1f} MB", "+10 MB", grown <= 10),
    ]


def _slow(rig: Rig, running: Running) -> list[Finding]:
    whole = request("/decide", body(), key=rig.key)
    closed: list[float] = []
    with ExitStack() as stack, _others(rig, running) as load:
        connections = [stack.enter_context(running.connect()) for _ in range(502)]
        begun = perf_counter()
        connections[0].sendall(whole[:40])
        connections[1].sendall(whole[:-10])

        def wait() -> None:
            for connection in connections:
                connection.settimeout(60)
                with suppress(OSError):
                    while connection.recv(4096):
                        pass
                closed.append(perf_counter() - begun)

        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join()
    p99 = percentile_ms(load.sent, 99)
    return [
        Finding(
            "22",
            "half a header, half a body, 500 silent connections: closed after (last)",
            f"{max(closed):.1f} s",
            "15.5 s",
            max(closed) <= 15.5,
        ),
        Finding(
            "22",
            "others meanwhile: p99",
            f"{p99:.1f} ms",
            "10 ms",
            p99 <= 10 and all(one.status == 200 for one in load.sent),
        ),
    ]


def _timing(rig: Rig, running: Running) -> Finding:
    """Time wrong secrets of a key that lives against keys of nobody, in random order, on one connection."""
    chance = random.Random(25)
    live = rig.key[:-4] + "".join(chance.sample("abcdefgh", 4))
    nobody = "rk_" + "".join(chance.choices("0123456789abcdef", k=12)) + live[15:]
    asks = [request("/decide", body(), key=key) for key in (live, nobody)]
    spent: tuple[list[float], list[float]] = ([], [])
    with running.connect() as connection:
        for number in range(SAMPLES + 500):
            which = chance.getrandbits(1)
            sent_at = perf_counter()
            connection.sendall(asks[which])
            assert answer(connection)[0] == 401
            if number >= 500:
                spent[which].append(perf_counter() - sent_at)
    p = float(mannwhitneyu(*spent).pvalue)
    apart_us = (median(spent[0]) - median(spent[1])) * 1e6
    return Finding(
        "25",
        f"{SAMPLES:,} wrong keys, id known or not: medians apart, p-value",
        f"{apart_us:+.2f} µs, {p:.2f}",
        "p > 0.01",
        p > 0.01,
    )
