"""A model of all three parts (likelihood core, forest, head), trained as a user would, to see what serving it costs."""

import json
import subprocess
import sys
from pathlib import Path

from riskd.anomaly.load import load_manifest

RISKD = str(Path(sys.executable).parent / "riskd")
SUBJECTS, DAYS, SEED = 6000, 120, 3


def three_parts(work: Path) -> Path:
    """Return the models folder, its current model one with a head; raises RuntimeError where labels did not do."""
    month, models = work / "month", work / "three"
    size = ("--subjects", str(SUBJECTS), "--days", str(DAYS), "--seed", str(SEED))
    _run("simulate", "--out", str(month), *size)
    told = json.loads(
        _run("train", "--log", str(month), "--source", "a bench", "--models", str(models), "--head", "--json")
    )
    if load_manifest(models, (models / "CURRENT").read_text(encoding="ascii").strip()).head is None:
        raise RuntimeError(f"no head was fitted: {told.get('no_head')}")
    return models


def _run(*words: str) -> str:
    return subprocess.run([RISKD, *words], check=True, stdout=subprocess.PIPE, text=True).stdout
