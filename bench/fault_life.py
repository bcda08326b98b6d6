"""Cases 28 and 30: killed, ended, restarted and overloaded, and every request counted."""

import os
import signal
import time
from pathlib import Path
from statistics import quantiles
from time import perf_counter

from attempts import Attempts
from closed import closed
from findings import Finding
from load import Target

from tests.faults.callers import Callers
from tests.faults.rig import Rig
from tests.http.servers import eventually


def life_faults(home: Path) -> list[Finding]:
    """Run every case on a service of its own."""
    return [
        *_killed(home / "killed"),
        *_ended(home / "ended"),
        *_restarted(home / "restarted"),
        *_overloaded(home / "over"),
    ]


def _killed(home: Path) -> list[Finding]:
    with Rig(home) as rig:
        running = rig.start(workers=2)
        with Callers(running) as load:
            time.sleep(2)
            for pid in (*running.worker_pids(), running.process.pid):
                os.kill(pid, signal.SIGKILL)
            running.process.wait()
        recorded = {record.decision_id for record in rig.records()}
    missing = len(set(load.ids) - recorded)
    said = f"{len(load.ids):,}, {len(recorded):,}, {missing}"
    return [Finding("28", "kill -9 of all at full load: answered, recorded, missing", said, "0 missing", missing == 0)]


def _ended(home: Path) -> list[Finding]:
    with Rig(home) as rig:
        running = rig.start()
        with Callers(running) as load:
            time.sleep(2)
            told_at = perf_counter()
            running.process.send_signal(signal.SIGTERM)
            code = running.process.wait(60)
            took_s = perf_counter() - told_at
        recorded = len(rig.records())
    bad = sum(given.status != 200 for given in load.answers)
    said = f"{len(load.answers):,}, {bad}, {len(load.broken)}, {recorded:,}"
    whole = bad == 0 and not load.broken and recorded == len(load.answers) and code == 0
    return [
        Finding("30", "TERM at full load, 16 callers: answered, not 200, cut, recorded", said, "0, 0, all", whole),
        Finding("30", "TERM at full load: gone after", f"{took_s:.2f} s", "5 s", took_s <= 5),
    ]


def _restarted(home: Path) -> list[Finding]:
    with Rig(home) as rig:
        running = rig.start(workers=2)
        with Callers(running) as load:
            for _ in range(3):
                before = set(running.worker_pids())
                running.process.send_signal(signal.SIGUSR2)
                renewed = eventually(lambda: len(set(running.worker_pids()) - before) == 2, 60)  # noqa: B023 - used at once
                renewed &= eventually(lambda: not before & set(running.worker_pids()), 60)  # noqa: B023
                assert renewed
            running.end()
        recorded = len(rig.records())
    bad = sum(given.status != 200 for given in load.answers)
    said = f"{len(load.answers):,}, {bad}, {len(load.broken)}, {recorded:,}"
    whole = bad == 0 and not load.broken and recorded == len(load.answers)
    return [
        Finding(
            "30",
            "two workers renewed 3 times and ended under load: answered, not 200, cut, recorded",
            said,
            "0, 0, all",
            whole,
        )
    ]


def _overloaded(home: Path) -> list[Finding]:
    """Ask with as many callers as a worker holds requests, then with twice as many."""
    with Rig(home, deadlines={"store": "1s"}) as rig:
        running = rig.start(MAX_IN_FLIGHT="64")
        target = Target(running.port, "/decide", rig.key)
        attempts = Attempts(time.time() - 80_000)
        closed(target, attempts, 1.5, 64)
        full, twice = (closed(target, attempts, 4, callers) for callers in (64, 128))
    p99s = [quantiles(done.accepted_s, n=100)[98] * 1e3 for done in (full, twice)]
    refused = twice.statuses[503]
    only = set(twice.statuses) <= {200, 503} and set(full.statuses) == {200}
    return [
        Finding(
            "30",
            "128 callers where 64 fit: refused with Retry-After",
            f"{refused:,} of {sum(twice.statuses.values()):,}",
            "some, nothing else",
            only and refused > 0,
        ),
        Finding(
            "30",
            "p99 of the accepted, and with 64 callers",
            f"{p99s[1]:.0f}, {p99s[0]:.0f} ms",
            "2 x",
            p99s[1] <= 2 * p99s[0],
        ),
    ]
