"""Reads the YAML of a policy: its plain values, and where each stands when a mistake asks for it.

This is YAML 1.2 with its core schema (`NO` is Norway), less what a policy has no use for: aliases, tags and further
documents are mistakes, and so is a key that stands twice. Keys are text whatever they look like. libyaml does the
scanning; places are not kept but found by reading again, since most files have no mistake.
"""

import re
from collections.abc import Iterable
from math import inf, nan
from typing import Any, Final, NamedTuple

from yaml import (
    AliasEvent,
    CSafeLoader,
    MappingEndEvent,
    MarkedYAMLError,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from riskd.errors import Mistake

MAX_DEPTH: Final = 32
MAX_DUPLICATES: Final = 100
"""Keys that stand twice are all named up to this number."""

Path = tuple[str | int, ...]
"""Keys and item numbers from the top of the file to one value."""
Wanted = dict[str | int, "Wanted"]
"""Paths as a tree: which places are to be found."""

_WORDS: Final[dict[str, bool | float | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": inf, ".Inf": inf, ".INF": inf, "+.inf": inf, "+.Inf": inf, "+.INF": inf,
    "-.inf": -inf, "-.Inf": -inf, "-.INF": -inf, ".nan": nan, ".NaN": nan, ".NAN": nan,
}  # fmt: skip
_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


class Spot(NamedTuple):
    """A line and a column, both 1-based."""

    line: int
    column: int


class Place(NamedTuple):
    """Where a value stands."""

    key: Spot
    """Its key, or itself where it is an item of a list."""
    value: Spot
    """Itself; its key where it begins on a line below."""
    text: str = ""
    """Of a piece of text the text."""
    begins: int = 0
    ends: int = 0
    """Where it is written, counted in characters from the file's start."""


class NotYamlError(Exception):
    """A text that is not the YAML of a policy; carries what is wrong."""

    def __init__(self, *mistakes: Mistake) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(map(str, mistakes)))


def read(text: str) -> Any:  # noqa: ANN401 - YAML holds anything
    """Return what the text says in dicts, lists, text, numbers, booleans and None; raises NotYamlError."""
    walk = _Walk(text, {})
    value = walk.document()
    if walk.duplicates:
        raise NotYamlError(*walk.duplicates)
    return value


def places(text: str, paths: Iterable[Path]) -> dict[Path, Place]:
    """Return where the values on these paths stand, and all above them; a path that the text lacks has no place."""
    wanted: Wanted = {}
    for path in paths:
        inner = wanted
        for part in path:
            inner = inner.setdefault(part, {})
    walk = _Walk(text, wanted)
    walk.document()
    return walk.places


class _Walk:
    """Goes through the parser's events once."""

    def __init__(self, text: str, wanted: Wanted) -> None:
        self._text = text
        self._wanted = wanted
        self.duplicates: list[Mistake] = []
        self.places: dict[Path, Place] = {}

    def document(self) -> Any:  # noqa: ANN401
        try:
            self._next = CSafeLoader(self._text).get_event
            self._next()
            start = self._next()
            if isinstance(start, StreamEndEvent):
                return None
            version = getattr(start, "version", None)
            if version not in {None, (1, 2)}:
                raise _at(start, f"asks for YAML {version[0]}.{version[1]}; policies are YAML 1.2")
            value = self._value(self._next(), self._wanted, ())
            self._next()
            if not isinstance(after := self._next(), StreamEndEvent):
                raise _at(after, "a second document begins here; a policy is one")
        except MarkedYAMLError as error:
            raise self._not_yaml(error) from None
        except ReaderError as error:
            line = self._text.encode()[: error.position].count(b"\n") + 1
            raise NotYamlError(Mistake(line, "", f"not YAML: {error.reason}")) from None
        return value

    def _not_yaml(self, error: MarkedYAMLError) -> NotYamlError:
        mark: Any = error.problem_mark
        if "nesting depth" in str(error.problem):  # some versions of the scanner give up by themselves
            return NotYamlError(Mistake(mark.line + 1, "", f"nested over {MAX_DEPTH} deep", column=mark.column + 1))
        at_fault = self._text[mark.index : mark.index + 1]
        said = str(error.problem).replace("found character that", f"found character {at_fault!r} that")
        return NotYamlError(Mistake(mark.line + 1, "", f"not YAML: {said}", column=mark.column + 1))

    def _value(self, event: Any, wanted: Wanted, path: Path) -> Any:  # noqa: ANN401
        if event.__class__ is ScalarEvent:
            return _scalar(event)
        if event.__class__ is AliasEvent:
            raise _at(event, "aliases (*name) are not allowed: write it out")
        if event.tag is not None:
            raise _tagged(event)
        if len(path) >= MAX_DEPTH:
            raise _at(event, f"nested over {MAX_DEPTH} deep")
        if event.__class__ is SequenceStartEvent:
            return self._items(wanted, path)
        return self._mapping(wanted, path)

    def _items(self, wanted: Wanted, path: Path) -> list[Any]:
        items: list[Any] = []
        take, add = self._next, items.append
        while (event := take()).__class__ is not SequenceEndEvent:
            number = len(items)
            if number in wanted:
                self.places[*path, number] = Place(_spot(event), _spot(event), *_extent(event))
            if event.__class__ is ScalarEvent:
                add(_scalar(event))
            else:
                add(self._value(event, wanted.get(number, {}), (*path, number)))
        return items

    def _mapping(self, wanted: Wanted, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        take = self._next
        while (named := take()).__class__ is not MappingEndEvent:
            if named.__class__ is not ScalarEvent:
                raise _at(named, "a key must be text, not a mapping, list or alias")
            key = named.value
            if key in values and len(self.duplicates) < MAX_DUPLICATES:
                line, column = _spot(named)
                self.duplicates.append(
                    Mistake(line, ".".join(map(str, (*path, key))), f"the key {key[:60]!r} stands twice", column=column)
                )
            event = take()
            if key in wanted:
                below = event.__class__ is not ScalarEvent and not getattr(event, "flow_style", True)
                self.places[*path, key] = Place(_spot(named), _spot(named if below else event), *_extent(event))
            if event.__class__ is ScalarEvent:
                values[key] = _scalar(event)
            else:
                values[key] = self._value(event, wanted.get(key, {}), (*path, key))
        return values


def _scalar(event: Any) -> str | float | bool | None:  # noqa: ANN401 - libyaml's event
    """Return what a scalar means by YAML 1.2's core schema."""
    text: str = event.value
    if event.tag is not None:
        raise _tagged(event)
    if not event.implicit[0]:  # quoted, or a block of text
        return text
    if text[:1] in "+-.0123456789":
        if _INT.fullmatch(text):
            try:
                return int(text, 0) if text[:2] in {"0x", "0o"} else int(text)
            except ValueError:
                raise _at(event, f"a number of {len(text)} digits") from None
        if _FLOAT.fullmatch(text):
            return float(text)
    return _WORDS.get(text, text)


def _tagged(event: Any) -> NotYamlError:  # noqa: ANN401
    return _at(
        event, f"tags ({event.tag.replace('tag:yaml.org,2002:', '!!')[:60]}) are not allowed: quote what is text"
    )


def _at(event: Any, message: str) -> NotYamlError:  # noqa: ANN401
    line, column = _spot(event)
    return NotYamlError(Mistake(line, "", message, column=column))


def _extent(event: Any) -> tuple[str, int, int]:  # noqa: ANN401
    return getattr(event, "value", ""), event.start_mark.index, event.end_mark.index


def _spot(event: Any) -> Spot:  # noqa: ANN401
    mark = event.start_mark
    return Spot(mark.line + 1, mark.column + 1)


__all__ = ["MAX_DEPTH", "NotYamlError", "Path", "Place", "Spot", "places", "read"]
