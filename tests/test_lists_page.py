"""docs/lists.md: its commands run as written, and what it says of lists is what the code does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from riskd.policy.load import SHIPPED, parse
from riskd.policy.named import DEFAULT_EXEMPTS, MAX_INLINE, NEVER_EXEMPT
from riskd.store.entries import MAX_EXEMPTIONS, MAX_STORED

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "lists.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- run -->\n```bash\n(.*?)```\n", re.DOTALL)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run all commands in one shell, and return what each block printed."""
    home = tmp_path_factory.mktemp("lists") / "lists"
    script = "\n".join(f"{block}\necho '\x1e'" for block in BLOCK.findall(PAGE)).replace("/tmp/lists", str(home))  # noqa: S108
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RISKD_")}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "160"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("\x1e")


def test_every_command_is_run(printed: list[str]) -> None:
    """Lists are checked in their order, an entry and an exemption come and go, and the trail tells all four changes."""
    assert PAGE.count("```bash") == len(BLOCK.findall(PAGE)) == len(printed) - 1
    check, added, granted, gone = printed[:4]
    assert check.index("fraudsters") < check.index("office")
    assert "card testing" in added
    assert "on holiday" in granted
    assert re.findall(r'"change":"(\w+)"', gone) == [
        "entry_added",
        "exemption_granted",
        "entry_removed",
        "exemption_withdrawn",
    ]


def test_the_example_is_a_policy() -> None:
    """The lists shown are sound."""
    (shown,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    text = (SHIPPED / "default.yaml").read_text(encoding="utf-8")
    named = shown.partition("\n")[2]
    policy = parse(text.replace("  feeds: []\n", f"  feeds: []\n{named}").encode(), "riskd.yaml")
    assert len(policy.file.lists.named) == 6


def test_what_is_lifted_and_what_never_is() -> None:
    """The page names every signal that nothing lifts, what each list lifts by default, and the bounds."""
    _, _, first = PAGE.partition("1. **What nothing lifts.**")
    assert set(re.findall(r"`(\w+)`", first.partition("2. **")[0])) == NEVER_EXEMPT
    for of, codes in DEFAULT_EXEMPTS.items():
        (row,) = re.findall(rf"^\| `{of}` \| (`.*) \|$", PAGE, re.MULTILINE)
        assert re.findall(r"`(\w+)`", row) == list(codes)
    for bound in (MAX_INLINE, MAX_STORED, MAX_EXEMPTIONS):
        assert f"{bound:,}" in PAGE
