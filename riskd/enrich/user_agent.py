"""User agents: families, versions, kind of device, and whether a machine speaks."""

import re
from functools import lru_cache

from msgspec import Struct
from ua_parser.core import OS
from ua_parser.core import UserAgent as Browser
from user_agents.parsers import UserAgent, parse_browser, parse_device, parse_operating_system

from riskd.enrich.crawlers import crawlers
from riskd.enrich.families import parser

MAX_LENGTH = 1024
"""Characters of a user agent that are read; longer ones are cut before any parsing."""
CACHED_USER_AGENTS = 4_096
"""User agents that are kept at hand as read; others cost 0.1 ms."""
UNKNOWN = "Other"
"""The parser's word for a family it does not know."""
_FROZEN_IOS = "18.6"
_IOS_BEHIND_IT = 26
_NO_DEVICE = parse_device(UNKNOWN, None, None)
_NO_BRAND = frozenset({None, "Generic", "Generic_Android", "Generic_Android_Tablet", "Spider"})
_MODEL = re.compile(r"[A-Za-z][A-Za-z0-9 _+-]{0,23}")
_MOST_DIGITS = 8
"""Of a model: SM-G960F, Pixel 9. A card or a telephone number has more."""
_REDUCED_ANDROID = re.compile(r"; Android 10; K\)")


class Agent(Struct, frozen=True):
    """What a user agent says; families are ua-parser's words, None = says nothing."""

    parsed: bool
    """The browser family is known."""
    bot: bool
    kind: str
    """mobile, tablet, desktop or other."""
    os_family: str | None
    os_major: int | None
    """None also where browsers freeze the version: macOS 10.15, Android 10 `K`, iOS 18.6 (see `_os_major`)."""
    browser_family: str | None
    browser_major: int | None
    model: str | None
    """Model of the device; None where it names none, only what kind of device it is, or what looks like none."""


def read_user_agent(text: str) -> Agent:
    """Read a user agent that is not blank; the first 1,024 characters count."""
    return _read(text[:MAX_LENGTH])


@lru_cache(maxsize=CACHED_USER_AGENTS)
def _read(text: str) -> Agent:
    agent = _parse(text)
    browser_major = _number(agent.browser.version)
    bot = agent.is_bot or crawlers().name(text)
    return Agent(
        parsed=agent.browser.family != UNKNOWN,
        bot=bot,
        kind="other" if bot else _kind(agent),
        os_family=None if agent.os.family == UNKNOWN else agent.os.family,
        os_major=_os_major(agent, browser_major),
        browser_family=None if agent.browser.family == UNKNOWN else agent.browser.family,
        browser_major=browser_major,
        model=_model(agent),
    )


def _parse(text: str) -> UserAgent:
    """Build a UserAgent around our parser; its own constructor always takes a slow one."""
    browser, system, device = parser().read(text)
    agent = UserAgent.__new__(UserAgent)
    agent.ua_string = text
    agent.os = parse_operating_system(*_parts(system))
    agent.browser = parse_browser(*_parts(browser))
    agent.device = parse_device(device.family, device.brand, device.model) if device else _NO_DEVICE
    return agent


def _parts(found: OS | Browser | None) -> tuple[str | None, ...]:
    return (found.family, found.major, found.minor, found.patch) if found else (UNKNOWN,)


def _kind(agent: UserAgent) -> str:
    if "Mozilla/" not in agent.ua_string and "Opera/" not in agent.ua_string:
        return "other"  # apps write what they like; their words are no evidence of a screen size
    if agent.is_tablet:
        return "tablet"
    if agent.is_mobile:
        return "mobile"
    return "desktop" if agent.is_pc else "other"


def _model(agent: UserAgent) -> str | None:
    said: str | None = agent.device.model
    if not said or agent.device.brand in _NO_BRAND or not _MODEL.fullmatch(said):
        return None
    return said if sum(map(str.isdigit, said)) <= _MOST_DIGITS else None


def _os_major(agent: UserAgent, browser_major: int | None) -> int | None:
    """Return the major version of the system, None where browsers freeze it.

    Since iOS 26 the system token stays at 18.6: Safari's own version then tells the system's; other browsers on 18.6
    may be on either. Browsers freeze macOS at 10.15 and, in the reduced user agent, Android at `10; K`.
    """
    family, version = agent.os.family, agent.os.version_string
    if family == "iOS" and (version == _FROZEN_IOS or version.startswith(f"{_FROZEN_IOS}.")):
        if agent.browser.family != "Mobile Safari" or browser_major is None:
            return None
        return browser_major if browser_major >= _IOS_BEHIND_IT else _number(agent.os.version)
    if family == "Mac OS X" and version.startswith("10.15"):
        return None
    if family == "Android" and _REDUCED_ANDROID.search(agent.ua_string):
        return None
    return _number(agent.os.version)


def _number(version: tuple[int | str, ...]) -> int | None:
    return version[0] if version and isinstance(version[0], int) and version[0] < 1_000_000 else None
