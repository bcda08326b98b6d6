"""Expressions as they are asked: the plain functions mean what the library means, and errors stay errors."""

from contextlib import suppress
from math import copysign, inf, isnan, nan
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from riskd.policy.cel import Expression, WrongExpressionError, by_library, expression
from riskd.policy.cel.library import _environment
from riskd.policy.cel.python import divide, divide_whole, modulo, truncate, whole
from riskd.policy.cel.tree import read_tree
from riskd.policy.variables import VARIABLES, Kind

OWN = tuple(
    (f"attributes.{name}", kind)
    for name, kind in (
        ("n", Kind.NUMBER), ("m", Kind.NUMBER), ("s", Kind.TEXT), ("t", Kind.TEXT), ("f", Kind.FLAG), ("g", Kind.FLAG),
    )
)  # fmt: skip
KINDS = {**VARIABLES, **dict(OWN)}
SIGNS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
NUMBER_CONSTANTS = st.sampled_from(["0.0", "1.0", "-1.5", "0.1", "1e308", "5e-324", "-0.0", "1e999"])
TEXT_CONSTANTS = st.sampled_from(['""', '"a"', '"ab"', '"é"', '"😀b"', "'b'", r'"\u00e9"', 'r"a"'])


def some(constants: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Write a list of constants."""
    return st.lists(constants, min_size=1, max_size=3).map(lambda items: f"[{', '.join(items)}]")


def written(pattern: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Write parts into a pattern."""
    return st.tuples(*parts).map(lambda found: pattern.format(*found))


def questions(depth: int) -> st.SearchStrategy[str]:
    """Yes-or-no questions of everything that becomes a plain function."""
    leaf = st.sampled_from(["true", "false", "attributes.f", "attributes.g"])
    if depth == 0:
        return leaf
    q, n, t = questions(depth - 1), numbers(depth - 1), texts(depth - 1)
    method, loop = st.sampled_from(["startsWith", "endsWith", "contains"]), st.sampled_from(["exists", "all"])
    return st.one_of(
        leaf,
        written("(!{})", q),
        written("({} {} {})", q, st.sampled_from(["&&", "||", "==", "!=", "<", ">="]), q),
        written("({} ? {} : {})", q, q, q),
        written("({} {} {})", wholes(depth - 1), SIGNS, wholes(depth - 1)),
        written("({} {} {})", n, SIGNS, n),
        written("({} {} {})", t, SIGNS, t),
        written("({} in {})", n, some(NUMBER_CONSTANTS)),
        written("({} in {})", t, some(TEXT_CONSTANTS)),
        written("({} in subject.amr)", t),
        written("{}.{}({})", t, method, t),
        written("{}.matches({})", t, st.sampled_from(['"a+"', '"^b$"', '"."', '"(?i)AB"', '"[^a]"'])),
        written("subject.amr.{}(m, m {} {} && {})", loop, SIGNS, t, q),
        written("{}.{}(m, m {} {} || {})", some(TEXT_CONSTANTS), loop, SIGNS, t, q),
        written("(size({}) {} 1)", t, SIGNS),
        written("(subject.amr.size() {} 1)", SIGNS),
    )


def numbers(depth: int) -> st.SearchStrategy[str]:
    """Numbers, made by arithmetic."""
    leaf = st.one_of(NUMBER_CONSTANTS, st.sampled_from(["attributes.n", "attributes.m", "history.confirmed"]))
    if depth == 0:
        return leaf
    n = numbers(depth - 1)
    return st.one_of(
        leaf,
        written("({} {} {})", n, st.sampled_from(["+", "-", "*", "/"]), n),
        written("(-{})", n),
        written("double(size({}))", texts(depth - 1)),
        written("({} ? {} : {})", questions(depth - 1), n, n),
    )


def wholes(depth: int) -> st.SearchStrategy[str]:
    """Whole numbers, whose arithmetic fails by zero and beyond 64 bits."""
    leaf = st.sampled_from(["0", "1", "-3", "9223372036854775807", "size(attributes.s)", "size(subject.amr)"])
    if depth == 0:
        return leaf
    w = wholes(depth - 1)
    return st.one_of(
        leaf,
        written("({} {} {})", w, st.sampled_from(["+", "-", "*", "/", "%"]), w),
        written("(-{})", w),
        written("int({})", numbers(depth - 1)),
    )


def texts(depth: int) -> st.SearchStrategy[str]:
    """Texts, joined and chosen."""
    leaf = st.one_of(TEXT_CONSTANTS, st.sampled_from(["attributes.s", "attributes.t"]))
    if depth == 0:
        return leaf
    t = texts(depth - 1)
    return st.one_of(leaf, written("({} + {})", t, t), written("({} ? {} : {})", questions(depth - 1), t, t))


VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.NUMBER: st.sampled_from([0.0, 1.0, -1.5, 1e308, inf, nan, -0.0, 2.5, 0.1, 3]),
    Kind.TEXT: st.sampled_from(["", "a", "ab", "é", "😀b", "B"]),
    Kind.FLAG: st.booleans(),
    Kind.TEXTS: st.lists(st.sampled_from(["a", "b", "é", ""]), max_size=3).map(tuple),
}


