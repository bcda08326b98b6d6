"""A million decisions through `riskd evaluate`: how long it takes on these cores, and how much memory.

    .venv/bin/python bench/evaluate.py                       # simulates a log, multiplies it, evaluates it
    .venv/bin/python bench/evaluate.py --decisions 10000000 --work /somewhere/with/20/GB

Log and truth are written again and again under other decision ids and other subjects, every other file compressed,
until there are enough decisions; each copy of a subject is a subject of its own.
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
from pathlib import Path
from time import perf_counter

from riskd.anomaly.load import load_model
from riskd.features import MODEL_FEATURES
from riskd.learn.simulate.run import simulate
from riskd.learn.simulate.stream import Size
from riskd.policy.load import SHIPPED, load
from riskd.record.files import name
from riskd.record.reader import read_lines

ROOT = Path(__file__).parent.parent
FILE_LINES = 60_000
_ID = re.compile(rb'"decision_id":"([0-9a-f-]{24})([0-9a-f]{4})')
_TOKEN = b'"token":"'


def copied(line: bytes, copy: int) -> bytes:
    """Return a line of a log or truth under another decision id and subject."""
    found = _ID.search(line)
    assert found is not None
    middle = b"%04x" % ((int(found[2], 16) + copy) & 0xFFFF)
    line = line[: found.start(2)] + middle + line[found.end(2) :]
    return line.replace(_TOKEN, b"%s%d-" % (_TOKEN, copy), 1)


def copies(lines: list[bytes], count: int) -> Iterator[bytes]:
    """Yield all lines, so many times."""
    for copy in range(count):
        for line in lines:
            yield copied(line, copy)


def multiply(base: Path, to: Path, count: int) -> int:
    """Write a log and its truth so many times; return the log's size in bytes, uncompressed."""
    (to / "log").mkdir(parents=True)
    with (to / "truth.jsonl").open("wb") as truth:
        truth.writelines(copies((base / "truth.jsonl").read_bytes().splitlines(keepends=True), count))
    rest, total, number = copies(list(read_lines(base / "log")), count), 0, 0
    line = next(rest, None)
    while line is not None:
        path = to / "log" / name(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number), 1, number)
        with gzip.open(f"{path}.gz", "wb", compresslevel=1) if number % 2 else path.open("wb") as file:
            for _ in range(FILE_LINES):
                if line is None:
                    break
                file.write(line)
                total += len(line)
                line = next(rest, None)
        number += 1
    return total


def main() -> None:
    """Make the log, evaluate it, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=0, help="processes; 0: one per core")
    parser.add_argument("--base", type=Path, help="simulation to multiply; unset: one is played")
    parser.add_argument("--work", type=Path, help="folder to work in, with 2 GB free for a million")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="riskd-bench-", dir=args.work))
    try:
        base = args.base
        if base is None:
            model = load_model(ROOT / "models", MODEL_FEATURES)
            base = folder / "base"
            simulate(base, Size(subjects=3_000, days=40, seed=7), load(SHIPPED / "default.yaml"), model)
        each = (base / "truth.jsonl").read_bytes().count(b"\n")
        count = -(-args.decisions // each)
        size = multiply(base, folder / "many", count)
        print(f"log: {count * each:,} decisions, {size / 2**30:.2f} GiB, every other file compressed")
        print(f"cores: {len(os.sched_getaffinity(0))}, load average before: {os.getloadavg()[0]:.1f}", flush=True)
        riskd = [str(Path(sys.executable).parent / "riskd"), "evaluate", "--log", str(folder / "many"), "--last-days"]
        asked = [*riskd, "3650", "--html", str(folder / "page.html"), "--jobs", str(args.jobs)]
        begun = perf_counter()
        subprocess.run(
            asked,
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"RISKD_MODELS_DIR": str(ROOT / "models")},
        )
        took, used = perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"{took:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU, peak {used.ru_maxrss / 1024:.0f} MB")
        print(f"the page: {(folder / 'page.html').stat().st_size / 1024:.0f} KB; load after: {os.getloadavg()[0]:.1f}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
