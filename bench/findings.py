"""What a fault case showed, beside what it is held to."""

from dataclasses import dataclass
from statistics import quantiles

from paced import Sent


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the table."""

    case: str
    what: str
    measured: str
    bound: str
    held: bool


def percentile_ms(sent: list[Sent], percent: int) -> float:
    """Return a percentile of the latency, ms; 0 of nothing."""
    if len(sent) < 2:
        return sent[0].latency_s * 1e3 if sent else 0.0
    return quantiles([one.latency_s for one in sent], n=100)[percent - 1] * 1e3


def table(findings: list[Finding]) -> str:
    """Return the findings as a table in Markdown."""
    rows = ["| case | what | measured | bound | held |", "|:--|:--|--:|--:|:--|"]
    rows += [f"| {f.case} | {f.what} | {f.measured} | {f.bound} | {'yes' if f.held else '**no**'} |" for f in findings]
    return "\n".join(rows)
