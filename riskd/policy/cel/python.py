"""Turns the common part of CEL into a plain Python function, which answers ten times as fast as the library.

What is turned are comparisons, `&&`, `||`, `!`, `?:`, arithmetic, membership, the tests on texts, and `exists` and
`all` over lists of texts. There Python means exactly what CEL means. Only arithmetic of whole numbers can fail; then
the function raises, and the library must be asked, since to CEL an error beside what decides alone is none. All else is
left to the library from the start: conversions of texts, maps, indexes, times. A test compares the two on random
expressions.

The function is built from the checked tree, node by node; no text of the policy is ever Python.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from math import copysign, inf, isnan, nan
from typing import Any

from riskd.policy.cel.cost import compiled_pattern
from riskd.policy.cel.tree import CONSTANT, LIST, LOCAL, LOOP, VARIABLE, Node

_SCALARS = frozenset({"bool", "int", "double", "string"})
_ORDERED = ("double", "string", "bool", "int64")
_COMPARISONS: Mapping[str, type[ast.cmpop]] = {
    f"{name}_{of}": operator
    for of in _ORDERED
    for name, operator in (
        ("less", ast.Lt),
        ("less_equals", ast.LtE),
        ("greater", ast.Gt),
        ("greater_equals", ast.GtE),
    )
}
_EQUALITY: Mapping[str, type[ast.cmpop]] = {"equals": ast.Eq, "not_equals": ast.NotEq}
_ARITHMETIC: Mapping[str, type[ast.operator]] = {
    "add_double": ast.Add,
    "subtract_double": ast.Sub,
    "multiply_double": ast.Mult,
}
_WHOLE_ARITHMETIC: Mapping[str, type[ast.operator]] = {
    "add_int64": ast.Add,
    "subtract_int64": ast.Sub,
    "multiply_int64": ast.Mult,
}
_WHOLE_CALLS = {"divide_int64": "divide_whole", "modulo_int64": "modulo", "double_to_int64": "truncate"}
_FALLIBLE = frozenset({"negate_int64", *_WHOLE_ARITHMETIC, *_WHOLE_CALLS})
_LOGIC: Mapping[str, type[ast.boolop]] = {"logical_and": ast.And, "logical_or": ast.Or}
_METHODS = {"starts_with_string": "startswith", "ends_with_string": "endswith"}
_SIZES = frozenset({"size_string", "string_size", "size_list", "list_size"})
_SAME = frozenset({"double_to_double", "string_to_string", "bool_to_bool"})
_LOOPS = {("logical_or", False): "any", ("logical_and", True): "all"}


class BeyondError(Exception):
    """Something that only the library evaluates."""


def function_of(tree: Node, reads: Sequence[str]) -> Callable[..., bool] | None:
    """Return a function of the values of `reads`, in their order; None for what only the library evaluates."""
    names = _names(reads)
    return _function(tree, names, list(names.values()), lambda body: body)


def function_over(
    tree: Node, reads: Sequence[str], places: Sequence[int]
) -> Callable[[Sequence[Any]], bool | None] | None:
    """Return the same as a function of one sequence, in which the values stand at `places`: None while one is None."""
    names = _names(reads)

    def guarded(body: ast.expr) -> ast.expr:
        missing: list[ast.expr] = [
            ast.Compare(_taken(name, place), [ast.Is()], [ast.Constant(None)])
            for name, place in zip(names.values(), places, strict=True)
        ]
        return ast.IfExp(ast.BoolOp(ast.Or(), missing) if len(missing) > 1 else missing[0], ast.Constant(None), body)

    return _function(tree, names, [_VALUES], guarded)


_VALUES = "values"


def _names(reads: Sequence[str]) -> dict[str, str]:
    return {name: f"v{number}" for number, name in enumerate(reads)}


def _taken(name: str, place: int) -> ast.expr:
    return ast.NamedExpr(ast.Name(name, ast.Store()), ast.Subscript(_name(_VALUES), ast.Constant(place), ast.Load()))


def _function(
    tree: Node, names: dict[str, str], parameters: list[str], wrap: Callable[[ast.expr], ast.expr]
) -> Callable[..., Any] | None:
    maker = _Maker(names)
    try:
        body = maker.make(tree)
    except BeyondError:
        return None
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg(name) for name in parameters], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    expression = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, wrap(body))))
    made: Callable[..., Any] = eval(compile(expression, "<custom signal>", "eval"), maker.scope)  # noqa: S307 - no text
    return made


def may_fail(tree: Node) -> bool:
    """Return True when a function of the tree may raise, where only the library knows the answer."""
    return tree.overload in _FALLIBLE or any(map(may_fail, tree.children))


class _Maker:
    """Makes Python's tree of CEL's."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.scope: dict[str, Any] = {
            "__builtins__": {}, "float": float, "len": len, "any": any, "all": all, "divide": divide, "whole": whole,
            "divide_whole": divide_whole, "modulo": modulo, "truncate": truncate,
        }  # fmt: skip
        """Everything that the function can name."""

    def make(self, node: Node) -> ast.expr:
        """Make one node; raises BeyondError for what has no exact counterpart."""
        if node.kind == CONSTANT and node.type in _SCALARS:
            return ast.Constant(value=node.value)
        if node.kind == VARIABLE:
            name = _name(self.names[node.value])
            return ast.Compare(name, [ast.Is()], [ast.Constant(value=True)]) if node.type == "bool" else name
        if node.kind == LOCAL:
            return _name(f"each_{node.value}")
        if node.kind == LIST:
            constants: Any = _constants(node)
            return ast.Constant(constants)
        return self._loop(node) if node.kind == LOOP else self._call(node)

    def _call(self, node: Node) -> ast.expr:
        of, parts = node.overload, node.children
        if of in _EQUALITY and parts[0].type == parts[1].type and parts[0].type in _SCALARS:
            return self._compare(_EQUALITY[of](), *parts)
        if of in _COMPARISONS:
            return self._compare(_COMPARISONS[of](), *parts)
        if of == "in_list":
            return self._membership(*parts)
        return self._logic(node) or self._number(node) or self._whole(node) or self._text(node)

    def _logic(self, node: Node) -> ast.expr | None:
        of, parts = node.overload, node.children
        if of in _LOGIC:
            return ast.BoolOp(_LOGIC[of](), [self.make(part) for part in parts])
        if of == "logical_not":
            return ast.UnaryOp(ast.Not(), self.make(parts[0]))
        return ast.IfExp(*[self.make(part) for part in parts]) if of == "conditional" else None

    def _number(self, node: Node) -> ast.expr | None:
        """Make arithmetic of doubles; whole numbers among facts are made doubles first."""
        of, parts = node.overload, node.children
        if of in _ARITHMETIC:
            left, right = map(self._double, parts)
            return ast.BinOp(left, _ARITHMETIC[of](), right)
        if of == "divide_double":
            return _calling("divide", *map(self._double, parts))
        if of == "negate_double":
            return ast.UnaryOp(ast.USub(), self._double(parts[0]))
        if of == "int64_to_double":
            return _calling("float", self.make(parts[0]))
        return self.make(parts[0]) if of in _SAME else None

    def _whole(self, node: Node) -> ast.expr | None:
        """Make arithmetic of whole numbers: what leaves their 64 bits raises."""
        of, parts = node.overload, node.children
        if of in _WHOLE_ARITHMETIC:
            left, right = map(self.make, parts)
            return _calling("whole", ast.BinOp(left, _WHOLE_ARITHMETIC[of](), right))
        if of == "negate_int64":
            return _calling("whole", ast.UnaryOp(ast.USub(), self.make(parts[0])))
        return _calling(_WHOLE_CALLS[of], *map(self.make, parts)) if of in _WHOLE_CALLS else None

    def _double(self, node: Node) -> ast.expr:
        made = self.make(node)
        return _calling("float", made) if node.kind == VARIABLE else made

    def _text(self, node: Node) -> ast.expr:
        of, parts = node.overload, node.children
        if of == "add_string":
            left, right = map(self.make, parts)
            return ast.BinOp(left, ast.Add(), right)
        if of in _SIZES:
            return _calling("len", self.make(parts[0]))
        if of in _METHODS:
            return ast.Call(ast.Attribute(self.make(parts[0]), _METHODS[of], ast.Load()), [self.make(parts[1])], [])
        if of == "contains_string":
            return self._compare(ast.In(), parts[1], parts[0])
        if of in {"matches", "matches_string"} and parts[1].kind == CONSTANT:
            search = f"search{len(self.scope)}"
            self.scope[search] = compiled_pattern(parts[1].value).search
            return ast.Compare(_calling(search, self.make(parts[0])), [ast.IsNot()], [ast.Constant(None)])
        raise BeyondError

    def _membership(self, item: Node, of: Node) -> ast.expr:
        if of.kind == VARIABLE and item.type == "string":
            return self._compare(ast.In(), item, of)
        if of.kind == LIST and of.type == f"list({item.type})":
            constants: Any = frozenset(_constants(of))  # a constant to the compiler, though not to its type stubs
            return ast.Compare(self.make(item), [ast.In()], [ast.Constant(constants)])
        raise BeyondError

    def _loop(self, node: Node) -> ast.expr:
        """Make `exists` and `all`: their loops, and no others, join a running result and each item's test."""
        over, start, _, step, _ = node.children
        element, _ = node.value
        join = _LOOPS.get((step.overload, start.value)) if start.kind == CONSTANT else None
        if join is None or over.kind not in {VARIABLE, LIST}:
            raise BeyondError
        each = ast.comprehension(ast.Name(f"each_{element}", ast.Store()), self.make(over), [], is_async=0)
        return _calling(join, ast.GeneratorExp(self.make(step.children[1]), [each]))

    def _compare(self, operator: ast.cmpop, left: Node, right: Node) -> ast.expr:
        return ast.Compare(self.make(left), [operator], [self.make(right)])


