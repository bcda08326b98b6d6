"""The command `riskd`: one family of commands a module, each reporting one with `--json`.

Families are imported when their command is asked for, so that `riskd serve` loads nothing it does not serve with.
"""

import sys
from importlib import import_module

import structlog

from riskd.cli.root import app
from riskd.errors import RiskdError

EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: something riskd was told is wrong."""
FAMILIES = (
    *("serve", "decide", "policy", "test", "keys", "data", "store", "learn", "replay", "tune", "signing", "lists"),
    *("models", "drift", "gate", "history"),
)
_HOMES = {"serve": "serve", "health": "serve", "decide": "decide", "explain": "decide"}
_HOMES |= {"policy": "signing"} | dict.fromkeys(("check", "init", "schema", "reference"), "policy")
_HOMES |= {
    "test": "test",
    "keys": "keys",
    "data": "data",
    "store": "store",
    "replay": "replay",
    "log": "replay",
    "tune": "tune",
    "models": "models",
    "gate": "gate",
    "drift": "drift",
    "import": "history",
    "backfill": "history",
    "lists": "lists",
    "exemptions": "lists",
}


def main() -> None:
    """Run the command line; a mistake of a person is one clear line and exit code 78, never a traceback."""
    # What a command prints is its result: events of the parts it opens must not stand in its JSON.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    for family in [_HOMES[asked]] if asked in _HOMES else FAMILIES:
        import_module(f"riskd.cli.{family}")
    try:
        app()
    except RiskdError as error:
        sys.stderr.write(f"riskd: {error}\n")
        sys.exit(EXIT_CONFIG)
