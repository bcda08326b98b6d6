"""The logins that all services under load are sent: the same ~650 bytes, in the same order, from the same seed.

Nothing may be one cached row: each request has its own id and time, and comes from one of `KNOWN` subjects, who come
again and again with their own device and address, or from somebody never seen before. `KNOWN_SHARE` says how many of
the requests come from known subjects; seeding gives each of those a history of one confirmed login first.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

KNOWN = 8_000
NEWCOMERS = 8_000
KNOWN_SHARE = 0.8
STEP_S = 0.35
"""Seconds of the attempts' own time between two requests, so that a subject's logins lie hours apart, as in life."""

_BROWSERS = (
    ("Windows NT 10.0; Win64; x64", "Windows", "Win32", "?0", (1920, 1080)),
    ("Macintosh; Intel Mac OS X 10_15_7", "macOS", "MacIntel", "?0", (1728, 1117)),
    ("X11; Linux x86_64", "Linux", "Linux x86_64", "?0", (2560, 1440)),
    ("Linux; Android 10; K", "Android", "Linux armv81", "?1", (412, 915)),
)
_LANGUAGES = (
    *("de-DE,de;q=0.9,en;q=0.8", "en-US,en;q=0.9", "fr-FR,fr;q=0.9,en;q=0.7", "pt-BR,pt;q=0.9,en;q=0.8"),
    *("es-ES,es;q=0.9", "nl-NL,nl;q=0.9,en;q=0.8", "pl-PL,pl;q=0.9,en-US;q=0.8", "ja-JP,ja;q=0.9"),
)
_MARK_ID, _MARK_TIME, _MARK_RTT = "@request-id@", 1.25, 2.5  # stand-ins that occur nowhere else in a body


@dataclass(frozen=True, slots=True)
class Template:
    """One subject's login, cut where id, round-trip time and time of the attempt go."""

    head: bytes
    after_id: bytes
    after_rtt: bytes
    tail: bytes

    def body(self, number: int, at: float) -> bytes:
        """Return the body of request `number`, made at `at` seconds since 1970."""
        return b"%s%012x%s%.1f%s%.3f%s" % (
            *(self.head, number, self.after_id, 20 + number * 37 % 1600 / 10, self.after_rtt, at, self.tail),
        )


def _public_address(chance: random.Random) -> str:
    while True:
        address = IPv4Address(chance.getrandbits(32))
        if address.is_global and not address.is_multicast:
            return str(address)


def _template(chance: random.Random, name: str, address: str) -> Template:
    system, hint, platform, mobile, (width, height) = chance.choice(_BROWSERS)
    chrome = chance.randint(120, 143)
    body = {
        "request_id": _MARK_ID,
        "subject": {"id": name, "session_id": f"s-{chance.getrandbits(64):016x}", "account_age_days": 812.0},
        "action": {"name": "login"},
        "resource": {"type": "portal", "endpoint": {"path": "/auth/login", "method": "POST"}},
        "context": {
            "ip": address,
            "user_agent": f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) "
            f"Chrome/{chrome}.0.0.0 {'Mobile ' * (mobile == '?1')}Safari/537.36",
            "client_hints": {
                "sec_ch_ua": f'"Chromium";v="{chrome}", "Google Chrome";v="{chrome}"',
                "sec_ch_ua_platform": f'"{hint}"',
                "sec_ch_ua_mobile": mobile,
            },
            "device_id": f"d-{chance.getrandbits(96):024x}",
            "platform": platform,
            "screen": {"width": width, "height": height},
            "accept_language": chance.choice(_LANGUAGES),
            "utc_offset_minutes": chance.choice((-300, -180, 0, 60, 120, 540)),
            "rtt_ms": _MARK_RTT,
            "time": _MARK_TIME,
        },
    }
    text = json.dumps(body, separators=(",", ":")).encode()
    head, rest = text.split(_MARK_ID.encode())
    after_id, rest = rest.split(b'"rtt_ms":2.5')
    after_rtt, tail = rest.split(b"1.25")
    return Template(head, after_id, after_id_rtt(after_id, after_rtt), tail)


def build(seed: int = 7) -> tuple[list[Template], list[Template]]:
    """Return the templates of known subjects and of newcomers."""
    chance = random.Random(seed)
    offices = [_public_address(chance) for _ in range(KNOWN // 100)]
    known = [
        _template(chance, f"u-{number:06d}", chance.choice(offices) if number % 4 == 0 else _public_address(chance))
        for number in range(KNOWN)
    ]
    newcomers = [_template(chance, f"n-{number:06d}-@", _public_address(chance)) for number in range(NEWCOMERS)]
    return known, newcomers
