"""ua-parser's patterns under RE2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ua_parser import BasicResolver, Parser, load_builtins

from riskd.enrich.families import parser

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
USER_AGENTS = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/128.0.0.0 Safari/537.36 Edg/128.0.2739.42",
    f"Mozilla/5.0 (Linux; Android 14; SM-S918B) {WEBKIT} SamsungBrowser/26.0 Chrome/122.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 13; Pixel 7 Build/TQ3A; wv) {WEBKIT} Version/4.0 Chrome/116.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 5.1.1; KFSUWI) {WEBKIT} Silk/108.4.6 like Chrome/108.0.5359.220 Safari/537.36",
    f"Mozilla/5.0 (Linux; U; Android 4.0.3; de-de; Galaxy S II Build/GRJ22) {WEBKIT} Version/4.0 Mobile Safari/534.30",
    f"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) {WEBKIT} SamsungBrowser/2.2 Chrome/63.0.3239.84 TV Safari/537.36",
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/128.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (PlayStation; PlayStation 5/2.26) {WEBKIT} Version/13.0 Safari/605.1.15",
    f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/127.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/26.0 Mobile/15E148 Safari/604",
    "Mozilla/5.0 (iPad; CPU OS 16_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 [FBAN/FBIOS;FBAV/450.0]",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
    "Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0 Firefox/130.0",
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows Phone 8.0; Trident/6.0; IEMobile/10.0; ARM; Touch; NOKIA; Lumia 920)",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; Trident/4.0; .NET CLR 2.0.50727)",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (BB10; Touch) AppleWebKit/537.10+ (KHTML, like Gecko) Version/10.0.9.2372 Mobile Safari/537.10+",
    "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/29.3709; U; en) Presto/2.8.119 Version/11.10",
    "Dalvik/2.1.0 (Linux; U; Android 9; Redmi Note 8 Build/PKQ1.190616.001)",
    "MyBank/5.3.1 (iPhone14,5; iOS 17.2; Scale/3.00) CFNetwork/1490.0.4 Darwin/23.2.0",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "okhttp/4.12.0",
    "python-requests/2.32.3",
    "curl/8.5.0",
    "Wget/1.21.3 (linux-gnu)",
    "whatever",
)


@pytest.fixture(scope="module")
def reference() -> Parser:
    """Return ua-parser's plain engine, which runs Python's `re` pattern by pattern."""
    return Parser(BasicResolver(load_builtins()))


@pytest.mark.parametrize("text", USER_AGENTS)
def test_agrees_with_ua_parser(reference: Parser, text: str) -> None:
    """Families, versions, brands and models are those that ua-parser itself finds."""
    expected = reference.parse(text)
    assert parser().read(text) == (expected.user_agent, expected.os, expected.device)


@given(st.lists(st.sampled_from([part for text in USER_AGENTS for part in text.split()]), max_size=14))
def test_agrees_on_what_nobody_sends(reference: Parser, parts: list[str]) -> None:
    """Scraps of user agents in any order mean the same to both engines."""
    text = " ".join(parts)
    expected = reference.parse(text)
    assert parser().read(text) == (expected.user_agent, expected.os, expected.device)


def test_keeps_the_bounds_of_a_pattern(reference: Parser) -> None:
    """A crawler's name counts in the first hundred characters only, as the pattern says, and not beyond."""
    near, far = "x" * 90 + " Googlebot/2.1;", "x" * 110 + " Googlebot/2.1;"
    assert reference.parse(near).device == parser().read(near).device
    assert parser().read(near).device is not None
    assert reference.parse(far).device is parser().read(far).device is None


@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    """Whatever the text, it is read."""
    assert len(parser().read(text)) == 3


def test_unknown_is_nothing() -> None:
    """A text that no pattern knows has no browser, no system and no device."""
    assert parser().read("") == (None, None, None)
