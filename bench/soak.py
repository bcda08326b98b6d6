"""The soak: an hour at 70 % of what the service can do, with bad input, strangers without end, and a dying store.

`python bench/soak.py --minutes 3` is the form for CI. Every minute the store is killed and comes back five seconds
later. What must not grow is looked at: the worker's memory each second, its open files and threads before and after.
"""

import gc
import json
import os
import random
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from statistics import linear_regression
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the rig lives among the tests

import results
from attempts import Attempts
from closed import closed
from findings import Finding, percentile_ms, table
from load import Target
from paced import Paced, Sent

from tests.faults.rig import Behind, healthy, login, rss_mb
from tests.http.servers import eventually, request
from tests.http.test_bad_input import NOT_JSON, TOO_LARGE, WRONG_SHAPE

HEADING = "Soak"
SHARE = 0.7
"""Of the capacity measured at the start."""
BAD_SHARE = 0.01
SUBJECTS = 1_000_000
STORE_DOWN_S = 5.0
STORE_DOWN_AT_S = 30.0
"""Second of each minute in which the store is killed."""
CALM_S = 2.0
"""How long no more files must have been closed for those left to count as kept."""
WARM_UP = 1 / 3
"""Share of the time, two minutes at most, after which memory must not grow any more."""
CORES = ({0}, {1})
"""Service; load."""


