"""What an expression costs at most, known before it ever runs.

CEL has no unbounded loops, but loops within loops multiply. So steps are counted over the tree as if every loop ran
through its whole list and nothing were cut short; lists that facts hold are as long as callers may make them.
"""

from collections.abc import Iterator
from typing import Final

import re2  # type: ignore[import-untyped,unused-ignore]

from riskd.policy.cel.tree import CALL, CONSTANT, LIST, LOCAL, LOOP, OTHER, VARIABLE, Node

MAX_STEPS: Final = 5_000
"""Steps that one expression may cost; the library takes some 0.1 µs for a step."""
MAX_PATTERN: Final = 200
"""Characters of a pattern for `matches`."""
LONGEST_LIST: Final = 64
LONGEST: Final = {"subject.amr": 16, "subject.enrolled_factors": 32}
"""Most items of the lists that callers send."""

_MATCHES = ("matches", "matches_string")
_STEPS = {"matches": 50, "matches_string": 50, "contains_string": 5, "add_string": 5}
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20


def steps(node: Node) -> int:
    """Return how many steps a tree costs at most."""
    if node.kind == LOOP:
        over, start, condition, step, result = node.children
        each = steps(condition) + steps(step)
        return steps(over) + steps(start) + _longest(over) * each + steps(result)
    own = _STEPS.get(node.overload, 1)
    if node.overload == "in_list":
        own = _longest(node.children[1])
    return own + sum(map(steps, node.children))


def _longest(node: Node) -> int:
    """Return how many items a list may have."""
    if node.kind == LIST:
        return len(node.children)
    if node.kind == VARIABLE:
        return LONGEST.get(node.value, LONGEST_LIST)
    if node.kind == LOOP:  # `map` and `filter` yield at most an item for each
        return _longest(node.children[0])
    return sum(map(_longest, node.children)) or LONGEST_LIST


def growing(node: Node, *, repeated: bool = False) -> Iterator[int]:
    """Yield the place of each text or list that a loop builds of an item and an item again.

    What one loop doubles the next one doubles again, so that a short expression could fill the memory.
    """
    if repeated and _appends(node):
        yield from (at for item in node.children[1].children for at in growing(item, repeated=True))
        return
    if repeated and _builds(node) and _items(node) > 1:
        yield node.at
        return
    for number, child in enumerate(node.children):
        yield from growing(child, repeated=repeated or (node.kind == LOOP and number in _REPEATED))


_REPEATED = (2, 3)
"""Which children of a loop run once for each item."""
_RESULT = "@result"
"""What the library calls a loop's running result."""


def _appends(node: Node) -> bool:
    """Whether `map` or `filter` itself adds one item to its result here."""
    if node.overload != "add_list":
        return False
    result, added = node.children
    return result.kind == LOCAL and result.value == _RESULT and added.kind == LIST


def _builds(node: Node) -> bool:
    if node.kind in {LIST, OTHER}:
        return True
    # Where only the values decide what is called, it may be the addition of texts or lists.
    return node.overload in {"add_string", "add_bytes", "add_list"} or (node.kind == CALL and not node.overload)


def _items(node: Node) -> int:
    """Return how often an item of a loop stands beneath."""
    return int(node.kind == LOCAL and node.value != _RESULT) + sum(map(_items, node.children))


def bad_patterns(node: Node) -> Iterator[tuple[int, str]]:
    """Yield place and fault of each pattern that is none: it would fail, or be compiled, at every attempt."""
    if node.kind == CALL and node.overload in _MATCHES:
        fault = _fault_of(node.children[1])
        if fault:
            yield node.children[1].at, fault
    for child in node.children:
        yield from bad_patterns(child)


def _fault_of(pattern: Node) -> str:
    if pattern.kind != CONSTANT:
        return "the pattern of matches() must be written out, so that it can be checked"
    if len(pattern.value) > MAX_PATTERN:
        return f"the pattern is longer than {MAX_PATTERN} characters"
    try:
        compiled_pattern(pattern.value)
    except re2.error as error:
        said = error.args[0]
        return f"not a pattern (RE2): {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    return ""


def compiled_pattern(pattern: str) -> re2._Regexp:
    """Compile a pattern for `matches`; raises re2.error for what is none or takes over 1 MB."""
    return re2.compile(pattern, _OPTIONS)


__all__ = ["LONGEST", "MAX_STEPS", "bad_patterns", "compiled_pattern", "growing", "steps"]
