"""The command `riskd` as a person runs it: in a process of its own, with nothing set but what a test sets."""

import os
import subprocess
import sys
from pathlib import Path

RISKD = Path(sys.executable).parent / "riskd"


def environment(**variables: object) -> dict[str, str]:
    """Return the environment with no variable of riskd's but these, named without the prefix RISKD_."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("RISKD_")}
    return others | {f"RISKD_{name}": str(value) for name, value in variables.items()} | {"COLUMNS": "100"}


def riskd(
    *words: object, cwd: Path | None = None, timeout_s: float = 120, **variables: object
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever it ends with."""
    command = [RISKD, *map(str, words)]
    env = environment(**variables)
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout_s, check=False)
