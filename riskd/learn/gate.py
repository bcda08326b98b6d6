"""The gate of a build: plays a world against a policy and a model, and says which shares left their bands.

A band is broken when the whole 95 % interval of a share lies outside of it. The seed makes a run repeatable, but not
its figures certain: another policy catches other ones of some dozens of attacks, and a point estimate would fail builds
for that. What lies outside by so little that it may be chance is said, and passes; a share of nothing, of fewer than
`LEAST_CASES` subjects, or of so few attempts that no outcome could have broken its band, fails as well, and says that
it is too few: it holds nobody to anything.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

from riskd.anomaly.model import Model
from riskd.learn.bands import Band, Bands
from riskd.learn.evaluate import Evaluated, evaluate
from riskd.learn.share import Share
from riskd.learn.simulate.chosen import rates_of
from riskd.learn.simulate.run import simulate
from riskd.learn.simulate.stream import Size
from riskd.policy import Policy

RATE = 20.0
"""Attacks of each kind per thousand honest logins: enough of them to measure in a world that is played in a minute."""
LEAST_CASES = 5
"""Subjects of fewer of whom no band is said to be held or broken: what happens to one of them is no rate."""
HISTORY_SHARE = 0.5
"""Of the days that are played, those that only build up history."""

Status = Literal["held", "unsure", "broken", "untold"]
"""Within its band; outside, but perhaps by chance; outside for certain; too few attempts to tell."""
_AND_SO: dict[Status, str] = {
    "held": "",
    "unsure": "; outside, but it may be chance: more --subjects or --days tell",
    "broken": "",
    "untold": "; too few to tell: more --subjects, --days or --rate",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One share against its band."""

    name: str
    """`honest logins`, `takeover stopped` …"""
    share: Share
    band: Band

    @property
    def status(self) -> Status:
        """How the share stands to its band."""
        least, most = self.band.least or 0.0, 1.0 if self.band.most is None else self.band.most
        low, high = self.share.interval
        if self.share.cases < LEAST_CASES:
            return "untold"
        if high < least or low > most:
            return "broken"
        none, all_ = Share(0, self.share.total), Share(self.share.total, self.share.total)
        if (least > 0 and none.interval[1] >= least) or (most < 1 and all_.interval[0] <= most):
            return "untold"
        return "held" if least <= self.share.value <= most else "unsure"

    @property
    def fails(self) -> bool:
        """Whether a build must not pass."""
        return self.status in {"broken", "untold"}

    def __str__(self) -> str:
        """One line: what was measured, the band, and what follows."""
        return f"{self.name}: {self.share}, the band is {self.band}{_AND_SO[self.status]}"


@dataclass(frozen=True, slots=True)
class Gated:
    """What a gate found."""

    verdicts: tuple[Verdict, ...]
    decisions: int
    """Decisions judged."""
    policy_revision: str
    model_version: str | None

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """What must not pass."""
        return tuple(verdict for verdict in self.verdicts if verdict.fails)

    def to_json(self) -> dict[str, Any]:
        """Return all as plain values."""
        return {
            "passed": not self.failed,
            "decisions": self.decisions,
            "policy_revision": self.policy_revision,
            "model_version": self.model_version,
            "bands": [
                {
                    "name": verdict.name,
                    "status": verdict.status,
                    "hits": verdict.share.hits,
                    "total": verdict.share.total,
                    "share": verdict.share.value,
                    "interval": list(verdict.share.interval),
                    "least": verdict.band.least,
                    "most": verdict.band.most,
                }
                for verdict in self.verdicts
            ],
        }

    def junit(self, begun: datetime) -> bytes:
        """Return JUnit XML: a test for each band."""
        broken = sum(verdict.status == "broken" for verdict in self.verdicts)
        untold = sum(verdict.status == "untold" for verdict in self.verdicts)
        counts = {"tests": str(len(self.verdicts)), "failures": str(broken), "errors": str(untold)}
        root = ET.Element("testsuites", {"name": "riskd gate"} | counts)
        when = f"{begun.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
        about = {"name": f"policy {self.policy_revision}", "timestamp": when, "hostname": "localhost", "skipped": "0"}
        suite = ET.SubElement(root, "testsuite", about | counts)
        for verdict in self.verdicts:
            test = ET.SubElement(suite, "testcase", {"name": verdict.name, "classname": "riskd.gate"})
            if verdict.fails:
                tag = "failure" if verdict.status == "broken" else "error"
                ET.SubElement(test, tag, {"message": str(verdict), "type": f"Band{verdict.status.capitalize()}"})
            else:
                ET.SubElement(test, "system-out").text = str(verdict)
        ET.indent(root)
        document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
        return document + b"\n"


def gate(policy: Policy, model: Model | None, bands: Bands, size: Size, *, rate: float = RATE) -> Gated:
    """Play a world with the attackers that the bands name, and judge its later half.

    Raises ValueError for a size that cannot be played.
    """
    with tempfile.TemporaryDirectory(prefix="riskd-gate-") as folder:
        done = simulate(Path(folder) / "world", size, policy, model, rates=rates_of(tuple(bands.stopped), rate=rate))
        since = done.begins + timedelta(days=size.days * HISTORY_SHARE)
        found = evaluate(done.log, done.truth, since=since)
    return Gated(
        verdicts=tuple(judge(found, bands)),
        decisions=found.decisions,
        policy_revision=policy.revision,
        model_version=None if model is None else model.version,
    )


def judge(found: Evaluated, bands: Bands) -> Iterator[Verdict]:
    """Yield a verdict for each band.

    Where an attacker was in, a step-up of the owner is wanted, and attacks are far more frequent here than in life; so
    logins after an attack on the account do not count as friction.
    """
    after = found.after_attack
    honest = bands.honest
    logins = Share(found.honest_logins.hits - after.hits, found.honest_logins.total - after.total)
    for name, share, band in (
        ("honest logins", logins, honest.logins),
        ("honest logins denied", found.honest_denied, honest.denied),
        ("honest actions", found.honest_actions, honest.actions),
    ):
        if band is not None:
            yield Verdict(name, share, band)
    for attacker, band in bands.stopped.items():
        yield Verdict(f"{attacker} stopped", found.stopped.get(attacker.replace("-", "_"), Share(0, 0)), band)
