"""ua-parser's patterns, run by RE2: time linear in the text, and a third of the memory that its other engines take."""

from collections.abc import Sequence
from copy import copy
from functools import cache, lru_cache
from typing import Final, Generic, NamedTuple, TypeVar

import re2  # type: ignore[import-untyped,unused-ignore]
from ua_parser.core import OS, Device, Matcher, UserAgent
from ua_parser.lazy import DeviceMatcher
from ua_parser.loaders import load_lazy_builtins
from ua_parser.utils import fa_simplifier

PATTERN_BYTES: Final = 2**18
"""What the automaton of one pattern may grow to with the texts it sees; the largest pattern needs a quarter of it."""

BOUNDED_KEPT: Final = 64
"""How many patterns with their bounds stay compiled per question, the last used first: what traffic needs, and no more
than 16 MB when somebody sends a text for every pattern there is."""

T = TypeVar("T")


class Families(NamedTuple):
    """What the patterns find in a user agent; None = nothing."""

    browser: UserAgent | None
    os: OS | None
    device: Device | None


class _Patterns(Generic[T]):
    """The patterns of one question; the first that matches answers it."""

    def __init__(self, matchers: Sequence[Matcher[T]]) -> None:
        self._options = re2.Options()
        self._options.max_mem = PATTERN_BYTES
        self._options.log_errors = False
        self._matchers = matchers
        self._filter = re2.Filter()
        # Without their bounds ({0,100} is * here) a thousand patterns share one small automaton. It names every
        # pattern that may match and some that do not: a word beyond the bound.
        for matcher in matchers:
            self._filter.Add(_fold(matcher) + fa_simplifier(matcher.regex), self._options)
        self._filter.Compile()
        self._bounded = lru_cache(BOUNDED_KEPT)(self._compile)

    def first(self, text: str) -> T | None:
        """Return what the first pattern that matches makes of the text; None when none does."""
        for index in sorted(self._filter.Match(text) or ()):
            matcher = copy(self._matchers[index])
            # Let RE2 take the text apart too, not Python's `re`, which a hostile text makes slow.
            matcher.pattern = self._bounded(index)
            found: T | None = matcher(text)
            if found is not None:
                return found
        return None

    def _compile(self, index: int) -> object:
        """Return the pattern as ua-parser means it, bounds and all."""
        matcher = self._matchers[index]
        return re2.compile(_fold(matcher) + matcher.regex, self._options)


def _fold(matcher: Matcher[T]) -> str:
    """Return the prefix that makes a pattern blind to case, where it is to be."""
    return "(?i)" if isinstance(matcher, DeviceMatcher) and matcher.flags else ""


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
