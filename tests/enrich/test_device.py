"""User agents, client hints and what they make of a device."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.contract import ClientHints, Context, Screen
from riskd.enrich.device import read_device
from riskd.enrich.email import is_disposable
from riskd.enrich.user_agent import read_user_agent

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
WINDOWS = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/128.0.0.0 Safari/537.36"
ANDROID = f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/128.0.0.0 Mobile Safari/537.36"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS {os} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) {browser} "
    "Mobile/15E148 Safari/604.1"
)
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@pytest.mark.parametrize(
    ("text", "kind", "bot", "os", "browser"),
    [
        (WINDOWS, "desktop", False, ("Windows", 10), ("Chrome", 128)),
        (WINDOWS + " Edg/128.0.0.0", "desktop", False, ("Windows", 10), ("Edge", 128)),
        (WINDOWS + " OPR/114.0.0.0", "desktop", False, ("Windows", 10), ("Opera", 114)),
        (ANDROID, "mobile", False, ("Android", None), ("Chrome Mobile", 128)),
        (
            ANDROID.replace("Android 10; K", "Android 13; SM-X700"),
            "mobile",
            False,
            ("Android", 13),
            ("Chrome Mobile", 128),
        ),
        (
            f"Mozilla/5.0 (Linux; Android 13; SM-X700) {WEBKIT} Chrome/128.0.0.0 Safari/537.36",
            "tablet",
            False,
            ("Android", 13),
            ("Chrome", 128),
        ),
        (
            f"Mozilla/5.0 (Linux; Android 14; SM-S918B) {WEBKIT} SamsungBrowser/26.0 Chrome/122.0 Mobile Safari/537",
            "mobile",
            False,
            ("Android", 14),
            ("Samsung Internet", 26),
        ),
        (IPHONE.format(os="17_5_1", browser="Version/17.5"), "mobile", False, ("iOS", 17), ("Mobile Safari", 17)),
        (IPHONE.format(os="18_6", browser="Version/26.0"), "mobile", False, ("iOS", 26), ("Mobile Safari", 26)),
        (IPHONE.format(os="18_6", browser="Version/18.6"), "mobile", False, ("iOS", 18), ("Mobile Safari", 18)),
        (IPHONE.format(os="18_6", browser="CriOS/140.0"), "mobile", False, ("iOS", None), ("Chrome Mobile iOS", 140)),
        (MAC, "desktop", False, ("Mac OS X", None), ("Safari", 17)),
        (
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
            "desktop",
            False,
            ("Ubuntu", None),
            ("Firefox", 130),
        ),
        (
            f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/128.0.0.0 Safari/537.36",
            "desktop",
            False,
            ("Chrome OS", 14541),
            ("Chrome", 128),
        ),
        (GOOGLEBOT, "other", True, (None, None), ("Googlebot", 2)),
        ("curl/8.5.0", "other", True, (None, None), ("curl", 8)),
        ("python-requests/2.32.3", "other", True, (None, None), ("Python Requests", 2)),
        ("okhttp/4.12.0", "other", True, (None, None), ("okhttp", 4)),
        (WINDOWS.replace("Chrome/", "HeadlessChrome/"), "other", True, ("Windows", 10), ("HeadlessChrome", 128)),
    ],
)
def test_real_user_agents(
    text: str, kind: str, bot: bool, os: tuple[str | None, int | None], browser: tuple[str | None, int | None]
) -> None:
    """Families, versions, kind and machines are read; versions that browsers freeze are unknown."""
    agent = read_user_agent(text)
    assert (agent.kind, agent.bot) == (kind, bot)
    assert (agent.os_family, agent.os_major) == os
    assert (agent.browser_family, agent.browser_major) == browser
    assert agent.parsed


@pytest.mark.parametrize(
    ("named", "model", "client"),
    [
        ("Android 9; SM-G960F", "SM-G960F", "Android|Chrome Mobile|mobile|SM-G960F"),
        ("Android 10; K", None, "Android|Chrome Mobile|mobile|"),  # the reduced user agent names none
        ("Android 9; SM-4111 1111 1111 1111", None, "Android|Chrome Mobile|mobile|"),
        ("Android 9; SM-ada@example.org", None, "Android|Chrome Mobile|mobile|"),
        ("Android 9; SM-" + "G" * 60, None, "Android|Chrome Mobile|mobile|"),
    ],
)
def test_a_model_is_a_short_word(named: str, model: str | None, client: str) -> None:
    """What the user agent calls the device is kept where it can be a model, and makes the client."""
    text = f"Mozilla/5.0 (Linux; {named}) {WEBKIT} Chrome/80.0.0.0 Mobile Safari/537.36"
    device = read_device(Context(user_agent=text), None, None)
    assert (device.model, device.client) == (model, client)


@pytest.mark.parametrize(
    ("text", "present", "parsed", "bot", "family"),
    [
        (None, None, None, None, None),
        ("", False, None, None, None),
        ("   ", False, None, None, None),
        ("whatever", True, False, False, "Other|Other"),
        (WINDOWS, True, True, False, "Windows|Chrome"),
        (WINDOWS + "x" * 8000, True, True, False, "Windows|Chrome"),
    ],
)
def test_presence(
    text: str | None, present: bool | None, parsed: bool | None, bot: bool | None, family: str | None
) -> None:
    """A user agent not sent is unknown, an empty one is absent, an odd one is present and not parsed."""
    device = read_device(Context(user_agent=text), "d", None)
    assert (device.user_agent_present, device.user_agent_parsed, device.bot) == (present, parsed, bot)
    assert (device.family, device.id) == (family, "d")


def hints(brand: str, platform: str, **more: str) -> ClientHints:
    """Make hints as Chromium sends them, grease first."""
    brands = f'"Not)A;Brand";v="99", "Chromium";v="128", "{brand}";v="128"'
    return ClientHints(sec_ch_ua=brands, sec_ch_ua_platform=f'"{platform}"', **more)


@pytest.mark.parametrize(
    ("text", "sent", "platform", "os", "browser"),
    [
        (WINDOWS, hints("Google Chrome", "Windows"), "Win32", "Windows", "Chrome"),
        (ANDROID, hints("Google Chrome", "Android", sec_ch_ua_mobile="?1"), "Linux armv81", "Android", "Chrome Mobile"),
        (WINDOWS + " Edg/128.0.0.0", hints("Microsoft Edge", "Windows"), "Win32", "Windows", "Edge"),
        (WINDOWS, hints("Brave", "Windows"), "Win32", "Windows", None),
        (MAC, None, "MacIntel", "Mac OS X", None),
        (IPHONE.format(os="17_5", browser="Version/17.5"), None, "MacIntel", "iOS", None),
        (IPHONE.format(os="17_5", browser="Version/17.5"), None, "iPhone", "iOS", None),
        (f"Mozilla/5.0 (X11; CrOS x86_64 1.0.0) {WEBKIT} Chrome/128.0.0.0", None, "Linux x86_64", "Chrome OS", None),
        (
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
            None,
            "Linux x86_64",
            "Ubuntu",
            None,
        ),
    ],
)
def test_honest_devices_do_not_contradict_themselves(
    text: str, sent: ClientHints | None, platform: str, os: str, browser: str | None
) -> None:
    """Hints and platform words are told in the words of the user agent they agree with."""
    device = read_device(Context(user_agent=text, client_hints=sent, platform=platform), None, None)
    assert device.os_family == device.platform_os_family == os
    assert device.hint_os_family == (os if sent else None)
    assert device.hint_browser_family == browser
    assert device.bot is False


def test_contradictions_show() -> None:
    """A spoofed user agent keeps what hints and platform say beside it."""
    device = read_device(
        Context(user_agent=MAC, client_hints=hints("HeadlessChrome", "Linux"), platform="Win32"), None, None
    )
    assert (device.os_family, device.hint_os_family, device.platform_os_family) == ("Mac OS X", "Linux", "Windows")
    assert (device.browser_family, device.hint_browser_family) == ("Safari", "HeadlessChrome")
    assert device.bot


def test_hints_know_more() -> None:
    """Versions come from hints first, and everything does when there is no user agent."""
    sent = hints("Google Chrome", "Windows", sec_ch_ua_platform_version='"15.0.0"', sec_ch_ua_mobile="?0")
    device = read_device(Context(user_agent=WINDOWS, client_hints=sent), None, None)
    assert (device.os_major, device.browser_major, device.hint_mobile) == (11, 128, False)
    full = '"Google Chrome";v="129.0.6668.58"'
    sent = ClientHints(
        sec_ch_ua_full_version_list=full, sec_ch_ua_platform='"macOS"', sec_ch_ua_platform_version='"14.5.0"'
    )
    device = read_device(Context(client_hints=sent), None, None)
    assert (device.family, device.os_major, device.browser_major) == ("Mac OS X|Chrome", 14, 129)
    assert device.user_agent_present is None


@pytest.mark.parametrize(
    ("brands", "version", "expected"),
    [
        ('"Not A;Brand";v="99"', '"0.1.0"', (None, None)),
        ('"Chromium";v="128"', '"10.0.0"', (None, 10)),
        ('"Google Chrome";v="x"', '"13.0.0"', ("Chrome", 11)),
        ('"Google Chrome"', "x", (None, None)),
        ('"' * 1000, "9" * 60, (None, None)),
        ("\\" * 1000, "", (None, None)),
    ],
)
def test_odd_hints(brands: str, version: str, expected: tuple[str | None, int | None]) -> None:
    """Made-up brands are no brands, and malformed hints count as not sent."""
    sent = ClientHints(sec_ch_ua=brands, sec_ch_ua_platform='"Windows"', sec_ch_ua_platform_version=version or None)
    device = read_device(Context(client_hints=sent), None, None)
    assert (device.hint_browser_family, device.os_major) == expected


@pytest.mark.parametrize(
    ("sent", "language"),
    [
        ("en-GB,en;q=0.5", "en"),
        ("DE", "de"),
        ("zh-Hant-TW", "zh"),
        ("*", None),
        ("e", None),
        (",", None),
        ("12-34", None),
    ],
)
def test_language(sent: str, language: str | None) -> None:
    """The first language counts, by its primary subtag."""
    assert read_device(Context(accept_language=sent), None, None).language == language


def test_passes_measures_on() -> None:
    """Screen, clock and round trip come through as they are."""
    context = Context(screen=Screen(width=390, height=844), utc_offset_minutes=-60, rtt_ms=12.5)
    device = read_device(context, None, "digest")
    assert (device.screen_width, device.screen_height) == (390, 844)
    assert (device.utc_offset_minutes, device.rtt_ms, device.digest) == (-60, 12.5, "digest")


HOSTILE = [
    "a",
    "-",
    " ",
    "(",
    "1.",
    "bot",
    "; ",
    "Version/",
    "Safari 1.1 ",
    "Linux; Android ",
    "Mozilla/5.0 (",
    "é",
    "\x00",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hundred_kilobytes(piece: str) -> None:
    """100 KB of what makes patterns run long is cut and read like any other text."""
    text = piece * (100_000 // len(piece))
    assert read_user_agent(text) == read_user_agent(text[:1024])


@given(st.text(max_size=300), st.text(max_size=100), st.text(max_size=60))
def test_never_raises(text: str, brands: str, platform: str) -> None:
    """Whatever a client writes, the facts are made."""
    context = Context.model_construct(
        user_agent=text,
        accept_language=brands,
        platform=platform,
        client_hints=ClientHints.model_construct(sec_ch_ua=brands),
    )
    assert read_device(context, None, None).user_agent_present is bool(text.strip())


@pytest.mark.parametrize(
    ("domain", "disposable"),
    [
        ("mailinator.com", True),
        ("MAILINATOR.com.", True),
        ("eu.mailinator.com", True),
        ("gmail.com", False),
        ("com", False),
        ("mailinator.com.example", False),
        ("münchen.example", False),
        (".", False),
        ("é" * 200 + ".com", False),
        ("\ud800.com", False),
    ],
)
def test_disposable_domains(domain: str, disposable: bool) -> None:
    """Domains on the list, and those below them, are disposable, however they are spelt."""
    assert is_disposable(domain) is disposable
