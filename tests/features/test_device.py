"""Device identity, contradictions within it, age and rarity of the client."""

from datetime import UTC, datetime
from typing import Any

import pytest

from riskd.features.device import (
    bot,
    browser_age_years,
    device_contradictions,
    device_family_changed,
    device_unseen_days,
    familiar,
    family_unseen_days,
    language_unseen_days,
    user_agent_faults,
)
from tests.attempts import attempt, history

DAY_S = 86_400.0


@pytest.mark.parametrize(
    ("compute", "fact", "known", "age"),
    [
        (device_unseen_days, "id", "known_devices", "device_age_s"),
        (family_unseen_days, "family", "known_families", "family_age_s"),
        (language_unseen_days, "language", "known_languages", "language_age_s"),
    ],
)
def test_novelty(compute: Any, fact: str, known: str, age: str) -> None:  # noqa: ANN401
    """Days since it was confirmed, 3650 when never; unknown when it is not presented or nothing is known."""
    presented = {fact: "x"}
    assert compute(attempt(device=presented, history=history(**{known: 2, age: DAY_S}))) == 1.0
    assert compute(attempt(device=presented, history=history(**{known: 2}))) == 3650.0
    assert compute(attempt(device=presented, history=history())) is None
    assert compute(attempt(device={}, history=history(**{known: 2, age: DAY_S}))) is None
    assert compute(attempt(device=presented)) is None


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ({}, 1.0),
        ({"device_age_s": 180 * DAY_S, "network_age_s": 180 * DAY_S, "device_known_age_s": DAY_S}, 1.0),
        ({"device_age_s": 181 * DAY_S}, 0.0),
        ({"network_age_s": 181 * DAY_S}, 0.0),
        ({"device_age_s": None}, 0.0),
        ({"network_age_s": None}, 0.0),
        ({"device_known_age_s": DAY_S - 1}, 0.0),  # confirmed just now, perhaps by the guesser
        ({"device_known_age_s": None}, 0.0),
    ],
)
def test_familiar(changed: dict[str, Any], value: float) -> None:
    """Device and network confirmed within 180 days, the device known for a day; anything unknown makes it 0."""
    known = {"device_age_s": 0.0, "network_age_s": 0.0, "device_known_age_s": 30 * DAY_S}
    assert familiar(attempt(device={"id": "d"}, history=history(**{**known, **changed}))) == value
    assert familiar(attempt(device={}, history=history(**known))) == 0.0
    assert familiar(attempt(device={"id": "d"})) == 0.0
    assert familiar(attempt(device={"id": "d"}, down=("store",))) is None


def test_family_changed() -> None:
    """A known device id with another family is 1, with its own 0, unknown when either is."""
    known = history(device_family="Windows|Chrome")
    assert device_family_changed(attempt(device={"family": "Windows|Chrome"}, history=known)) == 0.0
    assert device_family_changed(attempt(device={"family": "Linux|Chrome"}, history=known)) == 1.0
    assert device_family_changed(attempt(device={}, history=known)) is None
    assert device_family_changed(attempt(device={"family": "Linux|Chrome"}, history=history())) is None


@pytest.mark.parametrize(
    ("device", "count"),
    [
        ({}, None),
        ({"os_family": "Windows", "browser_family": "Chrome", "kind": "desktop"}, None),
        ({"os_family": "Windows", "hint_os_family": "Windows"}, 0.0),
        ({"os_family": "Windows", "hint_os_family": "Linux"}, 1.0),
        ({"os_family": "Windows", "platform_os_family": "Mac OS X"}, 1.0),
        ({"browser_family": "Chrome", "hint_browser_family": "Edge"}, 1.0),
        ({"kind": "desktop", "hint_mobile": True}, 1.0),
        ({"kind": "mobile", "hint_mobile": False}, 1.0),
        ({"kind": "mobile", "hint_mobile": True}, 0.0),
        ({"kind": "tablet", "hint_mobile": True}, None),  # tablets say either
        ({"kind": "mobile", "screen_width": 390, "screen_height": 844}, 0.0),
        ({"kind": "mobile", "screen_width": 844, "screen_height": 390}, 0.0),  # turned on its side
        ({"kind": "mobile", "screen_width": 600, "screen_height": 960}, 0.0),
        ({"kind": "mobile", "screen_width": 601, "screen_height": 960}, 1.0),
        ({"kind": "mobile", "screen_width": 1920, "screen_height": 1080}, 1.0),
        ({"kind": "desktop", "screen_width": 1920, "screen_height": 1080}, 0.0),
        ({"kind": "desktop", "screen_width": 390, "screen_height": 844}, 1.0),
        ({"kind": "desktop", "screen_width": 390}, None),
        ({"kind": "other", "screen_width": 390, "screen_height": 844}, None),
        (
            {
                "os_family": "Windows",
                "hint_os_family": "Linux",
                "platform_os_family": "Linux",
                "browser_family": "Chrome",
                "hint_browser_family": "Chrome",
                "kind": "desktop",
                "hint_mobile": True,
            },
            3.0,
        ),
    ],
)
def test_contradictions(device: dict[str, Any], count: float | None) -> None:
    """Each pair of attributes that can be compared and differs counts one; with no such pair it is unknown."""
    assert device_contradictions(attempt(device=device)) == count


@pytest.mark.parametrize(
    ("device", "faults"),
    [
        ({}, None),
        ({"user_agent_present": False}, 1.0),
        ({"user_agent_present": True, "user_agent_parsed": False}, 1.0),
        ({"user_agent_present": True, "user_agent_parsed": True}, 0.0),
        ({"user_agent_present": True}, 0.0),
    ],
)
def test_user_agent_faults(device: dict[str, Any], faults: float | None) -> None:
    """An empty or unknown user agent is at fault; one that was not sent, or not parsed for want of a parser, is not."""
    assert user_agent_faults(attempt(device=device)) == faults


def test_bot() -> None:
    """1 for a bot, 0 for none, unknown without a user agent."""
    assert [bot(attempt(device={"bot": value})) for value in (True, False, None)] == [1.0, 0.0, None]


@pytest.mark.parametrize(
    ("family", "major", "day", "years"),
    [
        ("Chrome", 100, datetime(2022, 3, 29, tzinfo=UTC), 0.0),
        ("Chrome", 100, datetime(2023, 3, 29, 6, tzinfo=UTC), 1.0),
        ("Chrome Mobile", 113, datetime(2023, 3, 28, tzinfo=UTC), 0.0),
        ("Firefox", 101, datetime(2024, 5, 31, tzinfo=UTC), 2.0),
        ("Edge", 500, datetime(2023, 1, 1, tzinfo=UTC), 0.0),  # from the future: not old
        ("Safari", 15, datetime(2026, 1, 1, tzinfo=UTC), None),
        (None, 100, datetime(2026, 1, 1, tzinfo=UTC), None),
        ("Chrome", None, datetime(2026, 1, 1, tzinfo=UTC), None),
    ],
)
def test_browser_age(family: str | None, major: int | None, day: datetime, years: float | None) -> None:
    """Four-weekly browsers age by their version's release day; of others the age is unknown, and none is below 0."""
    found = browser_age_years(attempt(time=day, device={"browser_family": family, "browser_major": major}))
    assert found is None if years is None else found == pytest.approx(years, abs=0.01)
