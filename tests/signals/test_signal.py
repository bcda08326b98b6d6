"""What the declaration refuses, and what it makes of a function."""

import pytest

from riskd.contract import Outcome
from riskd.signals import SIGNALS, State
from riskd.signals.signal import Signal, catalogue_revision, signal

DOCSTRING = "Something is wrong.\n\nFalse alarms: many."


def declare(name: str, doc: str | None, *, weight: float = 0.5) -> Signal:
    """Declare a signal that reads `tor`, under another name and docstring."""

    def ask(tor: float) -> bool:
        return tor > 0

    ask.__name__ = name
    ask.__doc__ = doc
    return signal(weight=weight)(ask)


def test_two_of_one_name() -> None:
    """A second declaration of a reason code is refused."""
    with pytest.raises(ValueError, match="declared twice"):
        declare("tor_exit", DOCSTRING)


@pytest.mark.parametrize("doc", [None, "", "Something is wrong."])
def test_no_false_alarms(doc: str | None) -> None:
    """A signal without a docstring that names its false alarms is refused."""
    with pytest.raises(ValueError, match="false alarms"):
        declare("nameless", doc)


@pytest.mark.parametrize("weight", [-0.1, 1.0, 2.0, float("nan")])
def test_weight_out_of_range(weight: float) -> None:
    """A weight outside 0 to below 1 is refused."""
    with pytest.raises(ValueError, match="not in"):
        declare("overweight", DOCSTRING, weight=weight)


def test_unknown_feature() -> None:
    """A signal that reads a feature nobody declares is refused at import."""
    with pytest.raises(ValueError, match="nobody declares"):

        @signal(weight=0.1)
        def misspelt(travel_sped_kmh: float) -> bool:
            """Something is wrong.

            False alarms: many.
            """
            return travel_sped_kmh > 0


def test_nothing_refused_was_kept() -> None:
    """A refused declaration leaves no trace in the catalogue."""
    assert {"nameless", "overweight", "misspelt"}.isdisjoint(SIGNALS)


def test_what_a_declaration_says() -> None:
    """Name, inputs, knobs, text and family all come from the function."""
    declared = SIGNALS["impossible_travel"]
    assert declared.family == "place"
    assert declared.reads == ("travel_speed_kmh",)
    assert dict(declared.knobs) == {"max_speed_kmh": 900.0}
    assert declared.text == "The last confirmed place is further away than an airliner could have covered since."
    assert declared.doc.startswith("False alarms: VPN exits")
    assert declared.floor is Outcome.ALLOW
    assert SIGNALS["takeover_sequence"].floor is Outcome.DENY


def test_check_takes_defaults_and_tuning() -> None:
    """`check` uses the knobs' defaults, and those it is given instead; an input that is not named is unknown."""
    declared = SIGNALS["impossible_travel"]
    assert declared.check({"travel_speed_kmh": 950.0}) == (State.HIT, 1.0)
    assert declared.check({"travel_speed_kmh": 950.0}, max_speed_kmh=1000.0) == (State.CLEAR, 0.0)
    assert declared.check({}) == (State.UNKNOWN, 0.0)


def test_catalogue_revision_is_stable() -> None:
    """The revision of the catalogue is twelve hex digits and does not change by asking."""
    assert catalogue_revision() == catalogue_revision()
    assert len(catalogue_revision()) == len(f"{int(catalogue_revision(), 16):012x}") == 12
