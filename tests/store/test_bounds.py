"""Every key ends, and a subject stays small whatever is sent."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskd.store import Store
from tests.store.story import NOW, Raw, Value, attempt, history, report

SUBJECT_BYTES = 65_536
"""Measured: 29 kB after a flood of 10,000 attempts, 40 kB after 1,000 confirmed ones."""


async def sizes(raw: Raw, prefix: str, subject: str) -> dict[str, int]:
    """Return the bytes of each key of a subject."""
    keys = [key for key in await raw.keys() if f"{{s:{subject}}}" in key]
    return {key.removeprefix(prefix): await raw.client.memory_usage(key, samples=0) for key in keys}


async def all_end(raw: Raw) -> bool:
    """Whether every key has a time to live."""
    keys = await raw.keys()
    return all([await raw.client.ttl(key) > 0 for key in keys])


def fresh(number: int, **changes: Value) -> dict[str, Value]:
    """Everything new that an attempt can present, in keys as long as real ones."""
    names = ("address", "device", "network", "payload", "session", "recipient", "request_id")
    new: dict[str, Value] = {name: f"{name[0]}{number:031d}" for name in names}
    country = chr(65 + number % 26) + chr(65 + number // 26 % 26)
    new |= {"family": f"System {number}|Browser {number}", "language": f"l{number % 500}", "country": country}
    new |= {"currency": country + "X", "amount": number / 7, "latitude": number % 90 + 0.5, "sensitive": True}
    new |= {"client": f"System {number}|Browser {number}|mobile|Model {number}", "os_family": f"System {number}"}
    new |= {"kind": f"kind {number % 7}", "browser_major": number}
    new |= {"change": ("contact", "password", "factor", "recipient")[number % 4]}
    return {**new, **changes}


async def test_ten_thousand_fresh_attempts_leave_little(store: Store, raw: Raw, prefix: str) -> None:
    """A flood of fresh devices, addresses, sessions and recipients leaves a bounded subject, and every key ends."""
    for start in range(0, 10_000, 100):
        numbers = range(start, start + 100)
        seen = await asyncio.gather(*(store.observe(attempt(NOW + n / 10, **fresh(n))) for n in numbers))
        for one in seen[::10]:
            await report(store, one, "login_failed")
    used = await sizes(raw, prefix, "ada")
    assert sum(used.values()) <= SUBJECT_BYTES, used
    assert await all_end(raw)
    last = await history(store, NOW + 1001)
    assert last.attempts_24h == 120
    assert last.ips_24h == 64


async def test_a_thousand_confirmed_strange_successes_leave_little(store: Store, raw: Raw, prefix: str) -> None:
    """Even when everything new is confirmed, each kind stays within its bound and the latest are known."""
    for number in range(1000):
        seen = await store.observe(attempt(NOW + number, **fresh(number)))
        assert await report(store, seen, "action_completed") == "accepted"
    used = await sizes(raw, prefix, "ada")
    assert sum(used.values()) <= SUBJECT_BYTES, used
    assert await all_end(raw)
    last = await history(store, NOW + 1000, **fresh(999, request_id=None))
    assert (last.known_devices, last.known_ips, last.known_recipients, last.known_languages) == (20, 50, 100, 10)
    assert (last.device_age_s, len(last.places)) == (1.0, 5)
    old = await history(store, NOW + 1000, **fresh(900, request_id=None))
    assert (old.device_age_s, old.recipient_age_s) == (None, 100.0)


async def test_crowds_stay_small(store: Store, raw: Raw, prefix: str) -> None:
    """A thousand subjects on one address and device count as 256."""
    crowd = [attempt(NOW + number / 100, subject=f"s{number}") for number in range(1000)]
    seen = await asyncio.gather(*(store.observe(one) for one in crowd))
    for one in seen:
        await report(store, one, "login_failed")
    last = await store.observe(attempt(NOW + 11))
    assert last.address_counts is not None
    assert last.device_counts is not None
    assert (last.address_counts.subjects_5m, last.device_counts.subjects_30d) == (256, 256)
    assert (last.address_counts.failures_1h, last.address_counts.failed_subjects_1h) == (256, 256)
    for part in (":u", ":f", ":g"):
        assert await raw.client.zcard(f"{prefix}:{{i:home}}{part}") <= 257


WORDS = ("address", "network", "device", "family", "country", "language", "recipient", "session", "payload")
text = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40) | st.none()
number = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15) | st.none()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.fixed_dictionaries(dict.fromkeys(WORDS, text)),
    numbers=st.fixed_dictionaries(dict.fromkeys(("latitude", "longitude", "accuracy_km", "rtt_ms"), number)),
    amount=number,
)
async def test_any_words_and_numbers_are_taken(
    store: Store, words: dict[str, Value], numbers: dict[str, Value], amount: float | None
) -> None:
    """Whatever text and number an attempt presents, it is counted, confirmed, and its device is known afterwards."""
    money: dict[str, Value] = {"amount": amount, "currency": None if amount is None else "EUR"}
    seen = await store.observe(attempt(**words, **numbers, **money))
    assert await report(store, seen, "login_succeeded") == "accepted"
    known = await history(store, **words, **numbers, **money)
    assert (known.device_age_s is None) == (words["device"] is None)
    assert (known.recipient_age_s is None) == (words["recipient"] is None)
    if words["device"] is not None:
        assert known.device_family == words["family"]
    await store.observe(attempt(subject=words["address"] or "x", **{**words, "device": "laptop"}))
