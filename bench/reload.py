"""Case 13: policies come and go under load; `make faults` runs it, and so does `python bench/reload.py` alone.

Every second policy denies every address, so that an answer tells by its reasons which policy judged it, beside the
revision that it carries. Callers ask as fast as they are answered, on a core of their own.
"""

import asyncio
import json
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).parents[1]))  # the rig lives among the tests

import uvloop
from attempts import Attempts
from findings import Finding, percentile_ms, table
from load import CONNECTIONS, Connection, Target, Turn
from own_policy import ATTRIBUTES, WHEN
from paced import Paced
from ruamel.yaml import YAML
from servers import SERVER_CORE

from riskd.policy.load import MAX_BYTES, parse
from tests.faults.rig import Rig, login, rss_mb
from tests.http.servers import Running, request

REVISION = re.compile(rb'"policy_revision":"([0-9a-f]{12})"')
EVERYBODY = ["0.0.0.0/0", "::/0"]
RATE = 100
CALM_S = 1.0
WARM_S = 12.0
"""Until the worker remembers as many addresses as it ever will, so that its memory can be compared."""


class FullLoad:
    """Callers that ask as fast as they are answered until the block ends; remembers revision and reasons."""

    def __init__(self, running: Running, key: str) -> None:
        self.judged: Counter[tuple[str, bool]] = Counter()
        """Answers by revision and whether everybody was denied."""
        self.failed: Counter[int] = Counter()
        self.degraded = 0
        self.latencies_s: list[float] = []
        self._target = Target(running.port, "/decide", key)
        self._attempts = Attempts(time.time() - 80_000)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def answered(self) -> int:
        """How many requests got a decision."""
        return self.judged.total()

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what is under way."""
        self._ended.set()
        self._thread.join(30)

    def _make_turn(self) -> Turn:
        sent = 0.0

        def turn(status: int, body: bytes) -> bytes | None:
            nonlocal sent
            now = perf_counter()
            if status == 200:
                self.latencies_s.append(now - sent)
                found = REVISION.search(body)
                self.judged[found[1].decode() if found else "", b'"denied_network"' in body] += 1
                self.degraded += b'"degraded":["' in body
            elif status:
                self.failed[status] += 1
            if self._ended.is_set():
                return None
            sent = perf_counter()
            return self._target.request(self._attempts.next())

        return turn

    def _run(self) -> None:
        async def drive() -> None:
            loop = asyncio.get_running_loop()
            pairs = [
                await loop.create_connection(lambda: Connection(self._make_turn()), "127.0.0.1", self._target.port)
                for _ in range(CONNECTIONS)
            ]
            ends = await asyncio.gather(*(connection.ended for _, connection in pairs), return_exceptions=True)
            self.failed[0] += sum(isinstance(end, Exception) for end in ends)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(drive())


def tree_of(rig: Rig) -> dict[str, Any]:
    """Return the policy as a tree."""
    tree: dict[str, Any] = YAML(typ="safe", pure=True).load(rig.policy)
    return tree


def written(tree: dict[str, Any]) -> bytes:
    """Return a policy file; JSON is YAML."""
    return json.dumps(tree).encode()


class Policies:
    """A line of policies, each of another revision, of which every second one denies everybody."""

    def __init__(self, rig: Rig) -> None:
        self._plain = tree_of(rig)
        self._path = rig.policy
        self.denying: dict[str, bool] = {parse(written(self._plain), "").revision: False}
        """Whether a revision denies everybody, for each that was ever written."""
        self.now = next(iter(self.denying))
        """The revision that was written last."""

    def write(self, number: int) -> None:
        """Put the policy of a number in the place of the one before, as a deployment does."""
        networks = [f"198.51.{number // 256}.{number % 256}", *(EVERYBODY if number % 2 else [])]
        content = written(self._plain | {"lists": {"deny": {"networks": networks}}})
        self.now = parse(content, "").revision
        self.denying[self.now] = bool(number % 2)
        self._put(content)

    def break_it(self, number: int) -> None:
        """Put something in its place that is no policy: half of it, a typo, nothing, or noise."""
        content = written(self._plain)
        typo = written(self._plain | {"levl": 2})
        self._put((content[: len(content) // 2], typo, b"", b"\x00\xff" * 100)[number % 4])

    def _put(self, content: bytes) -> None:
        beside = self._path.with_name("next")
        beside.write_bytes(content)
        beside.replace(self._path)

    def mixed(self, load: FullLoad) -> int:
        """Return how many answers do not fit the revision they carry."""
        return sum(
            times for (revision, denied), times in load.judged.items() if self.denying.get(revision) is not denied
        )


def reload_faults(home: Path) -> list[Finding]:
    """Run every case on a service of its own."""
    return [
        *_at_a_pace(home / "pace"),
        *_one_after_the_other(home / "many"),
        *_large(home / "large"),
        *_long_list(home / "list"),
    ]


@contextmanager
def _serving(home: Path) -> Iterator[tuple[Rig, Running]]:
    """Serve with deadlines that a busy machine does not miss: what fails then fails for a reload."""
    with Rig(home, deadlines={"store": "1s", "decision": "2s"}) as rig:
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {SERVER_CORE})  # children inherit it
        running = rig.start()
        os.sched_setaffinity(0, own - {SERVER_CORE} or own)
        yield rig, running
        os.sched_setaffinity(0, own)


def _at_a_pace(home: Path) -> list[Finding]:
    """Write 50 policies in 10 s, and see how soon each is in use."""
    with _serving(home) as (rig, running):
        policies = Policies(rig)
        took_s = []
        with FullLoad(running, rig.key) as load:
            time.sleep(CALM_S)
            begun = perf_counter()
            for number in range(50):
                time.sleep(max(0.0, begun + number * 0.2 - perf_counter()))
                policies.write(number)
                wrote_at = perf_counter()
                while (policies.now, bool(number % 2)) not in load.judged and perf_counter() < wrote_at + 5:
                    time.sleep(0.001)
                took_s.append(perf_counter() - wrote_at)
            lasted_s = perf_counter() - begun
        live = [took * 1e3 for took in took_s]
    return [
        _whole(f"50 reloads in {lasted_s:.1f} s at full load", policies, load),
        Finding(
            "13",
            "a change on disk judges its first request after: median, slowest of 50",
            f"{median(live):.0f}, {max(live):.0f} ms",
            "each within 1 s",
            max(live) <= 1000,
        ),
    ]


def _one_after_the_other(home: Path) -> list[Finding]:
    """Ask for 500 reloads, every fifth of something broken, each once the one before was answered."""
    with _serving(home) as (rig, running):
        policies, (worker,) = Policies(rig), running.worker_pids()
        statuses: Counter[int] = Counter()
        rss: list[float] = []
        with FullLoad(running, rig.key) as load, running.client() as client:
            time.sleep(WARM_S)
            load.latencies_s = []
            begun = perf_counter()
            for number in range(500):
                if number % 5 == 4:
                    policies.break_it(number)
                else:
                    policies.write(number)
                statuses[client.post("/policy/reload").status_code] += 1
                rss.append(rss_mb(worker))
            lasted_s = perf_counter() - begun
            load.latencies_s, during = [], load.latencies_s
            time.sleep(3 * CALM_S)
        calm, busy = (
            f"{quantiles(some, n=100)[98] * 1e3:.0f}, {max(some) * 1e3:.0f}" for some in (load.latencies_s, during)
        )
        begin_mb, end_mb = median(rss[90:110]), median(rss[-20:])
    return [
        _whole(f"500 reloads, 100 of them broken, in {lasted_s:.0f} s at full load", policies, load),
        Finding(
            "13",
            "their answers: taken, refused",
            f"{statuses[200]}, {statuses[422]}",
            "400, 100",
            statuses == {200: 400, 422: 100},
        ),
        Finding(
            "13",
            "RSS of the worker after 100 and after 500 reloads",
            f"{begin_mb:.1f}, {end_mb:.1f} MB",
            "+ 5 MB",
            end_mb - begin_mb <= 5,
        ),
        Finding("13", "p99 and slowest answer while they go on; at rest", f"{busy}; {calm} ms", "reported", held=True),
    ]


def _whole(what: str, policies: Policies, load: FullLoad) -> Finding:
    """Judge that every request was answered, and by one whole policy."""
    failed, mixed = load.failed.total(), policies.mixed(load)
    seen = len({revision for revision, _ in load.judged})
    return Finding(
        "13",
        f"{what}: answered, by revisions, failed, revision and outcome apart",
        f"{load.answered:,}, {seen}, {failed}, {mixed}",
        "0, 0",
        failed == mixed == 0 and load.answered > 0,
    )


def _large(home: Path) -> list[Finding]:
    """Reload large policies while 100 requests a second come in."""
    findings = []
    with _serving(home) as (rig, running):
        data = [request("/decide", json.dumps(login(f"s{n}")).encode(), key=rig.key) for n in range(200)]
        plain = tree_of(rig)
        for what, more in (("a policy of 1 MB", _megabyte(plain)), ("200 custom signals", _signals(200))):
            with running.client() as client, Paced(running.port, lambda n: data[n % 200], RATE) as load:
                client.timeout = 60
                time.sleep(CALM_S)
                took_s = []
                for content in map(written, (plain | more, plain, plain | more)):
                    rig.policy.with_name("next").write_bytes(content)
                    begun = perf_counter()
                    rig.policy.with_name("next").replace(rig.policy)
                    told = client.post("/policy/reload")
                    assert (told.status_code, told.json()["revision"]) == (200, parse(content, "").revision)
                    took_s.append(perf_counter() - begun)
                ended = perf_counter()
                time.sleep(CALM_S)
            during = [one for one in load.sent if one.due <= ended]
            failed = sum(one.status != 200 for one in load.sent)
            slowest = max(one.latency_s for one in during) * 1e3
            findings += [
                Finding(
                    "13",
                    f"{what}, loaded twice at {RATE} requests a second: answered, failed, degraded",
                    f"{len(load.sent):,}, {failed}, {sum(one.degraded for one in load.sent)}",
                    "0 failed",
                    failed == 0,
                ),
                Finding(
                    "13",
                    f"{what}: in use after; p99 and slowest answer meanwhile",
                    f"{max(took_s):.1f} s; {percentile_ms(during, 99):.0f}, {slowest:.0f} ms",
                    "5 s",
                    max(took_s) <= 5,
                ),
            ]
    return findings


def _long_list(home: Path) -> list[Finding]:
    """Give a policy a list of a million IPv6 prefixes, change either and both, and tell the most a worker holds."""
    with _serving(home) as (rig, running), running.client() as client:
        client.timeout = 60
        (worker,), lists = running.worker_pids(), home / "long.txt"

        def peak_mb() -> float:
            status = Path(f"/proc/{worker}/status").read_text()
            Path(f"/proc/{worker}/clear_refs").write_text("5")  # the peak is counted from here on
            return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6

        def after(*, seed: int | None = None, denied: str = "198.51.100.1") -> float:
            if seed is not None:
                chance = random.Random(seed)
                bits = chance.sample(range(1 << 40), 1_000_000)
                lines = (f"2a{n >> 32:02x}:{n >> 16 & 0xFFFF:x}:{n & 0xFFFF:x}::/64\n" for n in bits)
                lists.with_name("next").write_text("".join(lines))
                lists.with_name("next").replace(lists)
            named = {"long": {"kind": "deny", "of": "network", "file": lists.name}}
            rig.amend(lists={"deny": {"networks": [denied]}, **({"named": named} if lists.exists() else {})})
            peak_mb()
            told = client.post("/policy/reload")
            assert told.status_code == 200, told.text
            return peak_mb()

        client.post("/decide", json=login())
        after(denied="198.51.100.9")
        without = after()
        peaks = [after(seed=1), after(denied="198.51.100.2"), after(seed=2, denied="198.51.100.3")]
    more = [peak - without for peak in peaks]
    return [
        Finding(
            "13",
            "a list of 1,000,000 IPv6 prefixes: the worker's peak when it is read, beside another policy, both new",
            ", ".join(f"{mb:+.0f}" for mb in more) + " MB",
            "+64 MB",
            max(more) <= 64,
        )
    ]


def _megabyte(plain: dict[str, Any]) -> dict[str, Any]:
    """Return sections that fill a policy up to the largest that is read: resources with globs, and networks."""
    rules = [
        {
            "name": f"area {n}",
            "match": {"endpoint": [f"/area/{n}/part-{m}/**" for m in range(40)]},
            "level": 2,
            "sensitive": n % 2 == 0,
        }
        for n in range(300)
    ]
    chance = random.Random(1)
    sections: dict[str, Any] = {"resources": rules}
    room = MAX_BYTES - len(written(plain | sections)) - 100
    networks = {f"198.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}" for _ in range(60_000)}
    taken = []
    for network in sorted(networks):
        room -= len(network) + 4
        if room > 0:
            taken.append(network)
    return sections | {"lists": {"deny": {"networks": taken}}}


def _signals(count: int) -> dict[str, Any]:
    """Return sections with so many custom signals of the kind that people write."""
    return {
        "attributes": {name: kind for name, (kind, _) in ATTRIBUTES.items()},
        "custom_signals": [
            {
                "code": f"own_{n}",
                "when": f"({WHEN[n % len(WHEN)]}) && action.amount < {n}.5",
                "weight": 0.01,
                "text": ".",
            }
            for n in range(count)
        ],
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="riskd-reload-") as work:
        found = reload_faults(Path(work))
    print(table(found))
    sys.exit(0 if all(finding.held for finding in found) else 1)
