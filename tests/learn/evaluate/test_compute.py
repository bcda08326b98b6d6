"""From counts to what is reported: what few people did marks no group."""

import numpy as np
import pytest

from riskd.learn.evaluate.compute import groups
from riskd.learn.evaluate.resample import GROUPS, Resampling
from riskd.learn.evaluate.tally import Tally

NAMES = ("here", "elsewhere")


@pytest.mark.parametrize(
    ("people", "attempts", "stopped", "burden"),
    [(1, 4, 1, "even"), (4, 50, 25, "even"), (200, 4, 1, "more")],
)
def test_a_group_is_marked_for_many_people(people: int, attempts: int, stopped: int, burden: str) -> None:
    """One traveller stopped once makes no unfair country; two hundred people stopped as often do."""
    tally = Tally(
        kinds=("honest",), names=dict.fromkeys(("action", "country", "device"), NAMES), since=0.0, cut=0.0, examples=0
    )
    counts = np.zeros((GROUPS, len(NAMES), 4), np.uint32)
    counts[:people, 0, :2] = attempts, stopped
    counts[:, 1, 0] = 50
    counts[::4, 1, 1] = 1
    tally.groups["country"] = counts
    found = {group.name: group for group in groups(tally, Resampling(), "country", NAMES)}
    assert found["here"].burden == burden
    assert found["here"].honest.value == stopped / attempts
