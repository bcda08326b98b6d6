"""What expressions may read: every fact, every feature, and how they are fetched."""

from datetime import UTC, datetime
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings

from riskd.contract import Subject
from riskd.facts import Facts
from riskd.features import FEATURES, Fault
from riskd.policy.cel import LONGEST
from riskd.policy.variables import FACT_GROUPS, FEATURE, VARIABLES, Kind, Reader, input_of, known_part, shown
from riskd.signals import INPUTS
from tests.attempts import attempt, history
from tests.test_evaluation import attempts

NESTED = {"history.places", "history.sessions"}
FETCHED = [name for name in VARIABLES if input_of(name) is None]


def test_every_fact_and_feature_is_a_variable() -> None:
    """Nothing that is known of an attempt is left out, but for what has no name of its own."""
    facts = {f"{name}.{field}" for name, group in FACT_GROUPS.items() for field in get_type_hints(group)}
    assert facts - NESTED <= set(VARIABLES)
    assert {f"{FEATURE}{name}" for name in FEATURES} <= set(VARIABLES)
    assert {"anomaly_score", "time.hour", "time.weekday"} <= set(VARIABLES)


def test_inputs_of_built_in_signals_are_not_fetched_twice() -> None:
    """A feature and the anomaly score are found where built-in signals find them."""
    assert [input_of(f"{FEATURE}{name}") for name in FEATURES] == list(range(len(FEATURES)))
    assert INPUTS[input_of("anomaly_score") or 0] == "anomaly_score"


@settings(max_examples=60, deadline=None)
@given(attempts)
def test_every_variable_holds_what_it_says(facts: Facts) -> None:
    """Each value is of its variable's kind or None, in the order of the names."""
    reader = Reader(FETCHED, {}, {})
    values, faulty = reader(facts)
    assert (sorted(reader.names), faulty) == (sorted(FETCHED), False)
    for name, value in zip(reader.names, values, strict=True):
        group, _, field = name.partition(".")
        if group != "time":
            found = getattr(facts, group)
            assert value == (None if found is None else getattr(found, field))
        classes = {Kind.NUMBER: (int, float), Kind.TEXT: (str,), Kind.FLAG: (bool,), Kind.TEXTS: (tuple,)}
        assert value is None or type(value) in classes[VARIABLES[name]]


def test_a_missing_group_is_unknown() -> None:
    """While the store is down everything of the history is None."""
    reader = Reader(["history.confirmed", "subject.type", "payload.elsewhere", "history.failures_1h"], {}, {})
    assert reader.names == ("history.confirmed", "history.failures_1h", "subject.type", "payload.elsewhere")
    assert reader(attempt())[0] == [None, None, "user", None]
    assert reader(attempt(history=history(confirmed=3)))[0][:2] == [3, 0]


def test_the_moment() -> None:
    """Hour and weekday are those of the attempt in UTC; Monday is 1."""
    monday = datetime(2026, 11, 2, 23, 59, tzinfo=UTC)
    assert Reader(["time.weekday", "time.hour"], {}, {})(attempt(time=monday))[0] == [1.0, 23.0]


@pytest.mark.parametrize(
    ("kind", "value", "right"),
    [
        (Kind.NUMBER, 3, True), (Kind.NUMBER, 2.5, True), (Kind.NUMBER, True, False), (Kind.NUMBER, "3", False),
        (Kind.TEXT, "3", True), (Kind.TEXT, 3, False), (Kind.FLAG, False, True), (Kind.FLAG, 0, False),
        (Kind.FLAG, "true", False),
    ],
)  # fmt: skip
def test_an_attribute_of_another_kind_is_a_fault(kind: Kind, value: Any, right: bool) -> None:  # noqa: ANN401
    """What is of the declared kind is read as it is; all else fails, and says how; what is missing is None."""
    reader = Reader(["attributes.a", "attributes.b"], {"attributes.a": kind, "attributes.b": kind}, {})
    (found, missing), faulty = reader(attempt(attributes={"a": value}))
    assert missing is None
    assert faulty is not right
    assert found is value if right else isinstance(found, Fault)


def test_values_are_shown_short() -> None:
    """A long text is cut, a list becomes one text, all else is shown as it is."""
    assert shown("a" * 300) == f"{'a' * 100}…"
    assert (shown(("a", "b")), shown(2.5), shown(None), shown("a")) == ("a, b", 2.5, None, "a")


def test_known_part() -> None:
    """An annotation loses its None; one of several kinds has no kind."""
    assert (known_part(float | None), known_part(int), known_part(int | str | None)) == (float, int, int | str | None)


def test_lists_are_as_long_as_callers_may_make_them() -> None:
    """The budget of loops over the caller's lists is that of the wire."""
    for name, longest in LONGEST.items():
        schema = Subject.model_json_schema()["properties"][name.partition(".")[2]]
        assert schema["anyOf"][0]["maxItems"] == longest
