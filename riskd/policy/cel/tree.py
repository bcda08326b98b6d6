"""A checked CEL expression as a tree, read from the library's own serialized form.

That form is Google's `cel.expr.CheckedExpr` message (cel-spec, proto/cel/expr/checked.proto and syntax.proto) inside an
`Any`. It names for every node what the type checker found: which variable it is, which overload is called, of which
type it is, and where in the text it stands. Only the fields used here are read, by protobuf's wire format.
"""

from collections.abc import Callable, Iterator
from struct import unpack
from typing import Any

from msgspec import Struct

CONSTANT, VARIABLE, LOCAL, CALL, LIST, LOOP, OTHER = "constant", "variable", "local", "call", "list", "loop", "other"

_PRIMITIVES = {1: "bool", 2: "int", 3: "uint", 4: "double", 5: "string", 6: "bytes"}

_KINDS = {6: CALL, 7: LIST}
_PARTS = {5: (1,), 6: (1, 3), 7: (1,), 8: (3, 4)}
"""Numbers of the fields that hold expressions: of a field's selection, a call, a list and an entry of a map."""


class Node(Struct, frozen=True):
    """One node of the tree."""

    kind: str
    """One of the words above; `other` for what only the library itself evaluates."""
    at: int
    """Where it stands in the text, counted in characters from 0; of an operator, the operator."""
    type: str
    """`double`, `string`, `bool`, `int`, `list(string)` …; empty for what has no name here."""
    value: Any = None
    """Of a constant the constant; of a variable or local its name; of a loop the names of its element and of its
    running result."""
    overload: str = ""
    """Of a call, what is called: `greater_double`, `starts_with_string` …"""
    children: tuple["Node", ...] = ()
    """Arguments of a call, its target first; items of a list; of a loop its range, the start of the running result,
    the condition to go on, the step and the result."""


def read_tree(serialized: bytes) -> Node:
    """Return the tree of a serialized checked expression."""
    message = _one(serialized, 2)
    reader = _Reader(
        references=dict(_entry(value, _reference) for value in _all(message, 2)),
        types=dict(_entry(value, _type) for value in _all(message, 3)),
        places=dict(_entry(value, int) for value in _all(_one(message, 5), 4)),
    )
    return reader.node(_one(message, 4), frozenset())


class _Reader:
    """Reads nodes; knows what the checker found of each by its id."""

    def __init__(self, references: dict[int, tuple[str, str]], types: dict[int, str], places: dict[int, int]) -> None:
        self._references = references
        self._types = types
        self._places = places

    def node(self, message: bytes, local: frozenset[str]) -> Node:
        """Return the node of an `Expr` message; `local` are the names that loops around it give."""
        parts = dict(_fields(message))
        key = parts.pop(2, 0)
        number, found = next(iter(parts.items()), (0, b""))
        at, kind = self._places.get(key, 0), self._types.get(key, "")
        name, overload = self._references.get(key, ("", ""))
        if number == 3:
            return Node(CONSTANT, at, kind, _constant(found))
        if number in {4, 5} and name:
            name = name.lstrip(".")
            is_local = number == 4 and name in local
            # The library points at the last dot of a name.
            return Node(
                LOCAL if is_local else VARIABLE, max(0, at - name.rfind(".")) if "." in name else at, kind, name
            )
        if number == 9:
            return self._loop(found, at, kind, local)
        return Node(_KINDS.get(number, OTHER), at, kind, overload=overload, children=self._parts(number, found, local))

    def _parts(self, number: int, message: bytes, local: frozenset[str]) -> tuple[Node, ...]:
        """Read what stands within: the operand of a field, the arguments of a call, items, the entries of a map."""
        entries = _all(message, 2) if number == 8 else [message]
        wanted = _PARTS.get(number, ())
        return tuple([self.node(value, local) for entry in entries for of, value in _fields(entry) if of in wanted])

    def _loop(self, message: bytes, at: int, kind: str, local: frozenset[str]) -> Node:
        parts = dict(_fields(message))
        names = (parts[1].decode(), parts[3].decode())
        inner = local.union(names)
        outside = (self.node(parts[2], local), self.node(parts[4], local))
        inside = tuple([self.node(parts[number], inner) for number in (5, 6, 7)])
        return Node(LOOP, at, kind, names, children=(*outside, *inside))


def _constant(message: bytes) -> Any:  # noqa: ANN401 - any constant
    number, value = next(_fields(message))
    if number == 3:
        return value - 2**64 if value >= 2**63 else value
    reads: dict[int, Callable[[Any], Any]] = {2: bool, 4: int, 5: float, 6: bytes.decode, 7: bytes}
    return reads[number](value) if number in reads else None


def _reference(message: bytes) -> tuple[str, str]:
    overloads = _all(message, 3)
    # More than one stands where only the values decide which is called.
    return _one(message, 1).decode(), overloads[0].decode() if len(overloads) == 1 else ""


def _type(message: bytes) -> str:
    found: tuple[int, Any] = next(_fields(message), (0, None))
    number, value = found
    if number == 6:
        return f"list({_type(_one(value, 1))})"
    return _PRIMITIVES.get(value, "") if number == 3 else ""


def _entry(message: bytes, read: Callable[[Any], Any]) -> tuple[int, Any]:
    """Read one entry of a map from node ids; protobuf may leave out what is 0 or empty."""
    parts = dict(_fields(message))
    return parts.get(1, 0), read(parts.get(2, 0 if read is int else b""))


def _one(message: bytes, wanted: int) -> bytes:
    return next(iter(_all(message, wanted)), b"")


def _all(message: bytes, wanted: int) -> list[bytes]:
    return [value for number, value in _fields(message) if number == wanted]


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield a message's fields: number and value, an int for a varint, a float for 64 bits, else the bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
        elif wire == 1:
            at += 8
            yield key >> 3, unpack("<d", message[at - 8 : at])[0]
        elif wire == 2:
            size, at = _varint(message, at)
            at += size
            yield key >> 3, message[at - size : at]
        else:
            raise ValueError(f"protobuf wire type {wire} in a checked expression")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


__all__ = ["CALL", "CONSTANT", "LIST", "LOCAL", "LOOP", "OTHER", "VARIABLE", "Node", "read_tree"]
