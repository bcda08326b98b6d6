"""What is wrong with an expression, in words: the library's complaints, each with its place and the way out."""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final, NamedTuple

from riskd.policy.finding import nearest

MAX_WRONG: Final = 5
"""Mistakes told of one expression: one too many brackets is one mistake, whatever follows from it."""
_ALIKE: Final = 0.8
"""How much alike a wrong and a right name must be: there are more of them than of other words."""

FUNCTIONS: Final = (
    "all", "bool", "bytes", "contains", "double", "duration", "dyn", "endsWith", "exists", "exists_one", "filter",
    "int", "map", "matches", "size", "startsWith", "string", "timestamp", "type", "uint",
)  # fmt: skip

_COMPLAINT = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '\((.*)\)'")
_OPERAND = re.compile(r"expression of type '([^']*)' cannot be the operand of a select operation")
_RANGE = re.compile(r"expression of type '([^']*)' cannot be the range of a comprehension")
_INPUT = re.compile(r"(?:mismatched|extraneous) input '(.*?)' expecting|token recognition error at: '(.*)'")
_WORDS: Final = {
    "double": "number", "int": "whole number", "uint": "unsigned whole number", "string": "text", "bool": "flag",
    "null_type": "null", "bytes": "bytes", "dyn": "value of any type",
}  # fmt: skip
_SPELT: Final = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!"}
_WHOLE = re.compile(r"\s*(-?\d+)(?![\d.eExu])")
_WHOLE_ITEM = re.compile(r"\s*\[[^\]]*?(?<![\w.])(-?\d+)(?![\d.eExu])")
_WHOLE_BEFORE = re.compile(r"(?<![\w.])(-?\d+)\s*$")
_NAME_BEFORE = re.compile(r"[\w.]*$")
_QUOTED = re.compile(r"""(?s)'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|//[^\n]*""")
_HAS = re.compile(r"\bhas\s*\(")


class Wrong(NamedTuple):
    """One mistake in an expression."""

    at: int
    """Where in the expression, counted in characters from 0."""
    message: str
    nearest: tuple[str, ...] = ()
    """The nearest right words, best first."""


def complaints(said: str, source: str, names: Collection[str]) -> tuple[Wrong, ...]:
    """Read what the library said of a source: each mistake once, in the order of their places."""
    found: dict[int, Wrong] = {}
    starts = [0]
    for text in source.split("\n"):
        starts.append(starts[-1] + len(text) + 1)
    for line, column, message in ((int(a), int(b), c) for a, b, c in _COMPLAINT.findall(said)):
        at = starts[line - 1] + column - 1 if 0 < line < len(starts) else 0
        wrong = _wrong(at, message, source, names)
        found.setdefault(wrong.at, wrong)
    if not found or "recursion" in said:
        return (Wrong(0, "nested over 32 deep" if "recursion" in said else " ".join(said.split())[:200]),)
    if "yntax error" in said:  # what follows a syntax error is seldom another one
        return (min(found.values()),)
    return tuple(sorted(found.values())[:MAX_WRONG])


def presence_tests(source: str) -> Iterator[Wrong]:
    """Yield each `has()`, which variables with dots in their names do not obey."""
    bare = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), source)
    for found in _HAS.finditer(bare):
        yield Wrong(found.start(), "has() is not needed: while something that it reads is missing, a signal is unknown")


def of_type(name: str) -> str:
    """Say a type in words."""
    if name.startswith("list("):
        return f"list of {of_type(name[5:-1])}s" if name != "list()" else "list"
    return _WORDS.get(name, name)


def _wrong(at: int, message: str, source: str, names: Collection[str]) -> Wrong:
    readers: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], int, str, Collection[str]], Wrong]], ...] = (
        (_UNDECLARED, _undeclared), (_OVERLOAD, _overload), (_OPERAND, _operand), (_RANGE, _range), (_INPUT, _input),
    )  # fmt: skip
    for pattern, read in readers:
        if found := pattern.search(message):
            return read(found, at, source, names)
    plain = message.removesuffix(" [INVALID_ARGUMENT]").removeprefix("Syntax error: ").partition(" expecting {")[0]
    return Wrong(at, plain.replace("at '<EOF>'", "at the end")[:200])


def _undeclared(found: re.Match[str], at: int, source: str, names: Collection[str]) -> Wrong:
    name = found[1].lstrip(".")
    if source[at : at + 1] == "(":
        return _function(name, _back(at, name, source))
    at = _back(at, name.rpartition(".")[0], source)
    if members := [known for known in names if known.startswith(f"{name}.")]:
        return Wrong(at, f"{name!r} is a group: write one of its members", tuple(members[:2]))
    if name in _SPELT:
        return Wrong(at, f"write {_SPELT[name]} for {name!r}")
    right = _nearest(name, names)
    if name.startswith("attributes."):
        return Wrong(at, f"the attribute {name[11:]!r} is not declared under `attributes`", right)
    return Wrong(at, f"no such variable: {name!r}", right)


