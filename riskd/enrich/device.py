"""What an attempt is made with, from user agent, client hints and the client's own words."""

import re
from functools import lru_cache

from msgspec.structs import replace

from riskd.contract import ClientHints, Context
from riskd.enrich.hints import Hints, read_hints
from riskd.enrich.user_agent import MAX_LENGTH, UNKNOWN, Agent, read_user_agent
from riskd.facts import DeviceFacts

_LINUXES = (
    *("Linux", "Ubuntu", "Kubuntu", "Debian", "Fedora", "Gentoo", "Mageia", "SUSE", "Slackware", "CentOS", "PCLinuxOS"),
    *("Red Hat", "Linux Mint", "Arch Linux", "Puppy"),
)
# What `navigator.platform` may mean, most likely first: iPads say MacIntel, Android and Chrome OS say Linux.
_PLATFORMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("win", ("Windows",)),
    ("mac", ("Mac OS X", "iOS")),
    ("iphone", ("iOS",)),
    ("ipad", ("iOS",)),
    ("ipod", ("iOS",)),
    ("android", ("Android",)),
    ("linux", (*_LINUXES, "Android", "Chrome OS")),
    ("cros", ("Chrome OS",)),
)
_PRIMARY_SUBTAG = re.compile(r"[a-z]{2,8}")
_NO_HINTS = Hints()
_NOTHING_HINTED = ClientHints()
CACHED_CLIENTS = 1_024
"""Clients, as they describe themselves, whose facts are kept at hand, some 2 KB each; others cost 10 µs."""


def read_device(context: Context, device: str | None, digest: str | None) -> DeviceFacts:
    """Gather the facts about the device; `device` and `digest` are what may be kept of the ids.

    Client hints come first where they say more than the user agent (versions, and everything when there is no user
    agent); families from either are kept apart, in ua-parser's words, so that they can be compared.
    """
    text = context.user_agent
    # Clients come again: what they say of themselves is read once. Overlong texts are not remembered.
    client = _client if text is None or len(text) <= MAX_LENGTH else _client.__wrapped__
    return _with_ids(client(*_said(context)), context, device, digest)


def without_user_agent(context: Context, device: str | None, digest: str | None) -> DeviceFacts:
    """Gather the facts that remain when user agents cannot be read."""
    text, _, platform, width, height, languages = _said(context)
    client = _facts(text, platform, width, height, languages, None, _NO_HINTS)
    return _with_ids(client, context, device, digest)


_Hinted = tuple[str | None, str | None, str | None, str | None, str | None]
"""What `read_hints` reads."""
_Said = tuple[str | None, _Hinted, str | None, int | None, int | None, str | None]
"""What a client says of itself: user agent, hints, platform, width and height of its screen, languages.

As plain values: to compare the wire's objects with those of a client that is remembered costs more than all else here.
"""


def _said(context: Context) -> _Said:
    hints, screen = context.client_hints or _NOTHING_HINTED, context.screen
    return (
        context.user_agent,
        (
            hints.sec_ch_ua_full_version_list,
            hints.sec_ch_ua,
            hints.sec_ch_ua_platform,
            hints.sec_ch_ua_platform_version,
            hints.sec_ch_ua_mobile,
        ),
        context.platform,
        screen.width if screen else None,
        screen.height if screen else None,
        context.accept_language,
    )


def _with_ids(client: DeviceFacts, context: Context, device: str | None, digest: str | None) -> DeviceFacts:
    return replace(
        client, id=device, digest=digest, utc_offset_minutes=context.utc_offset_minutes, rtt_ms=context.rtt_ms
    )


@lru_cache(maxsize=CACHED_CLIENTS)
def _client(
    text: str | None,
    hinted: _Hinted,
    platform: str | None,
    width: int | None,
    height: int | None,
    accept_language: str | None,
) -> DeviceFacts:
    agent = read_user_agent(text) if text and not text.isspace() else None
    return _facts(text, platform, width, height, accept_language, agent, read_hints(*hinted))


def _facts(
    text: str | None,
    platform: str | None,
    width: int | None,
    height: int | None,
    accept_language: str | None,
    agent: Agent | None,
    hints: Hints,
) -> DeviceFacts:
    os_family = agent.os_family if agent else None
    browser_family = agent.browser_family if agent else None
    hint_os = _same_family(hints.os_family, os_family)
    hint_browser = _same_browser(hints.browser_family, browser_family)
    os_family = os_family or hint_os
    browser_family = browser_family or hint_browser
    return DeviceFacts(
        user_agent_present=None if text is None else not _is_blank(text),
        user_agent_parsed=agent.parsed if agent else None,
        bot=_bot(agent, hints),
        kind=agent.kind if agent else None,
        os_family=os_family,
        os_major=_first(hints.os_major if hint_os == os_family else None, agent.os_major if agent else None),
        browser_family=browser_family,
        browser_major=_first(
            hints.browser_major if hint_browser == browser_family else None, agent.browser_major if agent else None
        ),
        family=f"{os_family or UNKNOWN}|{browser_family or UNKNOWN}" if agent or os_family or browser_family else None,
        hint_os_family=hint_os,
        hint_browser_family=hint_browser,
        hint_mobile=hints.mobile,
        platform_os_family=_platform(platform, os_family) if platform else None,
        screen_width=width,
        screen_height=height,
        language=_language(accept_language) if accept_language else None,
        model=agent.model if agent else None,
    )


def _is_blank(text: str) -> bool:
    return not text or text.isspace()


def _first(preferred: int | None, other: int | None) -> int | None:
    return other if preferred is None else preferred


def _bot(agent: Agent | None, hints: Hints) -> bool | None:
    if hints.browser_family == "HeadlessChrome":
        return True
    return agent.bot if agent else None


def _same_family(hint: str | None, said: str | None) -> str | None:
    """Return a hint's system in the words of the user agent, which may name the distribution of a Linux."""
    return said if hint == "Linux" and said in _LINUXES else hint


def _same_browser(hint: str | None, said: str | None) -> str | None:
    """Return a hint's browser in the words of the user agent, which tells `Chrome Mobile` from `Chrome`."""
    return said if hint and said and said.startswith(hint) else hint


@lru_cache(maxsize=1024)
def _platform(platform: str, os_family: str | None) -> str | None:
    """Return the system a platform word names: the one the user agent names where the word allows it."""
    word = platform.lower()
    for start, meanings in _PLATFORMS:
        if word.startswith(start):
            return os_family if os_family in meanings else meanings[0]
    return None


@lru_cache(maxsize=1024)
def _language(accept_language: str) -> str | None:
    """Return the primary subtag of the first language range, in lower case; None for `*` and malformed ones."""
    first = accept_language.partition(",")[0].partition(";")[0].strip().lower().partition("-")[0]
    return first if _PRIMARY_SUBTAG.fullmatch(first) else None
