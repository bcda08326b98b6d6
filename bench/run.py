"""`make bench`: what a decision costs beside a bare FastAPI echo and beside a service written in a day.

One run, about four minutes: every server is pinned to core 0 and the load generator, this process, to core 1. Rounds
of all variants alternate, so that a machine that slows down slows all of them; each figure is the median of its rounds.
CPU is user plus system time of the server's processes from /proc, divided by the requests of the round.
"""

import os
import sys
import tempfile
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import cities
import results
from attempts import MIX, Attempts
from in_process import evaluate_us
from load import CONNECTIONS, Round, Target, load, seed_history
from own_policy import VALUES, own_policy
from rich.console import Console
from rich.table import Table
from servers import LOAD_CORE, ROOT, SERVER_CORE, Server, Used, riskd, tcp_store, uvicorn_app
from three_parts import three_parts

ROUNDS = 5
ROUND_S = 4.0
WARM_UP_S = 2.5
MAX_DEGRADED = 0.01
"""Share of a round's decisions made without the store beyond which the round says nothing."""
ATTEMPTS_PER_ROUND = 3
HEADING = "Decisions: CPU and latency"


@dataclass(slots=True)
class Variant:
    """One service under load, and what its rounds showed."""

    name: str
    server: Server
    target: Target
    attempts: Attempts
    round_s: float = ROUND_S
    decides: bool = True
    rounds: list[tuple[Round, Used]] = field(default_factory=list)

    def run(self, seconds: float) -> tuple[Round, Used]:
        """Load it once; raises when one answer was not a 200."""
        before = self.server.used()
        done = load(self.target, self.attempts, seconds)
        used = self.server.used().since(before)
        if set(done.statuses) != {200}:
            raise RuntimeError(f"{self.name}: statuses {dict(done.statuses)}; first refusal: {done.refusal!r}")
        return done, used

    def measure(self) -> None:
        """Run one round that counts. A disturbed one, in which the store came late too often, is run again."""
        for _ in range(ATTEMPTS_PER_ROUND):
            done, used = self.run(self.round_s)
            if done.degraded <= done.statuses[200] * MAX_DEGRADED:
                self.rounds.append((done, used))
                return
        raise RuntimeError(
            f"{self.name}: {done.degraded} of {done.statuses[200]} decisions were degraded; a busy machine?"
        )

    def cpu_us(self) -> list[float]:
        """CPU microseconds per request, of each round."""
        return [used.service_s / done.statuses[200] * 1e6 for done, used in self.rounds]

    def store_us(self) -> float:
        """CPU microseconds per request of its store."""
        return median(used.store_s / done.statuses[200] * 1e6 for done, used in self.rounds)

    def per_s(self) -> float:
        """Requests answered in a second."""
        return median(done.statuses[200] / done.seconds for done, _ in self.rounds)

    def latency_ms(self, percent: int) -> float:
        """Return a percentile of the latency seen by the load generator."""
        return median(quantiles(done.latencies_s, n=100)[percent - 1] for done, _ in self.rounds) * 1e3

    def outcomes(self) -> str:
        """Say how the decisions were distributed."""
        total = sum(done.statuses[200] for done, _ in self.rounds)
        words = sorted({word for done, _ in self.rounds for word in done.outcomes})
        return ", ".join(f"{word} {sum(done.outcomes[word] for done, _ in self.rounds) / total:.1%}" for word in words)


def start_all(stack: ExitStack, work: Path, models: Path) -> list[Variant]:
    """Start every service, seeded where it has a history."""
    begin = time.time() - 23 * 3600  # `/decide` takes times of the last 24 hours
    store, store_port, store_is = stack.enter_context(tcp_store(work))
    variants = []
    server, port = stack.enter_context(uvicorn_app("floor_service:app", {}, work))
    echo = Target(port, "/echo")
    variants.append(Variant("(a) bare FastAPI echo", server, echo, Attempts(begin), decides=False))

    for name, environment, model in (
        ("(b1) riskd, embedded store", {}, models),
        (f"(b2) riskd, {store_is} over TCP", {"RISKD_REDIS_URL": f"redis://127.0.0.1:{store_port}/0"}, models),
        ("(b3) b1, a model with a head", {}, three_parts(work)),
    ):
        server, port, key = stack.enter_context(riskd(environment, work / name[1:3], model))
        if environment:
            server.store_pid = store.process.pid
        variant = Variant(name, server, Target(port, "/decide", key), Attempts(begin))
        seed_history(variant.target, variant.attempts)
        variants.append(variant)

    cities.write(work / "city.mmdb")
    day = {"DAY_REDIS_URL": f"redis://127.0.0.1:{store_port}/1", "DAY_MMDB": str(work / "city.mmdb")}
    server, port = stack.enter_context(uvicorn_app("day_service:app", day, work))
    server.store_pid = store.process.pid
    variants.append(Variant("(c) a day's own service", server, Target(port, "/decide"), Attempts(begin), round_s=2.5))
    for name, more in (("(d1) b1, attributes sent", False), ("(d2) d1, 30 signals, 10 velocities", True)):
        policy = work / f"{name[1:3]}.yaml"
        policy.write_bytes(own_policy(signals=more, velocities=more))
        server, port, key = stack.enter_context(riskd({"RISKD_POLICY": str(policy)}, work / name[1:3], models))
        variant = Variant(name, server, Target(port, "/decide", key), Attempts(begin, attributes=VALUES))
        seed_history(variant.target, variant.attempts)
        variants.append(variant)
    return variants


