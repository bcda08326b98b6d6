"""The YAML of policies: what each word means, and where it stands."""

import json
from math import inf, isnan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.policy.text import MAX_DEPTH, NotYamlError, places, read


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("NO", "NO"), ("no", "no"), ("on", "on"), ("y", "y"), ("true", True), ("FALSE", False), ("tRUE", "tRUE"),
        ("", None), ("~", None), ("null", None), ("nuLL", "nuLL"),
        ("12", 12), ("-12", -12), ("+12", 12), ("012", 12), ("0x1F", 31), ("0o17", 15), ("0b11", "0b11"),
        ("1_000", "1_000"), ("1:30", "1:30"), ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("-1e3", -1000.0),
        ("1e", "1e"), (".", "."), ("-", ["-"]), ("1e999", inf), (".inf", inf), ("-.INF", -inf), ("inf", "inf"),
        ("2026-01-01", "2026-01-01"), ("=", "="), ("'12'", "12"), ('"true"', "true"), ("|\n  5", "5"), ("5m", "5m"),
    ],
)  # fmt: skip
def test_words_mean_what_the_core_schema_says(written: str, value: object) -> None:
    """Numbers, booleans and null are those of YAML 1.2's core schema; all else is text."""
    if isinstance(value, list):  # a lone dash begins a list
        with pytest.raises(NotYamlError):
            read(f"a: {written}")
    else:
        found = read(f"a: {written}")["a"]
        assert (found, type(found)) == (value, type(value))


def test_not_a_number() -> None:
    """`.nan` is a float that is no number."""
    assert isnan(read("a: .nan")["a"])


def test_keys_are_text() -> None:
    """Whatever a key looks like, it is the text that stands there; the same text twice is a mistake."""
    assert read("1: a\nno: b\n2026-01-01: c\n~: d\n") == {"1": "a", "no": "b", "2026-01-01": "c", "~": "d"}
    with pytest.raises(NotYamlError, match="line 2: a: the key 'a' stands twice"):
        read('a: 1\n"a": 2\n')


def test_anchors_alone_are_harmless() -> None:
    """A name for a value that nobody refers to changes nothing."""
    assert read("a: &x [1, &y 2]") == {"a": [1, 2]}


def test_the_deepest_nesting() -> None:
    """Nesting as deep as allowed is read, one more is a mistake with its place."""
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(NotYamlError) as caught:
        read("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    (found,) = caught.value.mistakes
    assert (found.line, found.column, found.message) == (1, MAX_DEPTH + 1, f"nested over {MAX_DEPTH} deep")


def test_places() -> None:
    """Every wanted place is found, keys and values apart; a block that begins below stands at its key."""
    text = "a: {b: [x, yy]}\nc:\n  - d: 1\n    e:\n  - f\ng:\n  h: |\n    text\n"
    wanted = [
        ("a",),
        ("a", "b", 1),
        ("c",),
        ("c", 0, "d"),
        ("c", 0, "e"),
        ("c", 1),
        ("g", "h"),
        ("g", "i"),
        ("a", "b", 9),
    ]
    found = {path: (*place.key, *place.value) for path, place in places(text, wanted).items() if path in wanted}
    assert found == {
        ("a",): (1, 1, 1, 4),
        ("a", "b", 1): (1, 12, 1, 12),
        ("c",): (2, 1, 2, 1),
        ("c", 0, "d"): (3, 5, 3, 8),
        ("c", 0, "e"): (4, 5, 4, 7),
        ("c", 1): (5, 5, 5, 5),
        ("g", "h"): (7, 3, 7, 6),
    }


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([None, 1]))
def test_json_is_read_as_what_it_says(value: object, indent: int | None) -> None:
    """JSON is YAML, and means the same in it."""
    assert read(json.dumps({"a": value}, ensure_ascii=False, indent=indent)) == {"a": value}


@given(st.text(alphabet="{}[]:,-#&*!|>%@`'\" \n\t?~<=0123ab", max_size=40))
def test_noise_never_crashes(text: str) -> None:
    """Any text is values or a mistake."""
    try:
        read(text)
    except NotYamlError as error:
        assert error.mistakes  # noqa: PT017 - either end is fine
