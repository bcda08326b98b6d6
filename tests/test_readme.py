"""The README's commands run as written on the real service, and answer what the README shows."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- run -->\n```bash\n(?P<command>.*?)```\n(?:```json\n(?P<shown>.*?)```)?", re.DOTALL)
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Step:
    """One command of the README, what it printed, and what the README shows of that."""

    command: str
    shown: dict[str, Any] | None
    printed: str


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Step]]:
    """Run all of the README's commands in one shell against a service of their own."""
    data = tmp_path_factory.mktemp("readme")
    environment = {**os.environ, "RISKD_DATA_DIR": str(data), "RISKD_PORT": "0", "PATH": f"{BIN}:{os.environ['PATH']}"}
    service = subprocess.Popen(
        [BIN / "riskd", "serve"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert service.stdout is not None
        ready = service.stdout.readline()
        found = re.fullmatch(r"riskd ready: (?P<url>\S+) key=(?P<key>\S+)\n", ready)
        assert found, ready
        blocks = list(BLOCK.finditer(README))
        script = "\n".join(f"{b['command']}\necho '\x1e'" for b in blocks)
        # The one thing that differs from a newcomer's shell: where this test's service keeps its data and listens.
        script = script.replace("http://127.0.0.1:8000", found["url"]).replace("data/secrets", f"{data}/secrets")
        done = subprocess.run(
            ["bash", "-euc", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        printed = done.stdout.split("\x1e")
        yield [
            Step(b["command"], json.loads(b["shown"]) if b["shown"] else None, p)
            for b, p in zip(blocks, printed, strict=False)
        ]
    finally:
        service.send_signal(signal.SIGTERM)
        service.communicate(timeout=20)


def _assert_shows(shown: Any, real: Any) -> None:  # noqa: ANN401 - any JSON
    """Everything shown is in the real answer: keys by name, reasons by code, other values equal."""
    if isinstance(shown, dict):
        for key, value in shown.items():
            _assert_shows(value, real[key])
    elif isinstance(shown, list) and shown and isinstance(shown[0], dict):
        by_code = {item["code"]: item for item in real}
        for item in shown:
            _assert_shows(item, by_code[item["code"]])
    else:
        assert shown == real


def test_every_shown_answer_is_what_the_service_says(steps: list[Step]) -> None:
    """Allow for the known laptop, step_up for the new device abroad, deny for the stuffing bot."""
    shown = [step for step in steps if step.shown]
    assert [step.shown["decision"] for step in shown if step.shown] == ["allow", "step_up", "deny"]
    for step in shown:
        _assert_shows(step.shown, json.loads(step.printed.strip().splitlines()[-1]))


def test_explain_tells_the_whole_story(steps: list[Step]) -> None:
    """The explanation of the denied bot names hits, clears and unknowns with what is missing."""
    story = steps[-1].printed
    for word in ("deny", "password_spray", "hit", "clear", "unknown", "missing:"):
        assert word in story
