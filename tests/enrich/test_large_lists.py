"""A list of a million CIDRs costs a worker at most 64 MB, also while it is read."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

MOST_MB = 64
READ = """
import json, resource, sys
from datetime import date
from pathlib import Path
import numpy
import riskd.enrich.enrich
from riskd.enrich.address import parse_address
from riskd.enrich.entries import Presented
from riskd.enrich.named import NamedLists
from riskd.policy.named import NamedList
from datetime import UTC, datetime

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

path = Path(sys.argv[1])
before = peak_mb()
declared = NamedList.model_validate({"kind": "deny", "of": "network", "file": path.name})
lists = NamedLists({"big": declared}, path.parent, lambda of, text: text)
after = peak_mb()
now = datetime(2026, 11, 2, tzinfo=UTC)
denied = [lists.facts(Presented(address=parse_address(text), asn=1), now)[0].denied for text in sys.argv[2:]]
(source,) = lists.sources()
print(json.dumps({"mb": after - before, "denied": denied, "entries": source.counts()["file"]}))
"""


def lines(version: int) -> list[str]:
    """A million different prefixes, in no order."""
    chance = random.Random(version)  # noqa: S311 - a test's dice
    if version == 4:
        bits = chance.sample(range(1 << 24), 1_000_000)
        return [f"{n >> 16}.{n >> 8 & 255}.{n & 255}.0/24\n" for n in bits]
    bits = chance.sample(range(1 << 40), 1_000_000)
    return [f"2a{n >> 32:02x}:{n >> 16 & 0xFFFF:x}:{n & 0xFFFF:x}::/64\n" for n in bits]


@pytest.mark.parametrize("version", [4, 6])
def test_a_million_cidrs(tmp_path: Path, version: int) -> None:
    """A million prefixes are read within the bound at their peak, and every one of them is found."""
    path = tmp_path / "big.txt"
    written = lines(version)
    path.write_text("".join(written), encoding="ascii")
    held = [line.partition("/")[0].removesuffix("0") + "1" for line in written[:: len(written) // 50]]
    told = subprocess.run(
        [sys.executable, "-c", READ, str(path), *held, "203.0.113.1" if version == 6 else "2001:db8::1"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(told.stdout)
    assert found["entries"] == 1_000_000
    assert found["mb"] <= MOST_MB
    assert found["denied"] == [["big"]] * len(held) + [[]]
