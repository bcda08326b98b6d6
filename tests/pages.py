"""Pages of docs/ whose shell blocks run as written."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"<!-- run -->\n```bash\n(.*?)```\n", re.DOTALL)


@dataclass(frozen=True)
class Page:
    """One page."""

    text: str

    @classmethod
    def of(cls, name: str) -> "Page":
        """Read a page of docs/."""
        return cls((ROOT / "docs" / name).read_text(encoding="utf-8"))

    @property
    def blocks(self) -> list[str]:
        """The blocks marked to be run."""
        return BLOCK.findall(self.text)

    @property
    def there(self) -> str:
        """The folder that the page works in: the first that it goes to."""
        return re.findall(r"cd (/\S+)", self.text)[0]

    def run(self, here: Path, timeout_s: float = 300) -> list[str]:
        """Run all blocks in one shell, in the folder `here` in place of the page's; return what each printed."""
        script = "\n".join(f"{block}\necho '\x1e'" for block in self.blocks).replace(self.there, str(here))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("RISKD_", "GIT_"))}
        environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "160"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        return done.stdout.split("\x1e")[:-1]
