"""The scripts, as text and as packed commands."""

from hashlib import sha1
from importlib.resources import files
from typing import Final

from msgspec import Struct
from msgspec.structs import fields

from riskd.store.attempt import Attempt, Settlement
from riskd.store.link import packed


def _locals(struct: type[Struct], argument: int) -> str:
    names = [field.name for field in fields(struct)]
    return f"local {', '.join(names)} = unpack(cmsgpack.unpack(ARGV[{argument}]), 1, {len(names)})\n"


class Script:
    """One script: its text, and the commands that run and load it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = sha1(text.encode(), usedforsecurity=False).hexdigest()  # names the script in EVALSHA

    def call(self, keys: list[str], *arguments: str | bytes | int) -> bytes:
        """Return the packed command that runs the script where it is loaded."""
        return packed("EVALSHA", self._digest, len(keys), *keys, *arguments)

    def load(self) -> bytes:
        """Return the packed command that loads the script."""
        return packed("SCRIPT", "LOAD", self._text)


def _read(name: str) -> str:
    return files("riskd.store").joinpath(name).read_text(encoding="utf-8")


OBSERVE: Final = Script(_locals(Attempt, 2) + _read("windows.lua") + _read("observe.lua"))
SETTLE: Final = Script(_locals(Attempt, 2) + _locals(Settlement, 3) + _read("settle.lua"))
ENTRIES: Final = Script(_read("entries.lua"))
SCRIPTS: Final = (OBSERVE, SETTLE, ENTRIES)
