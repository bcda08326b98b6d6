"""What commands print is their result alone: each run as a person runs it."""

import json
import subprocess
import sys
from pathlib import Path

from riskd.policy.load import SHIPPED
from tests.command import riskd


def test_a_missing_model_is_said_beside_the_json(tmp_path: Path) -> None:
    """Where the policy can do without a model, that there is none is one line on stderr; stdout is JSON alone."""
    policy = (SHIPPED / "default.yaml").read_text(encoding="utf-8") + "\nanomaly: {missing: rules_only}\n"
    (tmp_path / "riskd.yaml").write_text(policy, encoding="utf-8")
    words = ("simulate", "--out", "world", "--subjects", "100", "--days", "2", "--json")
    done = riskd(*words, cwd=tmp_path, MODELS_DIR=tmp_path / "none")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["decisions"] > 0
    assert done.stderr.startswith("riskd: no model (")
    assert done.stderr.count("\n") == 1


def test_what_a_command_logs_is_beside_what_it_prints() -> None:
    """An event that a part tells while a command runs goes to stderr, in front of no JSON."""
    told = """
import sys, structlog
from riskd.cli import main
sys.argv = ["riskd", "--version"]
try:
    main()
except SystemExit:
    structlog.get_logger().warning("lists_unreadable")
"""
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("riskd ")
    assert done.stdout.count("\n") == 1
    assert "lists_unreadable" in done.stderr
