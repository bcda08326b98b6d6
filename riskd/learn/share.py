"""Shares and their changes, each with its 95 % interval."""

import math
from dataclasses import dataclass

Z = 1.959964
"""Two-sided 95 %."""


def read_share(text: str) -> float:
    """Return the share that somebody wrote as `1%`, `1 %` or `0.01`; raises ValueError for what is none from 0 to 1."""
    said = text.strip()
    try:
        share = float(said.removesuffix("%")) / (100 if said.endswith("%") else 1)
    except ValueError:
        raise ValueError("is no share: write 1% or 0.01") from None
    if not 0 <= share <= 1:
        raise ValueError("is not between 0% and 100%: write 1% or 0.01")
    return share


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % interval."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share, 0 when nothing was counted."""
        return self.hits / self.total if self.total else 0.0

    @property
    def cases(self) -> int:
        """How many of those counted are independent of each other."""
        return self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval (1927); the whole 0..1 when nothing was counted."""
        if not self.total:
            return 0.0, 1.0
        n, p = self.total, self.value
        centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)

    def __str__(self) -> str:
        """Readable: `96.2 % (95.1-97.0, 1203)`."""
        low, high = self.interval
        return f"{100 * self.value:.2f} % ({100 * low:.2f}-{100 * high:.2f}, n {self.total})"


@dataclass(frozen=True, slots=True)
class Change:
    """How a share changed over the very same attempts, with its 95 % interval.

    Both shares stand on the same attempts, so that even where their own intervals overlap the change may be certain.
    """

    gained: int
    """Attempts that count now and did not."""
    lost: int
    """Attempts that counted and do not any more."""
    total: int

    @property
    def value(self) -> float:
        """The change of the share, -1 to 1; 0 when nothing was counted."""
        return (self.gained - self.lost) / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Agresti and Min's interval for paired shares (Statistics in Medicine 24, 2005: half an attempt per cell)."""
        if not self.total:
            return -1.0, 1.0
        n = self.total + 2
        gained, lost = (self.gained + 0.5) / n, (self.lost + 0.5) / n
        centre = gained - lost
        half = Z * math.sqrt((gained + lost - centre**2) / n)
        return max(-1.0, centre - half), min(1.0, centre + half)
