"""Training from a million logged decisions, and from ten: how long it takes on these cores, and how much memory.

    .venv/bin/python bench/learning.py                             # simulates a log, multiplies it, trains on it
    .venv/bin/python bench/learning.py --decisions 10000000 --work /somewhere/with/4/GB

The base log is written again and again, compressed, every copy under other decision ids and of other subjects,
sessions, devices and addresses, outcomes along with their decisions: each copy is as many people more.
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
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time

from riskd.learn.simulate.run import simulate
from riskd.learn.simulate.stream import Size
from riskd.learn.train import train
from riskd.policy.load import SHIPPED, load
from riskd.record.reader import read_lines

POLICY = SHIPPED / "default.yaml"
DECISIONS_A_FILE = 100_000
NAMES = re.compile(rb'("(?:token|session|ip|id|subject|history)":\[?")([0-9a-f]{5})')
IDS = re.compile(rb'("decision_id":"[0-9a-f-]{24})([0-9a-f]{4})')


def multiply(base: Path, to: Path, decisions: int) -> None:
    """Write a log of so many decisions, every copy of the base under other names."""
    to.mkdir()
    text = b"".join(read_lines(base))
    a_copy = text.count(b'{"record":"decision"')
    made = copy = number = 0
    while made < decisions:
        with gzip.open(to / f"part-{number:05}.jsonl.gz", "wb", compresslevel=1) as file:
            held = 0
            while held < DECISIONS_A_FILE and made < decisions:
                ids = IDS.sub(lambda found: found[1] + b"%04x" % (int(found[2], 16) ^ (copy & 0xFFFF)), text)  # noqa: B023 - used at once
                file.write(NAMES.sub(lambda found: found[1] + b"%05x" % (int(found[2], 16) ^ copy), ids))  # noqa: B023
                held, made, copy = held + a_copy, made + a_copy, copy + 1
        number += 1


def measure(log: Path) -> None:
    """Train on a log, and print what it took; in a process of its own, whose memory is that of the training."""
    begun, cpu = perf_counter(), process_time()
    with tempfile.TemporaryDirectory() as models:
        done = train(log, Path(models), now=datetime.now(UTC), source="a bench")
    took, used = perf_counter() - begun, process_time() - cpu
    said = done.training
    records = said.decisions + said.outcomes
    print(f"{said.decisions:,} decisions and {said.outcomes:,} outcomes in {said.file_count} files")
    print(f"fitted on {done.rows:,} rows, calibrated on {done.calibration_rows:,}; left out {said.left_out}")
    print(f"{took:.1f} s, {used:.1f} s of CPU, {1e6 * used / records:.1f} us of it a record")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def main() -> None:
    """Make the log, train on it, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--log", type=Path, help="log to multiply; unset: one is simulated")
    parser.add_argument("--work", type=Path, help="folder to work in, with 400 MB free a million decisions")
    parser.add_argument("--train", type=Path, help="train on this log as it is, and do nothing else")
    args = parser.parse_args()
    if args.train is not None:
        measure(args.train)
        return
    folder = Path(tempfile.mkdtemp(prefix="riskd-bench-", dir=args.work))
    try:
        base = args.log
        if base is None:
            base = simulate(folder / "base", Size(subjects=3_000, days=90, seed=7), load(POLICY)).log
        multiply(base / "log" if (base / "log").is_dir() else base, folder / "log", args.decisions)
        size = sum(path.stat().st_size for path in (folder / "log").iterdir())
        print(f"log: {size / 2**30:.2f} GiB compressed")
        print(f"cores: {len(os.sched_getaffinity(0))}, load average before: {os.getloadavg()[0]:.1f}", flush=True)
        subprocess.run([sys.executable, __file__, "--train", str(folder / "log")], check=True)
        print(f"load average after: {os.getloadavg()[0]:.1f}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
