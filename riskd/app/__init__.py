"""Composition root: builds everything once from the environment and hands it on; nothing is global.

`launch` is the parent process, `service` what each worker serves, `parts` what both and the command line open.
The parent needs none of the machinery of deciding, so nothing of it is imported before it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from riskd.app.launch import serve
    from riskd.app.parts import open_engine, open_store

__all__ = ["open_engine", "open_store", "serve"]

_HOMES = {"open_engine": "riskd.app.parts", "open_store": "riskd.app.parts", "serve": "riskd.app.launch"}


def __getattr__(name: str) -> object:
    """Import a name when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(_HOMES[name]), name)
