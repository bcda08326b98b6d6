"""`RESULTS.md` beside this file: one section per kind of measurement, each replaced by its own latest run."""

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

FILE = Path(__file__).parent / "RESULTS.md"
TITLE = "# Results\n\nWritten by the bench; each section names the command that made it.\n"
PACKAGES = ("fastapi", "pydantic", "uvicorn", "uvloop", "httptools", "redis", "hiredis", "msgspec", "onnxruntime")
DAY_PACKAGES = ("scikit-learn", "geoip2", "user-agents")


def machine() -> str:
    """Name the machine, the versions and the day."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    versions = ", ".join(f"{name} {version(name)}" for name in (*PACKAGES, *DAY_PACKAGES))
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC · {cpu.group(1) if cpu else 'unknown CPU'}, {os.cpu_count()} cores · "
        f"Linux {platform.release()} · Python {platform.python_version()} · {versions}"
    )


def write_section(heading: str, body: str) -> None:
    """Put a section under `## heading`, in place of the one that stands there; the others stay."""
    text = FILE.read_text(encoding="utf-8") if FILE.exists() else TITLE
    intro, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    section = f"## {heading}\n\n{body.strip()}\n\n"
    for number, old in enumerate(sections):
        if old.startswith(f"## {heading}\n"):
            sections[number] = section
            break
    else:
        sections.append(section)
    FILE.write_text(intro.rstrip() + "\n\n" + "".join(sections).rstrip() + "\n", encoding="utf-8")
