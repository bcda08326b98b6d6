"""ua-parser's patterns, run by RE2: time linear in the text, and a third of the memory that its other engines take."""

from collections.abc import Sequence
from copy import copy
from functools import cache
from typing import Final, Generic, NamedTuple, TypeVar

import re2  # type: ignore[import-untyped,unused-ignore]
from ua_parser.core import OS, Device, Matcher, UserAgent
from ua_parser.lazy import DeviceMatcher
from ua_parser.loaders import load_lazy_builtins
from ua_parser.utils import fa_simplifier

PATTERN_BYTES: Final = 2**18
"""What the automaton of one pattern may grow to with the texts it sees; the largest pattern needs a quarter of it."""

T = TypeVar("T")


class Families(NamedTuple):
    """What the patterns find in a user agent; None = nothing."""

    browser: UserAgent | None
    os: OS | None
    device: Device | None


class _Patterns(Generic[T]):
    """The patterns of one question; the first that matches answers it."""

    def __init__(self, matchers: Sequence[Matcher[T]]) -> None:
        options = re2.Options()
        options.max_mem = PATTERN_BYTES
        options.log_errors = False
        self._matchers = matchers
        self._filter = re2.Filter()
        for matcher in matchers:
            fold = "(?i)" if isinstance(matcher, DeviceMatcher) and matcher.flags else ""
            self._filter.Add(fold + fa_simplifier(matcher.regex), options)
        self._filter.Compile()

    def first(self, text: str) -> T | None:
        """Return what the first pattern that matches makes of the text; None when none does."""
        matching = self._filter.Match(text)
        if not matching:
            return None
        index: int = min(matching)
        matcher = copy(self._matchers[index])
        # Let the very pattern that matched take the text apart, not Python's `re`, which a hostile text makes slow.
        matcher.pattern = self._filter.re(index)  # type: ignore[attr-defined]
        return matcher(text)


class Parser:
    """All patterns, compiled."""

    def __init__(self) -> None:
        browsers, systems, devices = load_lazy_builtins()
        self._browsers, self._systems, self._devices = _Patterns(browsers), _Patterns(systems), _Patterns(devices)

    def read(self, text: str) -> Families:
        """Name browser, system and device; whatever the text, it takes no longer than its length allows."""
        return Families(self._browsers.first(text), self._systems.first(text), self._devices.first(text))


@cache
def parser() -> Parser:
    """Return the compiled patterns; 50 ms the first time."""
    return Parser()
