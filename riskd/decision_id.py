"""Decision ids: UUIDv7 (RFC 9562) whose last 32 bits carry the verdict, sealed.

The outcome report must know what was decided, and the store is written before the decision is made. Two of the random
bits say it, so that no second write is needed, and thirty more are a keyed hash over the rest: who does not hold the
key cannot turn the id of a denied attempt into that of an allowed one. The id without them, the *base*, names the
attempt in the store.
"""

from enum import IntEnum
from hashlib import blake2b
from hmac import compare_digest
from os import urandom

SEAL_DIGITS = 8
"""Hexadecimal digits at the end that hold seal and verdict."""
VERDICT_BITS = 0b11
_VARIANTS = {digit: format(0b1000 | int(digit, 16) & 0b11, "x") for digit in "0123456789abcdef"}
"""A random digit → one whose first two bits are those of the variant, and the other two random."""


class Verdict(IntEnum):
    """What was decided, as far as learning must know it."""

    ALLOW = 0
    STEP_UP = 1
    DENY = 2
    ALLOW_BY_EVIDENCE = 3
    """A step-up that the session's fresh evidence had already achieved."""


class Sealer:
    """Writes verdicts into ids and reads them back."""

    def __init__(self, key: bytes) -> None:
        """`key` is secret, 16 to 64 bytes."""
        self._seed = blake2b(key=key, person=b"verdict", digest_size=SEAL_DIGITS // 2)

    def seal(self, base: str, verdict: Verdict) -> str:
        """Return the decision id of an attempt's base and its verdict."""
        return base[:-SEAL_DIGITS] + self._digits(base, verdict)

    def open(self, decision_id: str) -> tuple[str, Verdict]:
        """Return base and verdict of a decision id; raises ValueError for one that was not sealed with this key."""
        base = base_of(decision_id)
        verdict = Verdict(int(decision_id[-1], 16) & VERDICT_BITS)
        if not compare_digest(decision_id[-SEAL_DIGITS:].encode(), self._digits(base, verdict).encode()):
            raise ValueError("not a decision id of this riskd")
        return base, verdict

    def _digits(self, base: str, verdict: Verdict) -> str:
        state = self._seed.copy()
        state.update(f"{base} {verdict:d}".encode())
        digits = state.hexdigest()
        return f"{digits[:-1]}{int(digits[-1], 16) & ~VERDICT_BITS | verdict:x}"


def base_of(decision_id: str) -> str:
    """Return the base of a decision id."""
    return decision_id[:-SEAL_DIGITS] + "0" * SEAL_DIGITS


def new_base(unix_ms: int) -> str:
    """Return a new base from a time in milliseconds since 1970: 42 random bits tell those of one millisecond apart."""
    time, chance = f"{unix_ms & 0xFFFF_FFFF_FFFF:012x}", urandom(6).hex()
    variant = _VARIANTS[chance[3]]
    return f"{time[:8]}-{time[8:]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[7:11]}{'0' * SEAL_DIGITS}"


def unix_ms(decision_id: str) -> int:
    """Time in milliseconds since 1970 that an id carries."""
    return int(decision_id[:8] + decision_id[9:13], 16)
