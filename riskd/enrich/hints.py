"""User-agent client hints: what a browser says of itself in header fields of their own."""

import re
from functools import lru_cache

from msgspec import Struct

_BRAND = re.compile(r'"((?:[^"\\]|\\.){0,64})"\s{0,8};\s{0,8}v="([0-9]{0,6})')
_NO_LETTER = re.compile(r"[^a-z]+")
# What the user agent parser calls the browsers that name themselves in hints. Brave, Vivaldi and the like call
# themselves Chrome in the user agent, so their brand says nothing that a user agent could contradict.
_BROWSERS = {
    "Google Chrome": "Chrome",
    "HeadlessChrome": "HeadlessChrome",
    "Microsoft Edge": "Edge",
    "Opera": "Opera",
    "Samsung Internet": "Samsung Internet",
    "YaBrowser": "Yandex Browser",
    "Yandex": "Yandex Browser",
    "Android WebView": "Chrome Mobile WebView",
}
_SYSTEMS = {
    "Android": "Android",
    "Chrome OS": "Chrome OS",
    "Chromium OS": "Chrome OS",
    "Fuchsia": "Fuchsia",
    "iOS": "iOS",
    "Linux": "Linux",
    "macOS": "Mac OS X",
    "Windows": "Windows",
}
_WINDOWS_11 = 13
"""From this major version on, `Sec-CH-UA-Platform-Version` of Windows means Windows 11."""


class Hints(Struct, frozen=True):
    """What client hints say; None where they say nothing that can be compared with a user agent."""

    os_family: str | None = None
    os_major: int | None = None
    browser_family: str | None = None
    browser_major: int | None = None
    mobile: bool | None = None


def read_hints(
    full_version_list: str | None,
    brands: str | None,
    platform: str | None,
    platform_version: str | None,
    mobile: str | None,
) -> Hints:
    """Read the hints of one request, each the text of its header; malformed ones count as not sent."""
    brand, major = _brand(full_version_list) or _brand(brands) or (None, None)
    family = _SYSTEMS.get((platform or "").strip('" '))
    return Hints(
        os_family=family,
        os_major=_os_major(family, (platform_version or "").strip('" ')),
        browser_family=brand,
        browser_major=major,
        mobile=None if mobile is None else mobile == "?1",
    )


@lru_cache(maxsize=1024)
def _brand(brands: str | None) -> tuple[str, int | None] | None:
    """Return family and major version of the first brand we know; made-up (GREASE) brands are no brands."""
    for name, version in _BRAND.findall(brands or ""):
        if name in _BROWSERS and not _is_grease(name):
            return _BROWSERS[name], int(version) if version else None
    return None


def _is_grease(name: str) -> bool:
    """Whether a brand is one of the made-up ones, `Not A(Brand` and its kin, that keep parsers honest."""
    letters = _NO_LETTER.sub("", name.lower())
    return letters.startswith("not") and letters.endswith("brand")


def _os_major(family: str | None, version: str) -> int | None:
    digits = version.partition(".")[0]
    if family is None or not digits.isdecimal() or len(digits) > 6:
        return None
    major = int(digits)
    if family == "Windows":
        return None if major == 0 else 11 if major >= _WINDOWS_11 else 10
    return major if family in {"Android", "iOS", "Mac OS X", "Chrome OS"} and major else None
