"""Decision ids are UUIDv7 that carry a sealed verdict."""

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from riskd.contract import OutcomeReport
from riskd.decision_id import Sealer, Verdict, base_of, new_base, unix_ms

times = st.integers(0, 2**48 - 1)
verdicts = st.sampled_from(Verdict)
SEALER = Sealer(b"s" * 32)


@given(times, verdicts)
def test_round_trip(at_ms: int, verdict: Verdict) -> None:
    """An id gives back its base, its verdict and its time, and is a UUIDv7 of RFC 9562."""
    base = new_base(at_ms)
    decision_id = SEALER.seal(base, verdict)
    assert SEALER.open(decision_id) == (base, verdict)
    assert base_of(decision_id) == base
    assert unix_ms(decision_id) == at_ms
    parsed = UUID(decision_id)
    assert str(parsed) == decision_id
    assert (parsed.version, parsed.variant) == (7, RFC_4122)


@given(times, verdicts, verdicts)
def test_a_verdict_cannot_be_rewritten(at_ms: int, one: Verdict, other: Verdict) -> None:
    """Whoever writes another verdict into an id has an id that nobody gave out."""
    decision_id = SEALER.seal(new_base(at_ms), one)
    forged = decision_id[:-1] + format(int(decision_id[-1], 16) & ~0b11 | other, "x")
    if one is other:
        assert forged == decision_id
    else:
        with pytest.raises(ValueError, match="not a decision id"):
            SEALER.open(forged)


@given(times, verdicts)
def test_another_key_seals_otherwise(at_ms: int, verdict: Verdict) -> None:
    """An id of another installation is none of this one's, save one in a billion."""
    decision_id = Sealer(b"o" * 32).seal(new_base(at_ms), verdict)
    with pytest.raises(ValueError, match="not a decision id"):
        SEALER.open(decision_id)


def test_later_ids_sort_later() -> None:
    """Ids of later milliseconds are larger as text."""
    assert new_base(1_700_000_000_000) < new_base(1_700_000_000_001) < new_base(1_800_000_000_000)


def test_ids_do_not_repeat() -> None:
    """Many ids of one millisecond all differ, seal and verdict aside."""
    assert len({new_base(1_700_000_000_000) for _ in range(10_000)}) == 10_000


@given(times, verdicts)
def test_the_contract_takes_them(at_ms: int, verdict: Verdict) -> None:
    """An outcome may be reported for any id that was given out."""
    decision_id = SEALER.seal(new_base(at_ms), verdict)
    body = {"decision_id": decision_id, "outcome": "login_succeeded"}
    assert TypeAdapter(OutcomeReport).validate_python(body, strict=False).decision_id == decision_id


@pytest.mark.parametrize("text", ["xyz", "01890a5d-ac96-774b-bcce-b302099a805g"])
def test_no_id(text: str) -> None:
    """What ends in no hexadecimal digit is no id."""
    with pytest.raises(ValueError, match="invalid literal"):
        SEALER.open(text)
