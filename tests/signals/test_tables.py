"""One runner for every signal: each owns one table, `cases/<code>.yaml`, with hit, clear and unknown rows.

A row gives inputs by feature name, and may add `knobs` (what a policy tunes) and `strength` (the share of the weight).
"""

from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from ruamel.yaml import YAML

from riskd import signals
from riskd.features import FEATURES, Fault
from riskd.signals import ANOMALY_SCORE, SIGNALS, Signal, State, answer

CASES = Path(__file__).parent / "cases"
ROW_WORDS = {"knobs", "strength"}
Row = dict[str, Any]
Table = dict[str, list[Row]]


def table(code: str) -> Table:
    """Return the table of one signal."""
    return YAML(typ="safe", pure=True).load((CASES / f"{code}.yaml").read_text(encoding="utf-8"))


TABLES = {code: table(code) for code in sorted(SIGNALS)}


def rows(*states: State) -> list[tuple[str, State, Row]]:
    """All rows of these states, with their signal's code."""
    return [
        (code, state, row) for code, its_table in TABLES.items() for state in states for row in its_table.get(state, [])
    ]


def ask(code: str, row: Row, **changed: Any) -> tuple[State, float]:  # noqa: ANN401 - inputs and knobs vary
    """Put a row's question, with some inputs changed."""
    inputs = {name: value for name, value in row.items() if name not in ROW_WORDS} | changed
    knobs = {name: tuple(v) if isinstance(v, list) else v for name, v in row.get("knobs", {}).items()}
    return SIGNALS[code].check(inputs, **knobs)


@pytest.mark.parametrize(("code", "state", "row"), rows(State.HIT, State.CLEAR, State.UNKNOWN))
def test_row(code: str, state: State, row: Row) -> None:
    """Every row of every table gets the answer it stands under, and the strength it names (1 for a plain hit)."""
    found, strength = ask(code, row)
    assert found is state
    assert strength == pytest.approx(row.get("strength", 1) if state is State.HIT else 0, abs=1e-4)


@pytest.mark.parametrize("code", SIGNALS)
def test_all_three_states_are_tested(code: str) -> None:
    """A signal's table has hit, clear and unknown rows and nothing else, and each names just what the signal reads."""
    its_table = TABLES[code]
    assert set(its_table) == {State.HIT, State.CLEAR, State.UNKNOWN}
    assert all(its_table.values())
    for its_rows in its_table.values():
        for row in its_rows:
            assert set(row) - ROW_WORDS == set(SIGNALS[code].reads)
            assert set(row.get("knobs", ())) <= set(SIGNALS[code].knobs)


def test_every_table_has_a_signal() -> None:
    """No table is left over from a signal that was renamed."""
    assert {path.stem for path in CASES.glob("*.yaml")} == set(SIGNALS)


@pytest.mark.parametrize(("code", "state", "row"), rows(State.HIT, State.CLEAR))
def test_any_missing_input_makes_it_unknown(code: str, state: State, row: Row) -> None:
    """Take any one input away from a hit or a clear: the answer is unknown, never a hit, never a clear."""
    assert state is not State.UNKNOWN
    for name in SIGNALS[code].reads:
        assert ask(code, row, **{name: None}) == (State.UNKNOWN, 0.0)


@pytest.mark.parametrize(("code", "state", "row"), rows(State.HIT))
def test_a_failed_or_senseless_input_is_an_error(code: str, state: State, row: Row) -> None:
    """A feature that failed puts the signals that read it in error, which is neither unknown nor clear."""
    assert state is State.HIT
    for name in SIGNALS[code].reads:
        assert ask(code, row, **{name: Fault(name, "ZeroDivisionError")}) == (State.ERROR, 0.0)


def test_a_raising_signal_is_an_error() -> None:
    """Whatever a question raises is an error of that signal alone."""
    assert answer(lambda value: value / 0, [1.0], {}) == (State.ERROR, 0.0)
    assert answer(lambda value: value > 1, ["text"], {}) == (State.ERROR, 0.0)


def test_strength_stays_within_its_weight() -> None:
    """A question that answers more than 1 applies its whole weight and no more; below 0 it is clear."""
    assert answer(lambda value: value, [7.0], {}) == (State.HIT, 1.0)
    assert answer(lambda value: value, [-7.0], {}) == (State.CLEAR, 0.0)


@pytest.mark.parametrize(("code", "knob"), [(s.code, knob) for s in SIGNALS.values() for knob in s.knobs])
def test_every_knob_turns_something(code: str, knob: str) -> None:
    """For every knob some row of the table gives another answer with another value of it."""
    every_row = [row for its_rows in TABLES[code].values() for row in its_rows]
    assert any(
        ask(code, row) != ask(code, _set(row, knob, value)) for row in every_row for value in _others(code, knob)
    )


def _others(code: str, knob: str) -> list[Any]:
    """Values to try: the default, and the ends of what a number may be."""
    default = SIGNALS[code].knobs[knob]
    return [default, 0.0, 1e9] if isinstance(default, float) else [default]


def _set(row: Row, knob: str, value: object) -> Row:
    return {**row, "knobs": {**row.get("knobs", {}), knob: value}}


def test_every_module_is_imported() -> None:
    """A family that `riskd.signals` forgets to import would not be asked."""
    modules = {path.stem for path in Path(signals.__file__).parent.glob("*.py")} - {"__init__", "signal"}
    assert modules <= set(signals.__all__)
    assert {declared.family for declared in SIGNALS.values()} == modules


def test_no_two_signals_are_alike() -> None:
    """No two signals say the same, or ask the same of the same features with the same knobs."""
    assert len({declared.text for declared in SIGNALS.values()}) == len(SIGNALS)
    asked = {(s.reads, _code(s.ask.__code__), repr(sorted(s.knobs.items()))) for s in SIGNALS.values()}
    assert len(asked) == len(SIGNALS)


def _code(code: CodeType) -> tuple[bytes, str]:
    """Byte code and constants of a question, without its docstring."""
    return code.co_code, repr(code.co_consts[1:])


@pytest.mark.parametrize("declared", SIGNALS.values(), ids=SIGNALS.keys())
def test_the_text_is_a_sentence_with_its_false_alarms(declared: Signal) -> None:
    """The reason in words is a sentence; the false alarms stand beside it."""
    assert declared.text.endswith(".")
    assert "False alarms:" in declared.doc


@pytest.mark.parametrize("declared", SIGNALS.values(), ids=SIGNALS.keys())
def test_declaration_is_sound(declared: Signal) -> None:
    """Weights are shares below 1, inputs are declared features, and the age of a hit is one of them."""
    assert 0 <= declared.weight < 1
    assert declared.reads
    assert set(declared.reads) <= {*FEATURES, ANOMALY_SCORE}
    assert declared.dated_by is None or declared.dated_by in FEATURES
