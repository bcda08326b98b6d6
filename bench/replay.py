"""A million decisions through `riskd replay`: how long it takes on these cores, and how much memory.

    .venv/bin/python bench/replay.py                       # simulates a log, multiplies it, replays it
    .venv/bin/python bench/replay.py --log data/log --jobs 2

The base log is written again and again under other decision ids, outcomes along with their decisions, every other file
compressed, until there are enough decisions. It is judged under the policy and model it was made with, whose outcome is
known: every decision must come out identical.
"""

import argparse
import gzip
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from time import perf_counter, process_time

from riskd.anomaly.load import load_model
from riskd.features import MODEL_FEATURES
from riskd.learn.blocks import Local
from riskd.learn.replay.run import replay
from riskd.learn.replay.work import Order
from riskd.learn.simulate.run import simulate
from riskd.learn.simulate.stream import Size
from riskd.learn.sources import sources
from riskd.policy.load import SHIPPED, load
from riskd.record.files import name
from riskd.record.reader import read_lines

ROOT = Path(__file__).parent.parent
POLICY = SHIPPED / "default.yaml"
FILE_BYTES = 128 * 2**20
_ID = re.compile(rb'"decision_id":"([0-9a-f-]{24})([0-9a-f]{4})([0-9a-f]{8})"')


def copies(lines: list[bytes], decisions: int) -> Iterator[bytes]:
    """Yield the lines over and over, each time under other ids, until there are so many decisions."""
    made = copy = 0
    while True:
        for line in lines:
            found = _ID.search(line)
            assert found is not None
            middle = b"%04x" % ((int(found[2], 16) + copy) & 0xFFFF)
            yield line[: found.start(2)] + middle + line[found.end(2) :]
            made += line.startswith(b'{"record":"decision"')
            if made == decisions:
                return
        copy += 1


def multiply(base: Path, to: Path, decisions: int) -> int:
    """Write a log of so many decisions; return its size in bytes, uncompressed."""
    to.mkdir()
    rest, total = copies(list(read_lines(base)), decisions), 0
    for number in count():
        line = next(rest, None)
        if line is None:
            return total
        path = to / name(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number), 1, number)
        with gzip.open(f"{path}.gz", "wb", compresslevel=1) if number % 2 else path.open("wb") as file:
            held = 0
            while line is not None:
                file.write(line)
                held += len(line)
                line = next(rest, None) if held < FILE_BYTES else None
            total += held
    return total


def measure(log: Path, jobs: int) -> None:
    """Replay a log, and print what it took; in a process of its own, whose memory is that of the replay."""
    order = Order.of(POLICY, known=(POLICY,), models=ROOT / "models")
    begun, cpu = perf_counter(), process_time()
    report = replay([log], order, now=datetime.now(UTC), engine=Local(jobs))
    took, own = perf_counter() - begun, process_time() - cpu
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = own + workers.ru_utime + workers.ru_stime
    lacking = report.decisions - report.judged
    print(f"identical: {report.identical:,} of {report.judged:,}, not re-judgeable: {lacking:,}")
    print(f"{took:.1f} s ({report.decisions / took:,.0f} decisions/s), {used:.1f} s of CPU, {own:.1f} s of it reading")
    print(f"= {1e6 * used / report.decisions:.0f} us of CPU a decision; two cores of its own: {used / 2:.0f} s")
    own_mb, worker_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, workers.ru_maxrss / 1024
    print(f"peak memory: {own_mb:.0f} MB in the reading process, {worker_mb:.0f} MB in the largest worker")


def main() -> None:
    """Make the log, replay it, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=0, help="processes; 0: one per core")
    parser.add_argument("--log", type=Path, help="log to multiply; unset: one is simulated")
    parser.add_argument("--work", type=Path, help="folder to work in, with 2 GB free")
    parser.add_argument("--replay", type=Path, help="replay this log as it is, and do nothing else")
    args = parser.parse_args()
    if args.replay is not None:
        measure(args.replay, args.jobs)
        return
    folder = Path(tempfile.mkdtemp(prefix="riskd-bench-", dir=args.work))
    try:
        base = args.log
        if base is None:
            model = load_model(ROOT / "models", MODEL_FEATURES)
            base = simulate(folder / "base", Size(subjects=3_000, days=40, seed=7), load(POLICY), model).log
        (base,) = {Path(file.path).parent for file in sources([base])}
        size = multiply(base, folder / "log", args.decisions)
        print(f"log: {args.decisions:,} decisions, {size / 2**30:.2f} GiB, every other file compressed")
        print(f"cores: {len(os.sched_getaffinity(0))}, load average before: {os.getloadavg()[0]:.1f}", flush=True)
        again = [sys.executable, __file__, "--replay", str(folder / "log"), "--jobs", str(args.jobs)]
        subprocess.run(again, check=True)
        print(f"load average after: {os.getloadavg()[0]:.1f}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
