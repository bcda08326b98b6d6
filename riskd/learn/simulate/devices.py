"""What people hold in their hands: browsers, how they age, and the user agents that they send.

Release dates are the browsers' published calendars, carried on at their usual pace.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Literal

DAY_S = 86_400.0
Kind = Literal["mobile", "desktop", "tablet"]

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0"
_WINDOWS, _MAC = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_FIREFOX = "rv:{major}.0) Gecko/20100101 Firefox/{major}.0"
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{release}"


@dataclass(frozen=True, slots=True)
class Model:
    """A kind of client: what its user agent looks like and what it says of itself."""

    name: str
    kind: Kind
    share: float
    """Of the clients of this kind."""
    engine: Literal["chrome", "firefox", "safari"]
    template: str
    platform: str
    screen: tuple[int, int]


MODELS: tuple[Model, ...] = (
    Model("chrome-windows", "desktop", 0.50, "chrome", f"{_WINDOWS} {_WEBKIT} Safari/537.36", "Win32", (1920, 1080)),
    Model(
        "edge-windows",
        "desktop",
        0.14,
        "chrome",
        f"{_WINDOWS} {_WEBKIT} Safari/537.36 Edg/{{major}}.0.0.0",
        "Win32",
        (1536, 864),
    ),
    Model("chrome-mac", "desktop", 0.12, "chrome", f"{_MAC} {_WEBKIT} Safari/537.36", "MacIntel", (1512, 982)),
    Model("safari-mac", "desktop", 0.14, "safari", f"{_MAC} {_SAFARI} Safari/605.1.15", "MacIntel", (1440, 900)),
    Model(
        "firefox-windows",
        "desktop",
        0.07,
        "firefox",
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; {_FIREFOX}",
        "Win32",
        (1920, 1080),
    ),
    Model(
        "firefox-linux",
        "desktop",
        0.03,
        "firefox",
        f"Mozilla/5.0 (X11; Linux x86_64; {_FIREFOX}",
        "Linux x86_64",
        (1920, 1200),
    ),
    Model(
        "safari-iphone",
        "mobile",
        0.55,
        "safari",
        f"Mozilla/5.0 (iPhone; CPU iPhone OS {{system}} like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1",
        "iPhone",
        (393, 852),
    ),
    Model(
        "chrome-android",
        "mobile",
        0.37,
        "chrome",
        f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Mobile Safari/537.36",
        "Linux armv81",
        (412, 915),
    ),
    Model(
        "firefox-android",
        "mobile",
        0.08,
        "firefox",
        "Mozilla/5.0 (Android 14; Mobile; rv:{major}.0) Gecko/{major}.0 Firefox/{major}.0",
        "Linux armv81",
        (412, 892),
    ),
    Model(
        "safari-ipad",
        "tablet",
        0.70,
        "safari",
        f"Mozilla/5.0 (iPad; CPU OS {{system}} like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1",
        "iPad",
        (820, 1180),
    ),
    Model(
        "chrome-tablet",
        "tablet",
        0.30,
        "chrome",
        f"Mozilla/5.0 (Linux; Android 10; SM-X200) {_WEBKIT} Safari/537.36",
        "Linux armv81",
        (800, 1280),
    ),
)
_BY_KIND: dict[str, tuple[list[Model], list[float]]] = {
    kind: (chosen, list(accumulate(model.share for model in chosen)))
    for kind in ("mobile", "desktop", "tablet")
    if (chosen := [model for model in MODELS if model.kind == kind])
}

KIND_SHARES: dict[Kind, float] = {"mobile": 0.497, "desktop": 0.479, "tablet": 0.024}
"""Of successful logins [RBA]."""


@dataclass(slots=True)
class Device:
    """One browser on one machine."""

    model: Model
    lag_s: float
    """How long after a release this device has it."""
    updated: bool = True
    """Some devices are never updated: they stay on the release of `FROZEN_DAY`."""


def new_device(kind: Kind, rng: Random) -> Device:
    """Return a device of this kind. One in thirty is never updated (invented)."""
    models, weights = _BY_KIND[kind]
    model = rng.choices(models, cum_weights=weights)[0]
    return Device(model, rng.uniform(0.5, 14) * DAY_S, updated=rng.random() >= 0.03)


def user_agent(device: Device, time: float) -> str:
    """Return the user agent that the device sends at this time."""
    day = int((time - device.lag_s) // DAY_S) if device.updated else FROZEN_DAY
    return _user_agent(device.model.name, day)


_BY_NAME = {model.name: model for model in MODELS}


@lru_cache(maxsize=8192)
def _user_agent(name: str, day: int) -> str:
    model = _BY_NAME[name]
    release = _safari_release(day)
    system = release.replace(".", "_") if not release.startswith("26") else "18_6"  # Safari 26 froze its system token
    return model.template.format(major=_major(model.engine, day), release=release, system=system)


def _day(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp() // DAY_S)


FROZEN_DAY = _day(2024, 9, 1)
"""What is never updated stands where everything stood a few months before the simulated world begins."""
_FOUR_WEEKS = 28


def _major(engine: str, day: int) -> int:
    """Major version of the day: both browsers release every four weeks."""
    anchor, major = (_day(2024, 10, 29), 132) if engine == "firefox" else (_day(2024, 11, 12), 131)
    return major + (day - anchor) // _FOUR_WEEKS


_SAFARI_RELEASES: tuple[tuple[int, str], ...] = (
    (_day(2023, 9, 18), "17.0"), (_day(2023, 12, 11), "17.2"), (_day(2024, 3, 5), "17.4"),
    (_day(2024, 7, 29), "17.6"), (_day(2024, 9, 16), "18.0"), (_day(2024, 10, 28), "18.1"),
    (_day(2024, 12, 11), "18.2"), (_day(2025, 1, 27), "18.3"), (_day(2025, 3, 31), "18.4"),
    (_day(2025, 5, 12), "18.5"), (_day(2025, 7, 29), "18.6"), (_day(2025, 9, 15), "26.0"),
    (_day(2025, 11, 3), "26.1"), (_day(2025, 12, 12), "26.2"), (_day(2026, 2, 11), "26.3"),
    (_day(2026, 3, 30), "26.4"),
)  # fmt: skip
_SAFARI_DAYS = [day for day, _ in _SAFARI_RELEASES]


def _safari_release(day: int) -> str:
    return _SAFARI_RELEASES[max(0, bisect_right(_SAFARI_DAYS, day) - 1)][1]
