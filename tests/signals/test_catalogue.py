"""The catalogue snapshot: the one file that changes with every signal, weight, floor, input or knob.

`python tests/signals/test_catalogue.py` writes it anew; its diff is what an operator must hear of.
"""

import json
from pathlib import Path

from riskd.signals import SIGNALS

SNAPSHOT = Path(__file__).parent / "catalogue.yaml"
HEADER = (
    "# Written by `python tests/signals/test_catalogue.py`: what each signal reads, weighs, forces and lets tune.\n"
)


def catalogue() -> str:
    """Every declared signal, by code, as YAML with one line each."""
    lines = [HEADER]
    for code, declared in sorted(SIGNALS.items()):
        said = {
            "weight": declared.weight,
            "floor": declared.floor.word,
            "reads": list(declared.reads),
            "knobs": {name: _plain(value) for name, value in declared.knobs.items()},
        }
        if declared.statistical:
            said["statistical"] = True
        if declared.dated_by is not None:
            said["dated_by"] = declared.dated_by
        lines.append(f"{code}: {json.dumps(said)}\n")
    return "".join(lines)


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, bool | int | float | str) else {}


def test_the_snapshot_is_the_catalogue() -> None:
    """The snapshot is what the signals declare: whoever changes one, changes the other knowingly."""
    assert SNAPSHOT.read_text(encoding="utf-8") == catalogue()


if __name__ == "__main__":
    SNAPSHOT.write_text(catalogue(), encoding="utf-8")
