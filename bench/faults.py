"""`make faults`: the fault cases with their latencies, slopes and p-values, into the results beside this file.

Answers, `degraded` and counters are asserted by tests/faults; here the same rig is measured: the service on one core,
callers, proxy and store on the other.
"""

import os
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable
from importlib.util import find_spec
from math import ceil
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the rig lives among the tests

import results
from fault_input import input_faults
from fault_life import life_faults
from fault_store import store_faults
from findings import Finding, table
from fuzz import run_all
from reload import reload_faults

from tests.faults.rig import Rig
from tests.faults.test_fuzz import OPERATIONS, probe

HEADING = "Faults: what holds while things break"
GENERATED = 10_000


def fuzz_faults(home: Path, generated: int, seconds: int) -> list[Finding]:
    """Send generated requests to the live service, then fuzz its readers."""
    begun = time.perf_counter()
    posts = [operation for operation in OPERATIONS if operation[0] == "POST"]
    sent, broken = 0, ""
    with Rig(home, deadlines={"store": "1s"}) as rig:
        running = rig.start()
        try:
            for operation in posts:
                sent += probe(running.url, running.headers, operation, ceil(generated / len(posts)))
        except Exception as error:  # noqa: BLE001 - whatever a check raises is the finding
            broken = f"{operation}: {error}"
            print(broken)
    took = f"{sent:,} in {time.perf_counter() - begun:.0f} s"
    findings = [
        Finding(
            "fuzz",
            "schemathesis against the live OpenAPI: requests answered as documented, no 5xx",
            took,
            "all",
            not broken,
        )
    ]
    if find_spec("atheris") is None:
        return [*findings, Finding("fuzz", "atheris", "not installed", "no crash", held=False)]
    for name, (runs, trouble) in run_all(seconds).items():
        if trouble:
            print(trouble)
        findings.append(
            Finding("fuzz", f"atheris, {seconds} s: {name}", f"{runs:,} inputs", "no crash", runs > 0 and not trouble)
        )
    return findings


def main() -> int:
    """Run everything, print and write the table; the exit status says whether all held."""
    options = ArgumentParser(description=__doc__)
    options.add_argument("--generated", type=int, default=GENERATED, help="requests that schemathesis makes up")
    options.add_argument("--fuzz-seconds", type=int, default=20, help="seconds of atheris for each reader")
    options.add_argument("--only", default="", help="store, input, life, reload or fuzz; nothing is written then")
    given = options.parse_args()
    parts: dict[str, Callable[[Path], list[Finding]]] = {
        "store": store_faults,
        "input": input_faults,
        "life": life_faults,
        "reload": reload_faults,
        "fuzz": lambda home: fuzz_faults(home, given.generated, given.fuzz_seconds),
    }
    begun = time.perf_counter()
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="riskd-faults-") as work:
        for name, run in parts.items():
            if given.only in {"", name}:
                findings += run(Path(work) / name)
    shown = table(findings)
    print(shown)
    took = f"{time.perf_counter() - begun:.0f} s, load average of the last 15 minutes {os.getloadavg()[2]:.1f}"
    if not given.only:
        results.write_section(HEADING, f"`make faults` · {results.machine()} · took {took}\n\n{shown}")
    return 0 if all(finding.held for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
