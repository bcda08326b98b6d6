"""Writes thresholds into a policy file by changing the characters that say them, and none besides.

Comments, order and spelling stay. The new text is read back: it must mean the old policy with just these thresholds.
"""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from difflib import unified_diff
from io import StringIO
from pathlib import Path as File
from typing import Any

from yaml import CSafeLoader, MappingNode, Node, compose

from riskd.errors import ConfigError, PolicyError
from riskd.policy.load import parse
from riskd.policy.schema import PolicyFile, Thresholds
from riskd.policy.text import Path

Wanted = Mapping[str, float]
"""`step_up`, `deny` or both → the new value, 0 to 100."""
_MARK = "\ufeff"
"""The byte order mark that some editors begin a file with."""


def changed(text: str, wanted: Mapping[Path, Wanted], source: str) -> str:
    """Return a policy's text with other thresholds at some places (paths to the mappings that hold `thresholds`).

    Raises ConfigError where the text cannot be changed without changing more, PolicyError where it is no policy.
    """
    before = parse(text.encode(), source).file
    if text.startswith(_MARK):  # what reads YAML does not count it
        return _MARK + changed(text.removeprefix(_MARK), wanted, source)
    for path, thresholds in wanted.items():
        for key, value in thresholds.items():
            text = _set(text, path, key, value)
    try:
        after = parse(text.encode(), source).file
    except PolicyError as error:
        raise ConfigError(f"{source}: the thresholds found contradict the rest of the policy: {error}") from None
    if after.model_dump(mode="json") != _meant(before, wanted):
        raise ConfigError(f"{source}: cannot be changed in place; write thresholds there as a block of their own")
    return text


def diff(before: str, after: str, name: str) -> str:
    """Return the change as a unified diff that `git apply` and `patch -p1` take; empty when there is none.

    They take it where `name` leads from: the folder at hand, or `/` for a name that leads out of that.
    """
    name = os.path.normpath(name)
    if name.startswith(os.pardir):  # neither program follows a way up
        name = os.path.realpath(name)
    name = name.removeprefix("/")
    end = "\t" if " " in name else ""  # where a name ends that has spaces
    lines = unified_diff(_lines(before), _lines(after), f"a/{name}{end}", f"b/{name}{end}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    """Split a text where `patch` does: at line feeds, and not where Unicode or YAML has further ends of lines."""
    return StringIO(text, newline="\n").readlines()


def write(path: File, text: str) -> None:
    """Put a text in a file's place at once, with the file's permissions; raises ConfigError."""
    path = path.resolve()  # a link stays a link
    draft = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False, newline=""
        ) as file:
            draft = File(file.name)
            file.write(text)
        draft.chmod(path.stat().st_mode & 0o7777)
        draft.replace(path)
    except OSError as error:
        if draft is not None:
            with suppress(OSError):
                draft.unlink()
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def read(path: File) -> str:
    """Return a file's text with its line endings as they are; raises ConfigError."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def _meant(file: PolicyFile, wanted: Mapping[Path, Wanted]) -> dict[str, Any]:
    """Return what the policy is to mean."""
    meant: dict[str, Any] = file.model_dump(mode="json")
    for path, thresholds in wanted.items():
        at: Any = meant
        for part in path:
            at = at[part]
        # A key that a place leaves out has its default there, and is inherited.
        at["thresholds"] = (at["thresholds"] or Thresholds().model_dump()) | dict(thresholds)
    return meant


def _set(text: str, path: Path, key: str, value: float) -> str:
    """Return the text with one threshold set."""
    top = compose(text, CSafeLoader)
    rules = _at(top, path)
    section = _value(rules, "thresholds")
    said = f"{value:g}"
    if section is None:
        return _insert(text, rules, f"thresholds: {{{key}: {said}}}")
    number = _value(section, key)
    if number is None:
        return _insert(text, section, f"{key}: {said}")
    return text[: number.start_mark.index] + said + text[number.end_mark.index :]


def _at(node: Node | None, path: Path) -> MappingNode:
    for part in path:
        node = node.value[part] if isinstance(part, int) and node is not None else _value(node, str(part))
    if not isinstance(node, MappingNode):
        raise ConfigError(f"{'.'.join(map(str, path)) or 'the policy'}: is no mapping")
    return node


def _value(node: Node | None, key: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _insert(text: str, mapping: Node, entry: str) -> str:
    """Return the text with one more entry in a mapping: after the first where that is on lines of its own."""
    if not isinstance(mapping, MappingNode) or not mapping.value:
        raise ConfigError(f"line {mapping.start_mark.line + 1}: is no mapping with keys")
    first, value = mapping.value[0]
    if mapping.flow_style:
        at = value.end_mark.index
        return f"{text[:at]}, {entry}{text[at:]}"
    line_begins = first.start_mark.index - first.start_mark.column
    lead = " " * first.start_mark.column
    newline = "\r\n" if "\r\n" in text else "\n"
    if value.start_mark.line == value.end_mark.line == first.start_mark.line:
        ends = text.find("\n", value.end_mark.index)
        if ends < 0:
            return f"{text}{newline}{lead}{entry}{newline}"
        return f"{text[: ends + 1]}{lead}{entry}{newline}{text[ends + 1 :]}"
    if text[line_begins : first.start_mark.index].strip():  # `- name: …`, the dash stands before the first key
        raise ConfigError(f"line {first.start_mark.line + 1}: write thresholds there by hand first")
    return f"{text[:line_begins]}{lead}{entry}{newline}{text[line_begins:]}"
