"""The logins that every service under load is sent: the same ~650 bytes, in the same order, from the same seed.

Nothing may be one cached row: each request has its own id and time, and comes from one of `KNOWN` subjects, who come
again and again with their own device and address, or from somebody never seen before.
"""

import json
import random
from collections.abc import Mapping
from ipaddress import IPv4Network

KNOWN = 8_000
"""Subjects that return; seeding gives each a history of one confirmed login."""
KNOWN_SHARE, ELSEWHERE_SHARE = 0.75, 0.05
"""Shares of known subjects on their own devices, and on new devices elsewhere; the rest are newcomers."""
STEP_S = 0.35
"""Seconds of the attempts' own time between two requests: a subject's logins lie an hour and more apart, as in life."""

_SYSTEMS = (
    ("Windows NT 10.0; Win64; x64", "Windows", "Win32", "?0", (1920, 1080)),
    ("Macintosh; Intel Mac OS X 10_15_7", "macOS", "MacIntel", "?0", (1728, 1117)),
    ("X11; Linux x86_64", "Linux", "Linux x86_64", "?0", (2560, 1440)),
    ("Linux; Android 10; K", "Android", "Linux armv81", "?1", (412, 915)),
)
_HOMES = (
    (IPv4Network("84.128.0.0/10"), "de-DE,de;q=0.9,en;q=0.8", 60),
    (IPv4Network("73.0.0.0/8"), "en-US,en;q=0.9", -300),
    (IPv4Network("90.0.0.0/9"), "fr-FR,fr;q=0.9,en;q=0.8", 60),
    (IPv4Network("126.0.0.0/8"), "ja-JP,ja;q=0.9", 540),
)
"""Where large access providers have their customers, with the language and the offset from UTC of the place."""
_STRANGER_ADDRESSES = 8_000
MIX = (
    f"{KNOWN_SHARE:.0%} of the logins come from {KNOWN:,} subjects with history on their devices, "
    f"{ELSEWHERE_SHARE:.0%} from these subjects on new devices elsewhere, the rest from newcomers; "
    f"{STEP_S} s of their own time lie between two."
)
"""What the requests are, in words."""


class Attempts:
    """An endless line of logins; `known` alone walks once through the known subjects."""

    def __init__(self, begin: float, seed: int = 7, attributes: Mapping[str, object] | None = None) -> None:
        """The first attempt is made at `begin`, seconds since 1970; each carries the same attributes, if any."""
        self.at = begin
        self._more = {"attributes": dict(attributes)} if attributes else {}
        self.served = 0
        self._chance = random.Random(seed)
        # Chrome 100 came out on 29 March 2022 and a version follows every four weeks.
        self._newest_chrome = 100 + int((begin - 1648512000) / (28 * 86400))
        offices = [self._home() for _ in range(KNOWN // 100)]
        self._known = [
            self._pattern(f"u-{i:010d}", f"d-{i:012x}", self._chance.choice(offices) if i % 4 == 0 else self._home())
            for i in range(KNOWN)
        ]
        # The request's number makes device and address, and a newcomer's id as well, so nobody comes twice.
        self._strangers = [self._pattern("%c-%010d", "d-%012x", self._visitor()) for _ in range(_STRANGER_ADDRESSES)]

    def next(self) -> bytes:
        """Return the body of the next login."""
        number = self._tick()
        chance = self._chance.random()
        if chance < KNOWN_SHARE:
            return self._known[int(chance / KNOWN_SHARE * KNOWN)] % (number, number, _rtt_ms(number), self.at)
        elsewhere = chance < KNOWN_SHARE + ELSEWHERE_SHARE
        subject = (b"u", number * 31 % KNOWN) if elsewhere else (b"n", number)
        stranger = self._strangers[number % _STRANGER_ADDRESSES]
        host = 100 + number // 156 % 156, 100 + number % 156
        return stranger % (number, *subject, number, *host, number, _rtt_ms(number), self.at)

    def known(self, index: int) -> bytes:
        """Return a login of the known subject `index`."""
        number = self._tick()
        return self._known[index] % (number, number, _rtt_ms(number), self.at)

    def _tick(self) -> int:
        self.served += 1
        self.at += STEP_S
        return self.served

    def _home(self) -> tuple[str, str, int]:
        network, language, offset = self._chance.choice(_HOMES)
        return str(network[self._chance.randrange(network.num_addresses)]), language, offset

    def _visitor(self) -> tuple[str, str, int]:
        """Return a home whose last two bytes are still open."""
        address, language, offset = self._home()
        return ".".join([*address.split(".")[:2], "%d", "%d"]), language, offset

    def _pattern(self, subject: str, device: str, home: tuple[str, str, int]) -> bytes:
        """Return a body with the places of its changing values open; all of one pattern are equally long."""
        chance = self._chance
        system, hint, platform, mobile, (width, height) = chance.choice(_SYSTEMS)
        chrome = self._newest_chrome - chance.randrange(4)
        address, language, offset = home
        body = {
            "request_id": "r-%012x",
            "subject": {"id": subject, "session_id": "s-%012x", "account_age_days": float(chance.randint(1, 3000))},
            "action": {"name": "login"},
            "resource": {"type": "portal", "endpoint": {"path": "/auth/login", "method": "POST"}},
            "context": {
                "ip": address,
                "user_agent": f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) "
                f"Chrome/{chrome}.0.0.0 {'Mobile ' if mobile == '?1' else ''}Safari/537.36",
                "client_hints": {
                    "sec_ch_ua": f'"Chromium";v="{chrome}", "Google Chrome";v="{chrome}"',
                    "sec_ch_ua_platform": f'"{hint}"',
                    "sec_ch_ua_mobile": mobile,
                },
                "device_id": device,
                "platform": platform,
                "screen": {"width": width, "height": height},
                "accept_language": language,
                "utc_offset_minutes": offset,
                "rtt_ms": "@rtt",
                "time": "@time",
                **self._more,
            },
        }
        text = json.dumps(body, separators=(",", ":"))
        return text.replace('"@rtt"', "%.1f").replace('"@time"', "%.3f").encode()


def _rtt_ms(number: int) -> float:
    """Return 10.0 to 99.9, always as long in the text."""
    return 10 + number * 37 % 900 / 10
