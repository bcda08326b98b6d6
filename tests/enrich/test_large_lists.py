"""A list of a million CIDRs costs a worker at most 64 MB: while it is read, and while another takes its place."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

MOST_MB = 64
READ = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
import numpy
import riskd.enrich.enrich
from riskd.enrich.address import parse_address
from riskd.enrich.entries import Presented
from riskd.enrich.named import NamedLists
from riskd.policy.named import NamedList

def peak_mb():  # getrusage would tell the peak of who started this, too
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

folder, held = Path(sys.argv[1]), json.loads(sys.argv[2])
now = datetime(2026, 11, 2, tzinfo=UTC)

def read(name, kind, like=None):
    declared = NamedList.model_validate({"kind": kind, "of": "network", "file": name})
    return NamedLists({"big": declared}, folder, lambda of, text: text, like=like)

def denied(lists):
    return [lists.facts(Presented(address=parse_address(text), asn=1), now)[0].denied == ("big",) for text in held]

peaks = [peak_mb()]
first = read("1.txt", "deny")
peaks.append(peak_mb())
again = read("1.txt", "allow", like=first)
peaks.append(peak_mb())
second = read("2.txt", "deny", like=again)
peaks.append(peak_mb())
counts = [source.counts()["file"] for lists in (first, second) for source in lists.sources()]
print(json.dumps({"mb": [peak - peaks[0] for peak in peaks], "denied": [denied(first), denied(second)], "of": counts}))
"""


def lines(version: int, half: int) -> list[str]:
    """A million different prefixes, in no order, of one half of the addresses."""
    chance = random.Random(version)  # noqa: S311 - a test's dice
    bits = chance.sample(range(half, 1 << (24 if version == 4 else 40), 2), 1_000_000)
    if version == 4:
        return [f"{n >> 16}.{n >> 8 & 255}.{n & 255}.0/24\n" for n in bits]
    return [f"2a{n >> 32:02x}:{n >> 16 & 0xFFFF:x}:{n & 0xFFFF:x}::/64\n" for n in bits]


@pytest.mark.parametrize("version", [4, 6])
def test_a_million_cidrs(tmp_path: Path, version: int) -> None:
    """A million prefixes are read within the bound, and so are others beside them; to share them costs nothing."""
    held = []
    for number in (1, 2):
        written = lines(version, number - 1)
        (tmp_path / f"{number}.txt").write_text("".join(written), encoding="ascii")
        held += [line.partition("/")[0].removesuffix("0") + "1" for line in written[::20_000]]
    held.append("2001:db8::1" if version == 4 else "203.0.113.1")
    told = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path), json.dumps(held)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(told.stdout)
    assert found["of"] == [1_000_000, 1_000_000]
    assert found["denied"] == [[True] * 50 + [False] * 51, [False] * 50 + [True] * 50 + [False]]
    _, first, again, second = found["mb"]
    assert again - first < 1
    assert second <= MOST_MB
