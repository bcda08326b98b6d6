"""Which user agents are machines: crawlers, headless browsers, scripted HTTP clients."""

import re
from functools import cache

import re2  # type: ignore[import-untyped,unused-ignore]
from crawlerdetect.providers.crawlers import data as crawler_patterns
from crawlerdetect.providers.exclusions import data as browser_patterns


class Crawlers:
    """CrawlerDetect's patterns, compiled for time linear in the text.

    CrawlerDetect itself runs Python's `re`, where 1,024 hostile characters cost 70 ms; RE2 cannot be made slow.
    """

    def __init__(self) -> None:
        options = re2.Options()
        options.case_sensitive = False
        options.never_capture = True
        options.log_errors = False
        linear: list[str] = []
        foreign: list[str] = []
        for pattern in crawler_patterns:
            (foreign if "(?!" in pattern else linear).append(f"(?:{pattern})")
        self._linear = re2.compile("|".join(linear), options)
        self._foreign = re.compile("|".join(foreign) or "(?!)", re.IGNORECASE)
        self._browser_words = re.compile("|".join(f"(?:{pattern})" for pattern in browser_patterns), re.IGNORECASE)

    def name(self, user_agent: str) -> bool:
        """Whether the text names a machine, once the words that every browser says are taken out."""
        rest = self._browser_words.sub("", user_agent).strip()
        return bool(self._linear.search(rest) or self._foreign.search(rest))


@cache
def crawlers() -> Crawlers:
    """Return the compiled patterns; 30 ms the first time."""
    return Crawlers()
