"""Starts whole riskds for the tests of this folder."""

import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.http.servers import Running, run, wait_ready

SERVE = """
import sys
from riskd.app import serve
from riskd.errors import ConfigError
from riskd.settings import Settings

try:
    serve(Settings())
except ConfigError as error:
    sys.exit(f"riskd: {error}")
"""


def amend(path: Path, **sections: object) -> None:
    """Replace sections of a policy file."""
    yaml = YAML()
    tree: Any = yaml.load(path)
    tree.update(sections)
    yaml.dump(tree, path)


class Riskd:
    """A riskd on one data folder, to be started and started again."""

    def __init__(self, data_dir: Path, policy: Path) -> None:
        self.data_dir = data_dir
        self.policy = policy
        self.started: list[Running] = []

    def launch(self, workers: int = 1, **environment: str) -> subprocess.Popen[str]:
        """Start it, not waiting for anything; `environment` without the prefix."""
        given = {
            "DATA_DIR": str(self.data_dir),
            "POLICY": str(self.policy),
            "MODELS_DIR": str(self.data_dir / "models"),
            "PORT": "0",
            "WORKERS": str(workers),
            **environment,
        }
        return run(SERVE, **{f"RISKD_{name}": value for name, value in given.items()})

    def start(self, workers: int = 1, **environment: str) -> Running:
        """Start it and wait until it is ready."""
        self.started.append(wait_ready(self.launch(workers, **environment)))
        return self.started[-1]
