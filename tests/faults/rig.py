"""A whole riskd to maltreat: `riskd serve` in processes of its own, with a store behind a proxy that fails on command.

Tests and `make faults` drive the same rig, so that what is measured is what is tested.
"""

import asyncio
import os
import shutil
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from riskd.policy.load import SHIPPED
from riskd.record.reader import ReadReport, find, read
from riskd.record.schema import DecisionRecord, Record
from riskd.tokens.keyfile import create_key
from tests.app.riskd import amend
from tests.command import RISKD, riskd
from tests.command import environment as environment_of
from tests.faultproxy import FaultProxy, Mode
from tests.http.servers import Running, finish
from tests.store.servers import Server

BUDGET_S = 0.3
"""The store's deadline in tests: far above what a busy machine needs, so that only real faults degrade an answer."""
DEADLINES = {"store": f"{BUDGET_S * 1000:.0f}ms", "decision": "2s"}
PATIENCE_S = 15.0
STORE_OPTIONS = ("--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "local")


class Rig:
    """One riskd on a folder of its own, started as often as a test likes."""

    def __init__(self, home: Path, **policy: object) -> None:
        """Write the shipped policy, `policy` replacing whole sections of it, and a key that may do everything."""
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.data = home / "data"
        self.log = self.data / "log"
        self.models = home / "models"
        self.errors = home / "stderr"
        self.policy = home / "riskd.yaml"
        shutil.copyfile(SHIPPED / "default.yaml", self.policy)
        self.amend(**{"anomaly": {"missing": "rules_only"}, "deadlines": DEADLINES} | policy)
        scopes = ["decide", "outcome", "policy", "admin"]
        self.key = create_key(self.data / "secrets" / "keys.json", "tests", scopes, now=datetime.now(UTC)).text
        self.environment: dict[str, str] = {}
        self.running: list[Running] = []

    def amend(self, **sections: object) -> None:
        """Replace sections of the policy."""
        amend(self.policy, **sections)

    def _variables(self, given: dict[str, str]) -> dict[str, str]:
        where = {"DATA_DIR": str(self.data), "POLICY": str(self.policy), "MODELS_DIR": str(self.models), "PORT": "0"}
        return where | self.environment | given

    def command(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run another `riskd` command to its end; `environment` without the prefix RISKD_."""
        return riskd(*words, timeout_s=PATIENCE_S * 2, **self._variables(environment))

    def start(self, workers: int = 1, **environment: str) -> Running:
        """Run `riskd serve` and wait for its ready line; it is called with the key that may do everything."""
        given = {"WORKERS": str(workers), **environment}
        with self.errors.open("ab") as errors:  # a file: a pipe that nobody reads would stop the service
            process = subprocess.Popen(
                [RISKD, "serve"],
                env=environment_of(**self._variables(given)),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        running = Running(process, 0, "", {"x-api-key": self.key})
        self.running.append(running)  # before it is ready, so that it ends with the rig whatever happens
        running.ready_line = process.stdout.readline().strip() if process.stdout else ""
        assert running.ready_line, self.errors.read_text()[-2000:]
        running.port = int(running.ready_line.partition(" key=")[0].rpartition(":")[2])
        return running

    def refuses(self, **environment: str) -> str:
        """Run `riskd serve` where it must not start; return the one line that says why."""
        ended = self.command("serve", **environment)
        lines = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
        assert (ended.returncode, ended.stdout, len(lines)) == (78, "", 1), ended.stderr
        return lines[0]

    def records(self, report: ReadReport | None = None) -> list[Record]:
        """Return all records of the log."""
        return list(read(self.log, report=report))

    def record(self, decision_id: str) -> DecisionRecord:
        """Return the record of one decision."""
        found = find(self.log, decision_id)
        assert found is not None
        return found

    def close(self) -> None:
        """End every process."""
        for running in self.running:
            finish(running)

    def __enter__(self) -> Self:
        """Hand out the rig."""
        return self

    def __exit__(self, *_: object) -> None:
        """End every process."""
        self.close()


class Proxy:
    """The fault proxy in a thread of its own, for callers that block."""

    def __init__(self, target: str | tuple[str, int], *, delay_s: float) -> None:
        self._proxy = FaultProxy(target, delay_s=delay_s)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    async def _serve(self) -> None:
        async with self._proxy:
            self._ready.set()
            await self._end.wait()

    @property
    def url(self) -> str:
        """The store's URL through the proxy."""
        return f"redis://127.0.0.1:{self._proxy.port}"

    @property
    def accepted(self) -> int:
        """Connections accepted so far."""
        return self._proxy.accepted

    def fail(self, mode: Mode) -> None:
        """Fail from now on as `FaultProxy` says."""
        self._loop.call_soon_threadsafe(self._proxy.fail, mode)

    def close(self) -> None:
        """Break all connections and end the thread."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()


class Behind(Rig):
    """A riskd whose store is a server of its own, reached over TCP through the fault proxy."""

    def __init__(self, home: Path, *, delay_s: float = BUDGET_S * 4, **policy: object) -> None:
        super().__init__(home, **policy)
        (home / "store").mkdir()
        self.store = Server(home / "store", *STORE_OPTIONS)
        self.proxy = Proxy(str(self.store.socket), delay_s=delay_s)
        self.environment["REDIS_URL"] = self.proxy.url

    def close(self) -> None:
        """End service, proxy and store."""
        super().close()
        self.proxy.close()
        self.store.kill()


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that carry these labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def login(subject: str = "ada", **context: object) -> dict[str, Any]:
    """Return the body of a login from a laptop in Britain."""
    known = {"ip": "81.2.69.142", "device_id": f"laptop-of-{subject}", "user_agent": "Mozilla/5.0 (X11; Linux x86_64)"}
    return {"subject": {"id": subject}, "action": {"name": "login"}, "context": known | context}


def decide(client: httpx.Client, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a decision; anything but a 200 fails the test."""
    answer = client.post("/decide", json=body or login())
    assert answer.status_code == 200, answer.text
    decision: dict[str, Any] = answer.json()
    return decision


def healthy(client: httpx.Client) -> bool:
    """Tell whether decisions are made with every source."""
    return decide(client)["degraded"] == []


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