def time_to_ready(work: Path, models: Path) -> float:
    """Median seconds from the command to the ready line, three starts on a new data directory each."""
    seconds = []
    for number in range(3):
        with riskd({}, work / f"start{number}", models) as (server, _, _):
            seconds.append(server.ready_s)
    return median(seconds)


def table(variants: list[Variant]) -> Table:
    """Make the one table."""
    made = Table(title="One server core, 16 connections; CPU in µs per request", title_justify="left")
    for heading in ("", "CPU µs", "min-max", "x (a)", "store µs", "both x (a)", "req/s", "p50 ms", "p99 ms", "RSS MB"):
        made.add_column(heading, justify="right" if heading else "left")
    floor = median(variants[0].cpu_us())
    for variant in variants:
        cpu, store = variant.cpu_us(), variant.store_us()
        made.add_row(
            *(variant.name, f"{median(cpu):,.0f}", f"{min(cpu):,.0f}-{max(cpu):,.0f}", f"{median(cpu) / floor:.2f}"),
            *(f"{store:.0f}" if store else "-", f"{(median(cpu) + store) / floor:.2f}", f"{variant.per_s():,.0f}"),
            *(f"{variant.latency_ms(50):.1f}", f"{variant.latency_ms(99):.1f}", f"{variant.server.rss_mb():.0f}"),
        )
    return made


def markdown(shown: Table) -> str:
    """Write the same table for a file."""
    columns = [[str(column.header), *(str(cell) for cell in column.cells)] for column in shown.columns]
    head, *rows = ["| " + " | ".join(cells) + " |" for cells in zip(*columns, strict=True)]
    line = "|" + "|".join(":--" if number == 0 else "--:" for number in range(len(columns))) + "|"
    return "\n".join([head, line, *rows])


def notes(variants: list[Variant], evaluate: tuple[float, bool], ready_s: float) -> list[str]:
    """Say in sentences what the table cannot."""
    floor, embedded, _, headed, day, plain, own = (median(variant.cpu_us()) for variant in variants)
    body = variants[0].attempts.next()
    requests = sum(done.statuses[200] for variant in variants for done, _ in variant.rounds)
    degraded = sum(done.degraded for variant in variants for done, _ in variant.rounds)
    judged = "all signals and the model" if evaluate[1] else "all signals, no model installed"
    outcomes = " ".join(f"{variant.name[:4].strip()}: {variant.outcomes()}." for variant in variants if variant.decides)
    return [
        f"(b1) takes {embedded / floor:.2f} x the floor (bound 2.0) and 1/{day / embedded:.0f} of (c) (bound 1/20).",
        f"With likelihood core, forest and head in the model (b3) takes {headed / floor:.2f} x the floor (bound 2.0).",
        f"Thirty signals and ten velocities of a policy's own (d2) add {own / plain - 1:.0%} to (d1) (bound 30 %).",
        f"`evaluate` in process, {judged}: {evaluate[0]:.0f} µs (bound 70). Ready in {ready_s:.2f} s (bound 2).",
        f"{CONNECTIONS} connections, the same bodies of {len(body)} bytes for all, and five attributes in (d).",
        MIX,
        f"All {requests:,} answers were 200, {degraded} of them degraded. {outcomes}",
        f"Services on core {SERVER_CORE}, the embedded store with them; load and TCP store on core {LOAD_CORE}.",
        f"CPU is that of the service without its store. Medians of {ROUNDS} alternating rounds.",
    ]


def main() -> int:
    """Run the bench."""
    options = ArgumentParser(description=__doc__)
    options.add_argument("--models", type=Path, default=ROOT / "models", help="folder of the model under test")
    models = options.parse_args().models.resolve()
    begun, busy = time.perf_counter(), os.getloadavg()[0]
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("the bench needs two cores: one for the server, one for the load")
    os.sched_setaffinity(0, {LOAD_CORE})
    with tempfile.TemporaryDirectory(prefix="riskd-bench-") as directory, ExitStack() as stack:
        work = Path(directory)
        ready_s = time_to_ready(work, models)
        variants = start_all(stack, work, models)
        for variant in variants:
            variant.run(WARM_UP_S)
        for _ in range(ROUNDS):
            for variant in variants:
                variant.measure()
        evaluated = evaluate_us(work / "b1" / "data" / "log", models, SERVER_CORE)
        shown = table(variants)
        said = [
            *notes(variants, evaluated, ready_s),
            f"Load average before the run: {busy:.1f} (0 is a quiet machine).",
        ]
    Console(width=140).print(shown)
    print("\n".join(said))
    machine = results.machine()
    print(machine, f"\ntook {time.perf_counter() - begun:.0f} s")
    listed = "\n".join(f"- {sentence}" for sentence in said)
    results.write_section(HEADING, f"`make bench` · {machine}\n\n{markdown(shown)}\n\n{listed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
