"""Velocities against a plain model of their windows, and their bounds under attack."""

import asyncio
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskd.features.velocity import Counted, Counts, Velocity
from riskd.store import Embedded, Store, parse
from tests.store.behaviour_velocities import BUCKETS, count, counting, in_window, velocity
from tests.store.story import DAY, HOUR, NOW, Raw, attempt
from tests.store.test_bounds import all_end

_numbers = itertools.count()

Story = list[tuple[float, str, str, float | None, str | None]]
"""Attempts: the pause before each in windows, the subject, the currency, the amount and the device."""

stories = st.lists(
    st.tuples(
        st.floats(0, 1.5) | st.sampled_from((0.0, 1 / 60, 0.5, 1.0, 61 / 60)),
        st.sampled_from(("ada", "bob")),
        st.sampled_from(("EUR", "USD")),
        st.floats(0, 1e9) | st.none(),
        st.sampled_from(("laptop", "phone", "tablet", None)),
    ),
    min_size=1,
    max_size=25,
)


async def _as_the_model_says(url: str, marker: Path, window_s: float, story: Story) -> None:
    counted = counting(
        velocity("attempts", window_s=window_s),
        velocity("paid", kind="sum", of="amount", window_s=window_s),
        velocity("devices", kind="distinct", of="device", window_s=window_s),
    )
    store = Store(parse(url), marker, budget_s=5.0, prefix=f"w{next(_numbers)}")
    told: dict[str, list[tuple[float, str, float | None, str | None]]] = {"ada": [], "bob": []}
    now = NOW
    try:
        for pause, subject, currency, amount, device in story:
            now += pause * window_s
            amounts = {} if amount is None else {"amount": amount}
            seen = await count(
                store, counted, now, keys={"subject": subject, "device": device}, amounts=amounts, currency=currency
            )
            past = told[subject]
            past.append((now, currency, amount, device))
            attempts, paid, devices = seen
            assert attempts == in_window([(time, 1) for time, *_ in past], now, window_s)
            sums = [(time, amount) for time, of, amount, _ in past if of == currency and amount is not None]
            expected = in_window(sums, now, window_s)
            assert paid is not None
            assert abs(paid - expected) <= 1e-9 * max(1.0, expected)
            assert devices == len({device for time, *_, device in past if device and now - time <= window_s})
    finally:
        await store.close()


@settings(max_examples=60, deadline=None)
@given(window_s=st.sampled_from((1.0, 60.0, 3600.0, 7 * DAY, 30 * DAY)), story=stories)
def test_windows_are_those_of_the_model(
    embedded: Embedded, tmp_path_factory: pytest.TempPathFactory, window_s: float, story: Story
) -> None:
    """Whatever happens when, count and sum are those of the buckets in the window, and distinct those of the window."""
    marker = tmp_path_factory.mktemp("marker") / "epoch"
    asyncio.run(_as_the_model_says(embedded.url, marker, window_s, story))


def _everything() -> Counted:
    """As many velocities as a policy may have, each window, kind and entity among them."""
    windows = (1.0, 60.0, HOUR, DAY, 30 * DAY)
    kinds = (("count", "attempts"), ("sum", "amount"), ("distinct", "ip"), ("distinct", "attributes.card"))
    per = ("subject", "device", "recipient", "attributes.tenant")
    made = itertools.product(kinds, per, windows)
    return Counted(
        tuple(
            Velocity(name=f"v{number}", kind=kind, of=of, per=on, window_s=window)  # type: ignore[arg-type]
            for number, ((kind, of), on, window) in enumerate(itertools.islice(made, 0, None, 2))
        )[:32]
    )


def _hostile(number: int) -> Counts:
    keys = {
        "subject": "ada",
        "device": "laptop",
        "recipient": "landlord",
        "ip": f"i{number:031d}",
        "attributes.card": f"c{number:023d}",
        "attributes.tenant": "t",
    }
    return Counts(EVERYTHING, keys, {"amount": number / 7})


EVERYTHING = _everything()


async def test_a_flood_leaves_little(store: Store, raw: Raw) -> None:
    """Thirty-two velocities under a flood of fresh addresses, cards and currencies stay small, and every key ends."""
    for start in range(0, 3000, 100):
        numbers = range(start, start + 100)
        currencies = (chr(65 + n % 26) + chr(65 + n // 26 % 26) + "X" for n in numbers)
        await asyncio.gather(
            *(
                store.observe(attempt(NOW + n * HOUR / 3, address=f"i{n:031d}", currency=currency), _hostile(n))
                for n, currency in zip(numbers, currencies, strict=True)
            )
        )
    assert await all_end(raw)
    keys = [key for key in await raw.keys() if ":y" in key]
    sizes = {key: await raw.client.memory_usage(key, samples=0) for key in keys}
    assert max(sizes.values()) <= 50_000, sizes
    for key in keys:
        kind = await raw.client.type(key)
        if kind == "zset":
            assert await raw.client.zcard(key) <= 256
    assert len(keys) <= 2 * 32


async def test_a_distinct_count_stops_at_256(store: Store) -> None:
    """Among a thousand addresses 256 are counted, and the latest are those that are kept."""
    counted = counting(velocity("ips_1h", kind="distinct", of="ip"))
    calls = (count(store, counted, NOW + n / 1000, keys={"ip": f"i{n}"}) for n in range(1000))
    assert max(seen for (seen,) in await asyncio.gather(*calls)) == 256
    assert await count(store, counted, NOW + 2, keys={"ip": "i999"}) == [256]


async def test_times_out_of_order_stay_small(store: Store, raw: Raw) -> None:
    """A series that attempts told late have put out of order is as short as any."""
    counted = counting(velocity("a_1h"))
    for number in range(400):
        await count(store, counted, NOW - number * HOUR / BUCKETS)
    (key,) = [key for key in await raw.keys() if key.endswith(":y")]
    assert await raw.client.strlen(key) <= 600