def _constants(node: Node) -> tuple[Any, ...]:
    """Return the items of a list that is written out, all of one type."""
    if not all(item.kind == CONSTANT and item.type in _SCALARS for item in node.children):
        raise BeyondError
    if len({item.type for item in node.children}) != 1:
        raise BeyondError
    return tuple([item.value for item in node.children])


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _calling(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(_name(name), list(arguments), [])


def divide(left: float, right: float) -> float:
    """Divide as IEEE 754 has it, which CEL follows: by zero is infinite, and nothing by nothing is not a number."""
    try:
        return left / right
    except ZeroDivisionError:
        return nan if not left or isnan(left) else copysign(inf, left) * copysign(1.0, right)


def whole(value: int) -> int:
    """Return a whole number of CEL's 64 bits; raises OverflowError for any other."""
    if -(2**63) <= value < 2**63:
        return value
    raise OverflowError("beyond 64 bits")


def divide_whole(left: int, right: int) -> int:
    """Divide and drop the fraction; raises ArithmeticError by zero and for what leaves the 64 bits."""
    quotient = abs(left) // abs(right)
    return whole(quotient if (left < 0) == (right < 0) else -quotient)


def modulo(left: int, right: int) -> int:
    """Return what `divide_whole` leaves over, with the sign of the dividend."""
    return left - right * divide_whole(left, right)


def truncate(value: float) -> int:
    """Return a number without its fraction; raises OverflowError for what is no number or near the 64 bits' end."""
    if abs(value) < 2.0**62:
        return int(value)
    raise OverflowError("near the end of 64 bits")


__all__ = ["divide", "divide_whole", "function_of", "function_over", "may_fail", "modulo", "truncate", "whole"]