class Requests:
    """One request after the other: logins of a million subjects, and one in a hundred that is none."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._chance = random.Random(60)
        shapes = (
            data for name, (data, _) in WRONG_SHAPE.items() if "ahead" not in name
        )  # the hour catches up with those
        bad = [*NOT_JSON.values(), *shapes, *TOO_LARGE.values()]
        self._bad = [request("/decide", data, key=key) for data in bad if len(data) < 200_000]
        self.bad: set[int] = set()
        """Numbers of the requests that must be refused."""

    def __call__(self, number: int) -> bytes:
        """Return the request of this number."""
        chance = self._chance
        if chance.random() < BAD_SHARE:
            self.bad.add(number)
            return chance.choice(self._bad)
        subject = chance.randrange(SUBJECTS)
        ip = f"{81 + subject % 90}.{subject // 97 % 256}.{subject // 7 % 256}.{subject % 251}"
        return request("/decide", json.dumps(login(f"s{subject}", ip=ip)).encode(), key=self._key)


class Watch:
    """What a process holds: memory second by second, open files and threads when nobody calls.

    Under load the open files are the callers' connections, as many as the pace needs; what is still open when
    the callers have gone is what the process would keep for ever.
    """

    def __init__(self, pid: int) -> None:
        self._process = Path(f"/proc/{pid}")
        self._pid = pid
        self.at: list[float] = []
        self.rss: list[float] = []

    def look(self, at: float) -> None:
        """Take one sample of memory."""
        self.at.append(at)
        self.rss.append(rss_mb(self._pid))

    def at_rest(self) -> tuple[int, int]:
        """Wait until no more files are closed; return how many files and threads are left."""
        left = self._count("fd")
        calm_since = time.perf_counter()
        while time.perf_counter() - calm_since < CALM_S:
            time.sleep(0.05)
            if (now := self._count("fd")) < left:
                left, calm_since = now, time.perf_counter()
        return left, self._count("task")

    def _count(self, kind: str) -> int:
        return len(list((self._process / kind).iterdir()))

    def after(self, begin: float) -> "Watch":
        """Return the samples from `begin` on."""
        later = Watch(self._pid)
        first = next(i for i, at in enumerate(self.at) if at >= begin)
        for name in ("at", "rss"):
            setattr(later, name, getattr(self, name)[first:])
        return later


def soak(minutes: float, home: Path) -> tuple[list[Finding], dict[str, Any]]:
    """Run it; return the findings, and the numbers a test looks at."""
    own = os.sched_getaffinity(0)
    with Behind(home, deadlines={"store": "50ms"}) as behind:
        behind.environment["REDIS_URL"] = behind.store.url  # the proxy shares our process, too slow for this rate
        os.sched_setaffinity(0, CORES[0] & own or own)  # children inherit it
        running = behind.start()
        os.sched_setaffinity(0, CORES[1] & own or own)
        behind.store.say("CONFIG", "SET", "appendfsync", "everysec")
        (worker,) = running.worker_pids()
        attempts = Attempts(time.time() - 80_000)
        target = Target(running.port, "/decide", behind.key)
        warm = [closed(target, attempts, seconds, 16) for seconds in (2.0, 5.0)][-1]
        rate = SHARE * warm.statuses[200] / warm.seconds
        requests = Requests(behind.key)
        watch = Watch(worker)
        rest = [watch.at_rest()]
        begun = time.perf_counter()
        with Paced(running.port, requests, rate) as load:
            _hour(behind, watch, begun, minutes * 60)
        rest.append(watch.at_rest())
        with running.client() as client:
            alive = eventually(lambda: healthy(client))
        exceptions = [line for line in behind.errors.read_text().splitlines() if '"exception"' in line]
    os.sched_setaffinity(0, own)
    findings, numbers = _judge(minutes, rate, load.sent, requests.bad, watch, rest, begun, alive=alive)
    return findings, numbers | {"exceptions": exceptions[:3]}


def _hour(behind: Behind, watch: Watch, begun: float, seconds: float) -> None:
    """Kill the store and start it again once a minute; look each second."""
    down = False
    while (passed := time.perf_counter() - begun) < seconds:
        watch.look(passed)
        should_be_down = STORE_DOWN_AT_S <= passed % 60 < STORE_DOWN_AT_S + STORE_DOWN_S
        if should_be_down and not down:
            behind.store.kill()
        elif down and not should_be_down:
            # It reads its file while callers wait, as a real one would.
            behind.store.start("--appendfsync", "everysec", ready=False)
        down = should_be_down
        time.sleep(max(0.0, 1 - (time.perf_counter() - begun - passed)))


def _judge(
    minutes: float,
    rate: float,
    sent: list[Sent],
    bad: set[int],
    watch: Watch,
    rest: list[tuple[int, int]],
    begun: float,
    *,
    alive: bool,
) -> tuple[list[Finding], dict[str, Any]]:
    refused = sum(one.status == 503 and b'"overloaded"' in one.body for one in sent)
    wrong = Counter(one.status for one in sent if not _right(one, bad=one.number in bad))
    minute = [[one for one in sent if k * 60 <= one.due - begun < k * 60 + 60] for k in range(max(1, int(minutes)))]
    p99s = [percentile_ms(one, 99) for one in minute if one]
    calm = [[one for one in part if (one.due - begun) % 60 < STORE_DOWN_AT_S] for part in minute]
    calm_p99s = [percentile_ms(one, 99) for one in calm if one]
    late = watch.after(min(120.0, minutes * 60 * WARM_UP))
    slope, _ = linear_regression(late.at, late.rss)
    degraded = sum(one.degraded for one in sent) / len(sent)
    numbers = {
        "sent": len(sent),
        "wrong": dict(wrong),
        "wrongly_answered": sorted({one.body.decode() for one in sent if not _right(one, bad=one.number in bad)})[:5],
        "refused": refused,
        "rss_mb": [late.rss[0], late.rss[-1]],
        "rss_slope_mb_10min": slope * 600,
        "files_at_rest": [files for files, _ in rest],
        "threads_at_rest": [threads for _, threads in rest],
        "p99_ms": [p99s[0], p99s[-1]],
        "alive": alive,
    }
    rss, files, threads = (late.rss[0], late.rss[-1]), *zip(*rest, strict=True)
    slope *= 600

    def finding(what: str, measured: str, bound: str, *, held: bool) -> Finding:
        return Finding("30", what, measured, bound, held)

    findings = [
        finding(
            f"{minutes:g} min at {rate:,.0f} a second, of 1,000,000 subjects: sent, wrongly answered",
            f"{len(sent):,}, {sum(wrong.values())}",
            "0",
            held=not wrong and alive,
        ),
        # A stall of the machine for longer than 64 requests last is told to the callers, who may come again.
        finding(
            "told to come again (503 overloaded)",
            f"{refused / len(sent):.2%}",
            "0.1 %",
            held=refused <= len(sent) / 1000,
        ),
        finding("degraded (store killed for 5 s a minute)", f"{degraded:.1%}", "15 %", held=degraded <= 0.15),
        finding(
            f"memory after warm-up, at the end, slope over {late.at[-1] - late.at[0]:,.0f} s",
            f"{rss[0]:.0f}, {rss[1]:.0f} MB, {slope:+.1f} MB/10 min",
            "+1 MB/10 min",
            held=slope <= 1,
        ),
        finding(
            "open files before and after the load",
            f"{files[0]}, {files[1]}",
            "flat",
            held=abs(files[1] - files[0]) <= 16,
        ),
        finding(
            "threads before and after", f"{threads[0]}, {threads[1]}", "flat", held=abs(threads[1] - threads[0]) <= 4
        ),
        finding("p99, first and last minute", _ms(p99s), "1.2 x", held=p99s[-1] <= 1.2 * p99s[0]),
        finding(
            "p99, the same before the store is killed",
            _ms(calm_p99s),
            "1.2 x",
            held=calm_p99s[-1] <= 1.2 * calm_p99s[0],
        ),
    ]
    return findings, numbers


def _right(one: Sent, *, bad: bool) -> bool:
    if one.status == 503:
        return b'"overloaded"' in one.body
    return 400 <= one.status < 500 if bad else one.status == 200


def _ms(p99s: list[float]) -> str:
    return f"{p99s[0]:.1f}, {p99s[-1]:.1f} ms"


def main() -> int:
    """Run, print, and write the results of a whole hour; the exit status says whether all held."""
    options = ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--json", action="store_true", help="print the numbers, judge nothing and write nothing")
    given = options.parse_args()
    gc.disable()  # millions of answers are kept, and nothing of them is garbage
    with tempfile.TemporaryDirectory(prefix="riskd-soak-") as work:
        findings, numbers = soak(given.minutes, Path(work) / "rig")
    if given.json:
        print(json.dumps(numbers))
        return 0
    shown = table(findings)
    print(shown)
    if given.minutes >= 60:
        results.write_section(HEADING, f"`python bench/soak.py` · {results.machine()}\n\n{shown}")
    return 0 if all(finding.held for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
