"""Durations, tuning models and what the schema knows of every signal."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from riskd.policy.schema import BOUND_KNOBS, SignalsTuning, _knob_type
from riskd.policy.section import Duration, parse_duration
from riskd.signals import SIGNALS

DURATION = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("50ms", 0.05),
        ("30s", 30),
        ("5m", 300),
        ("1.5h", 5400),
        ("7d", 604_800),
        (" 12 h ", 43_200),
        (90, 90),
        (0, 0),
        (0.5, 0.5),
        (timedelta(minutes=1), 60),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    """A duration is a number with its unit, or a number of seconds."""
    assert DURATION.validate_python(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written",
    ["", "5", "5 weeks", "m5", "-5m", "5M", "1e3s", True, None, [], -1, 3651 * 86_400.0, "3651d", "99999999999d", 1e300,
     float("inf"), float("nan"), 10**400],
)  # fmt: skip
def test_no_durations(written: object) -> None:
    """Anything else, below 0 or above ten years is a mistake, never a crash."""
    with pytest.raises(ValidationError):
        DURATION.validate_python(written)


@given(st.one_of(st.text(max_size=12), st.floats(), st.integers()))
def test_durations_never_crash(written: object) -> None:
    """Whatever is written, it is a duration or a mistake."""
    with suppress(ValueError):
        assert isinstance(parse_duration(written), timedelta)


def test_every_signal_may_be_tuned() -> None:
    """Every signal has weight, floor, enabled, shadow and its knobs, but for those that the policy sets elsewhere."""
    assert set(SignalsTuning.model_fields) == set(SIGNALS)
    tuning = SignalsTuning()
    for code, declared in SIGNALS.items():
        bound = BOUND_KNOBS.get(code, ())
        assert set(type(getattr(tuning, code)).model_fields) == {
            "weight", "floor", "enabled", "shadow", *(knob for knob in declared.knobs if knob not in bound),
        }  # fmt: skip
        assert set(bound) <= set(declared.knobs)


def test_a_knob_is_tuned_in_its_own_type() -> None:
    """A flag takes a flag, a list of countries countries, and a number a number that is not negative."""
    assert _knob_type(True) is bool
    assert TypeAdapter(_knob_type(())).validate_python(["NO"]) == ("NO",)
    assert TypeAdapter(_knob_type(1.0)).validate_python(2) == 2.0
    with pytest.raises(ValidationError):
        TypeAdapter(_knob_type(1.0)).validate_python(-1)
