"""What an expression costs at most, known before it ever runs.

CEL has no unbounded loops, but loops within loops multiply. So steps are counted over the tree as if every loop ran
through its whole list and nothing were cut short; lists that facts hold are as long as callers may make them.
"""

from collections.abc import Iterator
from typing import Final

import re2  # type: ignore[import-untyped,unused-ignore]

from riskd.policy.cel.tree import CALL, CONSTANT, LIST, LOOP, VARIABLE, Node

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


__all__ = ["LONGEST", "MAX_STEPS", "bad_patterns", "compiled_pattern", "steps"]
