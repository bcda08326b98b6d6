"""Decision ids: UUIDv7 (RFC 9562) whose last two bits carry the verdict.

The outcome report must know what was decided, and the store is written before the decision is made. Two of the 62
random bits say it, so that no second write is needed. The rest of the id, the *base*, names the attempt in the store.
"""

from enum import IntEnum
from os import urandom

VERDICT_BITS = 0b11


class Verdict(IntEnum):
    """What was decided, as far as learning must know it."""

    ALLOW = 0
    STEP_UP = 1
    DENY = 2
    ALLOW_BY_EVIDENCE = 3
    """A step-up that the session's fresh evidence had already achieved."""


def new_base(unix_ms: int) -> str:
    """Return a new id with the verdict bits zero, from a time in milliseconds since 1970."""
    number = (unix_ms & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(urandom(10))
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0b11 << 62) | 0b10 << 62
    return _text(number & ~VERDICT_BITS)


def with_verdict(base: str, verdict: Verdict) -> str:
    """Write the verdict into a base id."""
    return base[:-1] + format(int(base[-1], 16) & ~VERDICT_BITS | verdict, "x")


def split(decision_id: str) -> tuple[str, Verdict]:
    """Return the base and the verdict of a decision id; raises ValueError when it is no lower-case hex id."""
    last = int(decision_id[-1], 16)
    return decision_id[:-1] + format(last & ~VERDICT_BITS, "x"), Verdict(last & VERDICT_BITS)


def unix_ms(decision_id: str) -> int:
    """Time in milliseconds since 1970 that an id carries."""
    return int(decision_id[:8] + decision_id[9:13], 16)


def _text(number: int) -> str:
    digits = format(number, "032x")
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