def answered(ask: Any, *values: Any) -> Any:  # noqa: ANN401
    """The answer, or the kind of error."""
    try:
        return ask(*values)
    except ValueError:
        return "error"


def sound(source: str) -> Expression | None:
    """The expression; None for one that reads nothing or loops too often."""
    with suppress(WrongExpressionError):
        return expression(source, OWN)
    return None


@settings(max_examples=400, deadline=None)
@given(questions(3), st.data())
def test_plain_functions_mean_what_the_library_means(source: str, data: st.DataObject) -> None:
    """Every expression of the common part has a plain function, and for all values it answers as C++ CEL does."""
    made = sound(source)
    assume(made is not None)
    assert made is not None
    assert made.native
    kinds = [KINDS[name] for name in made.reads]
    program = _environment(OWN)[0].compile(source)
    library = by_library(program, made.reads, kinds)
    over = made.over(range(1, len(kinds) + 1))
    for _ in range(3):
        values = [data.draw(VALUES[kind]) for kind in kinds]
        truth = answered(library, *values)
        assert answered(made.ask, *values) is truth
        assert answered(over, [None, *values]) is truth


LEFT_TO_THE_LIBRARY = {
    "int(attributes.s) == 2": ("2", True),
    'string(attributes.n) == "2.5"': (2.5, True),
    'subject.amr == ["a"]': (("a",), True),
    'subject.amr[0] == "a"': (("b",), False),
    'subject.amr.filter(m, m == "a").size() == 2': (("a", "a", "b"), True),
    'subject.amr.exists_one(m, m == "a")': (("a", "a"), False),
    '{"gold": 3.0, "free": 1.0}[attributes.s] > 2.0': ("gold", True),
    "attributes.n in [1.0, 2]": (2.0, True),
    'attributes.s in subject.amr.map(m, m + "x")': None,
    'duration(attributes.s) > duration("1h")': ("90m", True),
    "[attributes.n, 1.0].exists(x, x > 2.0)": (3.0, True),
    "dyn(attributes.n) == 3": (3.0, True),
    "dyn(attributes.n) == null": (3.0, False),
    "uint(attributes.n) == 3u": (3.0, True),
    'b"a" == bytes(attributes.s)': ("a", True),
    '[1, "a"].exists(x, x == attributes.s)': ("a", True),
    '"b" in {"a": attributes.f}': (True, False),
}  # fmt: skip


@pytest.mark.parametrize("source", LEFT_TO_THE_LIBRARY)
def test_the_rest_is_left_to_the_library(source: str) -> None:
    """Conversions of texts, maps, indexes and loops that make lists are answered by the library."""
    made = expression(source, OWN)
    assert not made.native
    case = LEFT_TO_THE_LIBRARY[source]
    if case is None:
        assert made.ask("ax", ("a",)) is True
        return
    value, holds = case
    assert made.ask(value) is holds
    assert made.over([2])([0, 0, value]) is holds
    assert made.over([2])([0, 0, None]) is None


