"""Decision ids are UUIDv7 that carry a verdict."""

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from riskd.contract import OutcomeReport
from riskd.decision_id import Verdict, new_base, split, unix_ms, with_verdict

times = st.integers(0, 2**48 - 1)
verdicts = st.sampled_from(Verdict)


@given(times, verdicts)
def test_round_trip(at_ms: int, verdict: Verdict) -> None:
    """An id gives back its base, its verdict and its time, and is a UUIDv7 of RFC 9562."""
    base = new_base(at_ms)
    decision_id = with_verdict(base, verdict)
    assert split(decision_id) == (base, verdict)
    assert split(base) == (base, Verdict.ALLOW)
    assert unix_ms(decision_id) == at_ms
    parsed = UUID(decision_id)
    assert str(parsed) == decision_id
    assert (parsed.version, parsed.variant) == (7, RFC_4122)


@given(times, verdicts, verdicts)
def test_another_verdict_replaces_the_first(at_ms: int, one: Verdict, other: Verdict) -> None:
    """A verdict can be written over, and leaves nothing of the earlier one."""
    base = new_base(at_ms)
    assert with_verdict(with_verdict(base, one), other) == with_verdict(base, other)


def test_later_ids_sort_later() -> None:
    """Ids of later milliseconds are larger as text."""
    assert new_base(1_700_000_000_000) < new_base(1_700_000_000_001) < new_base(1_800_000_000_000)


def test_ids_do_not_repeat() -> None:
    """Many ids of one millisecond all differ, with the verdict bits aside."""
    assert len({new_base(1_700_000_000_000) for _ in range(10_000)}) == 10_000


@given(times, verdicts)
def test_the_contract_takes_them(at_ms: int, verdict: Verdict) -> None:
    """An outcome may be reported for any id that was given out."""
    decision_id = with_verdict(new_base(at_ms), verdict)
    body = {"decision_id": decision_id, "outcome": "login_succeeded"}
    assert TypeAdapter(OutcomeReport).validate_python(body, strict=False).decision_id == decision_id


@pytest.mark.parametrize("text", ["xyz", "01890a5d-ac96-774b-bcce-b302099a805g"])
def test_no_id(text: str) -> None:
    """What ends in no hexadecimal digit is no id."""
    with pytest.raises(ValueError, match="invalid literal"):
        split(text)