def _function(name: str, at: int) -> Wrong:
    if name in FUNCTIONS:
        return Wrong(at, f"{name}() does not take this number of arguments")
    return Wrong(at, f"no such function: {name!r}", nearest(name, FUNCTIONS, 0.6))


def _nearest(name: str, names: Collection[str]) -> tuple[str, ...]:
    """Find names that are written alike, then those whose last part is like the whole or its last part."""
    close = list(nearest(name, names, _ALIKE))
    by_last: dict[str, list[str]] = {}
    for known in names:
        by_last.setdefault(known.rpartition(".")[2], []).append(known)
    for part in (name.replace(".", "_"), name.rpartition(".")[2]):  # device.known_days is features.device_known_days
        for last in nearest(part, by_last, _ALIKE):
            close.extend(by_last[last])
    return tuple(dict.fromkeys(close))[:2]


def _back(at: int, word: str, source: str) -> int:
    """Return where a word begins that ends at a place."""
    start = at - len(word)
    return start if start >= 0 and source[start:at] == word else at


def _overload(found: re.Match[str], at: int, source: str, _: Collection[str]) -> Wrong:
    called, types = found[1], _split(found[2])
    sign = "in" if called == "@in" else called.strip("_")
    said = [of_type(name) for name in types]
    if called == "_?_:_":
        if types[0] != "bool":
            return Wrong(at, f"before `?` stands a {said[0]}, where a flag must")
        return Wrong(at, f"a {said[1]} and a {said[2]} on the two sides of `:`, which must be alike")
    if not called.startswith(("_", "@", "!", "-")):
        return Wrong(_back(at, called, source), f"{called}() does not take ({', '.join(said)})")
    if set(types) == {"double", "int"} or types == ["double", "list(int)"]:
        return _whole(at, sign, source)
    absent = "nothing is ever null: while something that it reads is missing, a signal is unknown"
    return Wrong(at, absent if "null_type" in types else f"`{sign}` does not take a {' and a '.join(said)}")


def _whole(at: int, sign: str, source: str) -> Wrong:
    """Say the way out where a number meets a whole number: the most common mistake of all."""
    after = _WHOLE.match(source, at + len(sign)) or (sign == "in" and _WHOLE_ITEM.match(source, at + len(sign)))
    before = _WHOLE_BEFORE.search(source, 0, at)
    if literal := after or before:
        said = f"numbers have a decimal point: write {literal[1]}.0"
        return Wrong(literal.start(1), said)
    return Wrong(at, f"`{sign}` does not take a number and a whole number: write double(…) around the whole number")


def _operand(found: re.Match[str], at: int, source: str, _: Collection[str]) -> Wrong:
    field = re.match(r"\.\s*(\w+)", source[at:])
    name = field[1] if field else ""
    hint = f": write {name}()" if name in FUNCTIONS else ""
    return Wrong(at + 1 if field else at, f"a {of_type(found[1])} has no field {name!r}{hint}")


def _range(found: re.Match[str], at: int, source: str, _: Collection[str]) -> Wrong:
    before = _NAME_BEFORE.search(source, 0, at)
    return Wrong(before.start() if before else at, f"goes through a {of_type(found[1])}, which is no list")


def _input(found: re.Match[str], at: int, source: str, _: Collection[str]) -> Wrong:
    word = (found[1] or found[2] or "").strip()
    if word == "<EOF>":
        return Wrong(len(source.rstrip()), "ends too early")
    before = next(iter(source[:at].split()[-1:]), "")
    if before in _SPELT and word not in _SPELT:
        word, at = before, source.rindex(before, 0, at)
    if word in _SPELT:
        return Wrong(at, f"write {_SPELT[word]} for {word!r}")
    hints = {"=": "write == to compare", "&": "write &&", "|": "write ||"}
    quote = f"unexpected text {word[:40]}: does its closing quote stand on the same line?"
    hint = hints.get(word[:1]) or (quote if word[:1] in {"'", '"'} else f"unexpected {word[:40]!r}")
    return Wrong(at, hint)


def _split(types: str) -> list[str]:
    """Split a list of types at its outer commas."""
    parts, depth = [""], 0
    for letter in types:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


__all__ = ["FUNCTIONS", "Wrong", "complaints", "of_type", "presence_tests"]