FAILS = {
    'subject.amr[3] == "a"': ("a",),
    "1 / size(subject.amr) == 1": (),
    "int(attributes.s) > 3": "x",
    '{"gold": 3.0}[attributes.s] > 2.0': "free",
    "int(attributes.n) > 3": 1e300,
    "size(attributes.s) * 9223372036854775807 > 0": "ab",
}


@pytest.mark.parametrize("source", FAILS)
def test_an_evaluation_error_raises(source: str) -> None:
    """An index, key, conversion or sum that fails is an error, whichever way the expression is asked."""
    made = expression(source, OWN)
    with pytest.raises(ValueError, match=r"\w"):
        made.ask(FAILS[source])
    with pytest.raises(ValueError, match=r"\w"):
        made.over([0])([FAILS[source]])


def test_an_error_beside_what_decides_alone_is_none() -> None:
    """CEL's `&&` and `||` do not care which side comes first, nor for an error that cannot change the answer."""
    for source in ("1 / size(subject.amr) == 1 || attributes.f", "attributes.f || 1 / size(subject.amr) == 1"):
        made = expression(source, OWN)
        assert made.ask(*[() if name == "subject.amr" else True for name in made.reads]) is True


def test_what_an_expression_reads() -> None:
    """Variables are named once, in the order in which they first stand; the names of loops are none."""
    made = expression("attributes.n > 1.0 && subject.amr.exists(s, s == attributes.s) && attributes.n < 9.0", OWN)
    assert made.reads == ("attributes.n", "subject.amr", "attributes.s")
    assert expression('.action.name == "a" && "b" != subject.type').texts == ("a", "b")
    shadowed = expression("subject.amr.exists(anomaly_score, anomaly_score == subject.type)")
    assert shadowed.reads == ("subject.amr", "subject.type")
    assert shadowed.ask(("a", "b"), "b") is True


def test_any_missing_input_is_unknown() -> None:
    """While one input is None the answer is None, whatever the others would say."""
    over = expression("attributes.f || attributes.g", OWN).over([1, 0])
    assert [over(values) for values in ([None, True], [True, None], [False, True], [False, False])] == [
        None, None, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), [(1.0, 0.0), (-1.0, 0.0), (1.0, -0.0), (0.0, 0.0), (nan, 0.0), (3.0, 2.0)])
def test_division_is_that_of_ieee_754(left: float, right: float) -> None:
    """By zero is infinite, with the signs multiplied; zero by zero is not a number."""
    found = divide(left, right)
    if right:
        assert found == left / right
    elif not left or isnan(left):
        assert isnan(found)
    else:
        assert found == inf * left * copysign(1.0, right)


@pytest.mark.parametrize(
    ("left", "right", "quotient", "rest"), [(7, 2, 3, 1), (-7, 2, -3, -1), (7, -2, -3, 1), (-7, -2, 3, -1)]
)
def test_whole_numbers_are_divided_toward_zero(left: int, right: int, quotient: int, rest: int) -> None:
    """The fraction is dropped, and what is left over has the dividend's sign."""
    assert (divide_whole(left, right), modulo(left, right)) == (quotient, rest)


def test_whole_numbers_have_64_bits() -> None:
    """What does not fit, a division by zero and what is no number are errors."""
    assert (whole(2**63 - 1), whole(-(2**63)), truncate(-2.9), truncate(2.9)) == (2**63 - 1, -(2**63), -2, 2)
    with pytest.raises(ArithmeticError):
        whole(2**63)
    with pytest.raises(ArithmeticError):
        divide_whole(1, 0)
    for value in (nan, inf, -inf, 2.0**63):
        with pytest.raises(ArithmeticError):
            truncate(value)


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_can_be_asked(name: str) -> None:
    """An expression over any one variable is accepted and has a plain function."""
    asks = {Kind.NUMBER: " > 1.0", Kind.TEXT: ' == "a"', Kind.FLAG: "", Kind.TEXTS: ".size() > 1"}
    made = expression(f"{name}{asks[VARIABLES[name]]}")
    assert (made.reads, made.native) == ((name,), True)


def test_a_foreign_serialization_is_refused() -> None:
    """What is no checked expression is an error, not a tree."""
    with pytest.raises(ValueError, match="wire type"):
        read_tree(b"\x12\x02\x0b\x00")
