"""Mistakes in expressions: told in words, at the word that is wrong, with the way out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskd.policy.cel import FUNCTIONS, MAX_STEPS, Wrong, WrongExpressionError, expression
from riskd.policy.variables import Kind

OWN = (("attributes.plan", Kind.TEXT), ("attributes.items", Kind.NUMBER), ("attributes.gift", Kind.FLAG))
TEN = "[1,2,3,4,5,6,7,8,9,10]"

MISTAKES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    # expression: (the text that begins at the place, part of the message, nearest words)
    "action.amout > 500.0": ("action.amout", "no such variable: 'action.amout'", ("action.amount", "features.amount")),
    "network.tor && action . amout > 1.0": (". amout", "no such variable", ("action.amount", "features.amount")),
    "amount > 3.0": ("amount >", "no such variable: 'amount'", ("action.amount", "features.amount")),
    "device.known_days < 1.0": (
        "device.known",
        "no such variable",
        ("features.device_known_days", "history.device_known_age_s"),
    ),
    "nowhere.near > 1.0": ("nowhere", "no such variable: 'nowhere.near'", ()),
    "action == 1": ("action", "'action' is a group", ("action.name", "action.amount")),
    'attributes["plan"] == "x"': ("attributes", "'attributes' is a group", ("attributes.plan", "attributes.items")),
    'attributes.plam == "x"': ("attributes.plam", "'plam' is not declared under `attributes`", ("attributes.plan",)),
    "foo(action.amount)": ("foo", "no such function: 'foo'", ()),
    'attributes.plan.startswith("x")': ("startswith", "no such function: 'startswith'", ("startsWith",)),
    "size(attributes.plan, 1) > 2": ("size", "size() does not take this number of arguments", ()),
    "attributes.plan.startsWith(1)": ("startsWith(1", "startsWith() does not take (text, whole number)", ()),
    "action.amount > 500": ("500", "numbers have a decimal point: write 500.0", ()),
    "500 < action.amount": ("500", "write 500.0", ()),
    "action.amount * -2 < 1.0": ("-2", "write -2.0", ()),
    "action.amount in [100.0] || action.amount in [1, 2]": ("1, 2", "write 1.0", ()),
    "size(attributes.plan) > action.amount": ("> action", "write double(…) around the whole number", ()),
    'attributes.plan + 1 == "x"': ("+", "`+` does not take a text and a whole number", ()),
    "!attributes.plan": ("!", "`!` does not take a text", ()),
    'network.tor in ["x"]': ("in", "`in` does not take a flag and a list of texts", ()),
    "attributes.plan == null": ("==", "nothing is ever null", ()),
    "attributes.plan.size > 3": ("size > 3", "a text has no field 'size': write size()", ()),
    'attributes.plan.exists(p, p == "a")': ("attributes", "goes through a text, which is no list", ()),
    "action.amount ? true : false": ("?", "before `?` stands a number, where a flag must", ()),
    "network.tor ? action.amount > 1.0 : 3.0": ("?", "a flag and a number on the two sides of `:`", ()),
    "action.amount + 1.0": ("action", "yields a number, where a yes or no must stand", ()),
    "subject.amr": ("subject", "yields a list of texts", ()),
    '{"a": network.tor}': ("{", "yields a value", ()),
    "has(attributes.plan) || network.tor": ("has", "has() is not needed", ()),
    "network.tor and network.proxy": ("and", "write && for 'and'", ()),
    "network.tor OR network.proxy": ("OR", "write || for 'OR'", ()),
    "not network.tor": ("not", "write ! for 'not'", ()),
    "network.tor || not": ("not", "write ! for 'not'", ()),
    "network.tor = true": ("=", "write == to compare", ()),
    "network.tor & network.proxy": ("&", "write &&", ()),
    "network.tor | network.proxy": ("|", "write ||", ()),
    'attributes.plan == "x': ('"x', "closing quote", ()),
    "action.amount >": ("", "ends too early", ()),
    "(network.tor": ("", "missing ')' at the end", ()),
    "network.tor)": (")", "unexpected ')'", ()),
    "network.tor @ 3": ("@", "unexpected '@'", ()),
    "type(action.name) == string": ("string", "'string' names a type", ()),
    "size([int]) > 0 && network.tor": ("int", "'int' names a type", ()),
    "[action.name].map(a, a + a).exists(a, size(a) > 5)": ("+ a)", "two of its items together", ()),
    "[[network.tor]].map(a, a + a).size() > 1": ("+ a)", "two of its items together", ()),
    "[network.tor].map(a, [a, a]).size() > 1": ("[a, a]", "two of its items together", ()),
    "[dyn(action.name)].map(a, a + a).size() > 1": ("+ a)", "two of its items together", ()),
    "true": ("true", "reads no variable", ()),
    '"a" == "b"': ('"a"', "reads no variable", ()),
    'attributes.plan.matches("^f(r|e")': ('"^f', "not a pattern (RE2): missing )", ()),
    "attributes.plan.matches(attributes.plan)": ("attributes.plan)", "must be written out", ()),
    f'attributes.plan.matches("{"a" * 201}")': ('"a', "longer than 200 characters", ()),
    r'attributes.plan.matches("\\pL{1000}")': ('"', "pattern too large", ()),
    'attributes.plan == "😀é" && q': ("q", "no such variable: 'q'", ()),
    "network.tor &&\n  action.amout > 1.0": ("action.amout", "no such variable", ("action.amount", "features.amount")),
    "9223372036854775808 > size(attributes.plan)": ("9223", "invalid int literal", ()),
    "subject.amr.all(x)": ("all", "all() does not take this number of arguments", ()),
}


@pytest.mark.parametrize("source", MISTAKES)
def test_every_mistake_is_told_at_its_word(source: str) -> None:
    """The place is where the wrong word begins, the message says the way out, the nearest right words follow."""
    begins, message, nearest = MISTAKES[source]
    with pytest.raises(WrongExpressionError) as caught:
        expression(source, OWN)
    wrong = next(found for found in caught.value.wrong if message in found.message)
    assert source[wrong.at :].startswith(begins)
    assert (wrong.at < len(source)) == bool(begins)
    assert wrong.nearest[: len(nearest)] == nearest
    assert len(caught.value.wrong) <= 5


BOMBS = {
    "loops in loops": f"{TEN}.all(a,{TEN}.all(b,{TEN}.all(c,{TEN}.all(d, a+b+c+d > size(subject.amr)))))",
    "maps in maps": f"{TEN}.map(a,{TEN}.map(b,{TEN}.map(c,{TEN}.map(d, subject.type)))).size() > 0",
    "a loop over a loop": f"{TEN}.map(a,{TEN}.map(b,b)).exists(l,{TEN}.exists(n,{TEN}.all(m,m+n>size(subject.amr))))",
    "a loop over a map": f"{{'a': {TEN}}}.all(k,{TEN}.all(b,{TEN}.all(c, k == subject.type)))",
    "loops over lists of facts": "subject.amr.exists(a, network.listed.exists(b, network.listed.exists(c, a == c)))",
}
DEEP = {
    "brackets": "(" * 900 + "network.tor" + ")" * 900,
    "lists": "[" * 900 + "]" * 900 + " == []",
    "a sum": "1.0+" * 400 + "action.amount > 1.0",
    "branches": "network.tor ? (" * 100 + "true" + ") : false" * 100,
}


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_unlit(source: str) -> None:
    """Loops within loops are over the budget before anything runs."""
    with pytest.raises(WrongExpressionError, match=r"steps, over the budget of"):
        expression(source, OWN)


@pytest.mark.parametrize("source", DEEP.values(), ids=DEEP)
def test_what_is_nested_too_deep_is_refused(source: str) -> None:
    """Brackets, lists, sums and branches nested over 32 deep are one mistake."""
    with pytest.raises(WrongExpressionError, match="nested over 32 deep"):
        expression(source, OWN)


def test_steps_count_every_round_of_a_loop() -> None:
    """A loop over sixteen methods costs sixteen rounds, a pattern more than a comparison, and all within the budget."""
    plain = expression('subject.type == "a"').steps
    loop = expression('subject.amr.exists(m, m == "a")').steps
    pattern = expression('subject.type.matches("a")').steps
    assert plain < pattern < loop < MAX_STEPS
    assert expression("subject.amr.exists(m, subject.enrolled_factors.exists(f, f == m))").steps < MAX_STEPS


def test_every_function_that_is_suggested_exists() -> None:
    """What the reference names as a function is one: with wrong arguments it is told so, never as unknown."""
    for name in FUNCTIONS:
        with pytest.raises(WrongExpressionError) as caught:
            expression(f"{name}() && network.tor", OWN)
        assert "no such function" not in str(caught.value)


TOKENS = st.sampled_from(
    [
        "network.tor", "action.amount", "attributes.plan", "subject.amr", "x", ".", "(", ")", "[", "]", "{", "}", ",",
        ":", "?", "&&", "||", "!", "==", "!=", "<", ">", "in", "+", "-", "*", "/", "%", "1", "1.0", "1u", "'a'", '"b"',
        "b'c'", "null", "true", "has(", "size(", ".exists(x,", ".map(", ".all(x,", "matches(", "\n", "//", "é", "😀",
        "\\", "'", '"', "@", "#", "=", "&", "|", "and", "not", "or",
    ]
)  # fmt: skip
shapeless = st.one_of(
    st.lists(TOKENS, max_size=25).map(" ".join), st.lists(TOKENS, max_size=25).map("".join), st.text(max_size=60)
)


@settings(max_examples=500, deadline=None)
@given(shapeless)
def test_whatever_is_written_is_an_expression_or_a_mistake(source: str) -> None:
    """No text crashes the checker, what is accepted reads something, and every mistake has its place in the text."""
    wrong: tuple[Wrong, ...] = ()
    try:
        assert expression(source, OWN).reads
    except WrongExpressionError as error:
        wrong = error.wrong
    assert all(0 <= mistake.at <= len(source) and 0 < len(mistake.message) < 300 for mistake in wrong)
