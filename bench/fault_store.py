"""Cases 1 to 5: 100 requests a second while the store fails for five seconds."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from findings import Finding, percentile_ms
from paced import Paced, Sent

from tests.faults.rig import Behind, decide, healthy, login
from tests.http.servers import eventually, request

RATE = 100
FAULT_S = 5.0
CALM_S = 1.5
RECOVERY_S = 3.0
Fault = tuple[str, str, Callable[[Behind], object], Callable[[Behind], object], float]
"""Case, words, how to break it, how to mend it, and the bound on p99 once the breaker had time to open, ms."""

FAULTS: tuple[Fault, ...] = (
    ("1", "store killed", lambda b: b.store.kill(), lambda b: b.store.start(), 50.0),
    (
        "2",
        "store stopped (SIGSTOP)",
        lambda b: b.store.signal(signal.SIGSTOP),
        lambda b: b.store.signal(signal.SIGCONT),
        10.0,
    ),
    ("3", "store + 200 ms", lambda b: b.proxy.fail("delay"), lambda b: b.proxy.fail("pass"), 10.0),
    ("4", "connections reset", lambda b: b.proxy.fail("reset"), lambda b: b.proxy.fail("pass"), 50.0),
    ("4", "answers one byte each 200 ms", lambda b: b.proxy.fail("drip"), lambda b: b.proxy.fail("pass"), 50.0),
    ("4", "black hole", lambda b: b.proxy.fail("blackhole"), lambda b: b.proxy.fail("pass"), 50.0),
    (
        "5",
        "store out of memory",
        lambda b: b.store.say("CONFIG", "SET", "maxmemory", 1),
        lambda b: b.store.say("CONFIG", "SET", "maxmemory", 0),
        50.0,
    ),
    (
        "5",
        "store read-only",
        lambda b: b.store.say("REPLICAOF", "127.0.0.1", 1),
        lambda b: b.store.say("REPLICAOF", "NO", "ONE"),
        50.0,
    ),
)


def store_faults(home: Path) -> list[Finding]:
    """Run every fault against one service that is never restarted."""
    findings = []
    with Behind(home, delay_s=0.2, deadlines={"store": "50ms"}) as behind:
        running = behind.start()
        data = [request("/decide", json.dumps(login(f"s{n}")).encode(), key=behind.key) for n in range(200)]
        with running.client() as client:
            decide(client)
            for case, words, break_it, mend_it, bound_ms in FAULTS:
                assert eventually(lambda: healthy(client))
                with Paced(running.port, lambda n: data[n % 200], RATE) as load:
                    time.sleep(CALM_S)
                    broken_at = perf_counter()
                    break_it(behind)
                    time.sleep(FAULT_S)
                    mend_it(behind)
                    mended_at = perf_counter()
                    time.sleep(RECOVERY_S)
                findings += _judge(case, words, load.sent, broken_at, mended_at, bound_ms)
    return findings


def _judge(
    case: str, words: str, sent: list[Sent], broken_at: float, mended_at: float, bound_ms: float
) -> list[Finding]:
    during = [one for one in sent if broken_at <= one.due < mended_at]
    settled = [one for one in during if one.due > broken_at + 0.5]
    after = [one for one in sent if one.due >= mended_at]
    for one in sent:
        if one.status != 200:
            print(f"{words}: {one.due - broken_at:+.3f} s after its begin: {one.status} {one.body!r}")
    answered = sum(one.status == 200 for one in during) / len(during)
    degraded = sum(one.degraded for one in settled) / len(settled)
    back_s = max(
        (one.due + one.latency_s - mended_at for one in after if one.degraded or one.status != 200), default=0.0
    )
    first_ms = max(one.latency_s for one in during) * 1e3
    p99 = percentile_ms(settled, 99)
    return [
        Finding(
            case,
            f"{words}: answered, degraded",
            f"{answered:.1%}, {degraded:.1%}",
            "100 %, 100 %",
            answered == degraded == 1.0,
        ),
        Finding(case, f"{words}: slowest of all", f"{first_ms:.1f} ms", "80 ms", first_ms <= 80),
        Finding(
            case, f"{words}: p99 after the first half second", f"{p99:.1f} ms", f"{bound_ms:.0f} ms", p99 <= bound_ms
        ),
        Finding(case, f"{words}: full service after its end", f"{back_s:.2f} s", "1 s", back_s <= 1.0),
    ]
