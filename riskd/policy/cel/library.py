"""The one door to Google's C++ CEL: it checks expressions against typed variables, and evaluates what is left to it."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped,unused-ignore]
from msgspec import Struct

from riskd.policy.cel.cost import MAX_STEPS, bad_patterns, growing, steps
from riskd.policy.cel.mistakes import Wrong, complaints, of_type, presence_tests
from riskd.policy.cel.python import function_of, function_over, may_fail
from riskd.policy.cel.tree import CONSTANT, VARIABLE, Node, read_tree
from riskd.policy.variables import VARIABLES, Kind

REMEMBERED = 1024
"""Expressions kept compiled: a policy is checked before it is built, and built anew for every change beside them."""

_TYPES = {
    Kind.NUMBER: cel.Type.DOUBLE,
    Kind.TEXT: cel.Type.STRING,
    Kind.FLAG: cel.Type.BOOL,
    Kind.TEXTS: cel.Type.List(cel.Type.STRING),
}


class WrongExpressionError(Exception):
    """An expression that is none, or not a yes-or-no question; carries what is wrong."""

    def __init__(self, *wrong: Wrong) -> None:
        self.wrong = wrong
        super().__init__("; ".join(mistake.message for mistake in wrong))


class Expression(Struct, frozen=True):
    """A checked yes-or-no question over variables."""

    source: str
    reads: tuple[str, ...]
    """Names of the variables, in the order in which they first stand."""
    ask: Callable[..., bool]
    """Answers for the variables' values, in the order of `reads`; none may be None. Raises for an evaluation error."""
    steps: int
    """What an answer costs at most."""
    texts: tuple[str, ...]
    """Every text that is written in it."""
    native: bool
    """A plain Python function answers, not the library."""
    tree: Node

    def over(self, places: Sequence[int]) -> Callable[[Sequence[Any]], bool | None]:
        """Return a function of one sequence, in which the values stand at `places`: None while one of them is None."""
        return _sure(function_over(self.tree, self.reads, places), _fetching(self.ask, places), self.tree)


@lru_cache(maxsize=REMEMBERED)
def expression(source: str, own: tuple[tuple[str, Kind], ...] = ()) -> Expression:
    """Check an expression against all variables, and those that its policy has of its `own`.

    Raises WrongExpressionError with every mistake found, each with its place in the source.
    """
    environment, kinds = _environment(own)
    program, tree = _checked(source, environment, kinds)
    nodes = _all_of(tree)
    reads = tuple(dict.fromkeys(node.value for node in sorted(nodes, key=_place) if node.kind == VARIABLE))
    if not reads:
        raise WrongExpressionError(Wrong(0, "reads no variable: the answer would be always the same"))
    library = by_library(program, reads, [kinds[name] for name in reads])
    function = function_of(tree, reads)
    return Expression(
        source=source,
        reads=reads,
        ask=_sure(function, library, tree),
        steps=steps(tree),
        texts=tuple(node.value for node in nodes if node.kind == CONSTANT and node.type == "string"),
        native=function is not None,
        tree=tree,
    )


def _sure(function: Callable[..., Any] | None, library: Callable[..., Any], tree: Node) -> Callable[..., Any]:
    """Return the function; where it may fail, with the library behind it."""
    if function is None:
        return library
    if not may_fail(tree):
        return function

    def ask(*values: Any) -> Any:  # noqa: ANN401 - of any variables
        try:
            return function(*values)
        except ArithmeticError:
            return library(*values)

    return ask


def _fetching(ask: Callable[..., bool], places: Sequence[int]) -> Callable[[Sequence[Any]], bool | None]:
    def over(values: Sequence[Any]) -> bool | None:
        inputs = [values[place] for place in places]
        return None if None in inputs else ask(*inputs)

    return over


@lru_cache(maxsize=4)
def _environment(own: tuple[tuple[str, Kind], ...]) -> tuple[cel.Env, dict[str, Kind]]:
    kinds = {**VARIABLES, **dict(own)}
    return cel.NewEnv(variables={name: _TYPES[kind] for name, kind in kinds.items()}), kinds


def _checked(source: str, environment: cel.Env, kinds: Mapping[str, Kind]) -> tuple[cel.Expression, Node]:
    if tests := tuple(presence_tests(source)):
        raise WrongExpressionError(*tests)
    try:
        program = environment.compile(source)
    except RuntimeError as error:
        raise WrongExpressionError(*complaints(str(error), source, kinds)) from None
    tree = read_tree(program.serialize())
    if tree.type != "bool":
        raise WrongExpressionError(Wrong(0, f"yields a {of_type(tree.type) or 'value'}, where a yes or no must stand"))
    if patterns := tuple(bad_patterns(tree)):
        raise WrongExpressionError(*[Wrong(at, message) for at, message in patterns])
    if built := tuple(growing(tree)):
        raise WrongExpressionError(
            *[Wrong(at, "a loop must not put two of its items together to one text or list") for at in built]
        )
    if unknown := [node for node in _all_of(tree) if node.kind == VARIABLE and node.value not in kinds]:
        raise WrongExpressionError(*[Wrong(n.at, f"{n.value!r} names a type, which is no value here") for n in unknown])
    if (cost := steps(tree)) > MAX_STEPS:
        raise WrongExpressionError(Wrong(0, f"may take {cost:,} steps, over the budget of {MAX_STEPS:,}"))
    return program, tree


def by_library(program: cel.Expression, reads: Sequence[str], kinds: Sequence[Kind]) -> Callable[..., bool]:
    """Return a function of the variables' values that the library answers; raises ValueError for its errors."""
    taken = tuple(zip(reads, [_TAKES.get(kind) for kind in kinds], strict=True))

    def ask(*values: Any) -> bool:  # noqa: ANN401 - of any variables
        data = {name: take(value) if take else value for (name, take), value in zip(taken, values, strict=True)}
        found = program.eval(data=data).value()
        if found is True or found is False:
            return found
        raise ValueError(found)

    return ask


_TAKES: Mapping[Kind, Callable[[Any], Any]] = {Kind.NUMBER: float, Kind.TEXTS: list}
"""How values become what the library takes: whole numbers among facts are doubles to it, tuples lists."""


def _all_of(node: Node) -> list[Node]:
    return [node, *(below for child in node.children for below in _all_of(child))]


def _place(node: Node) -> int:
    return node.at


__all__ = ["Expression", "WrongExpressionError", "by_library", "expression"]
