"""Velocities that a policy declares: what the store counts of them, whatever it runs on."""

import asyncio
from collections.abc import Mapping
from math import floor
from typing import Any

import pytest

from riskd.errors import ConflictError
from riskd.features.velocity import Counted, Counts, Velocity
from riskd.store import Store
from tests.store.story import DAY, HOUR, MINUTE, NOW, attempt

KEYS = {"subject": "ada", "ip": "home", "network": "AS1", "device": "laptop", "recipient": "landlord", "country": "DE"}
"""What Ada's usual attempt presents."""
BUCKETS = 60


def velocity(name: str = "attempts_1h", **changes: Any) -> Velocity:  # noqa: ANN401 - fields vary in type
    """Declare a count of the subject's attempts in an hour, but for some changes."""
    return Velocity(**{"name": name, "kind": "count", "of": "attempts", "per": "subject", "window_s": HOUR, **changes})


def counting(*velocities: Velocity) -> Counted:
    """Velocities that are counted together."""
    return Counted(velocities)


async def count(
    store: Store,
    counted: Counted,
    now: float = NOW,
    *,
    keys: Mapping[str, str | None] | None = None,
    amounts: Mapping[str, float] | None = None,
    **changes: Any,  # noqa: ANN401
) -> list[float | None]:
    """Attempt, and return the velocities in their order."""
    presented = {**KEYS, **(keys or {})}
    own = {field: presented[word] for field, word in OWN.items()}
    made = attempt(now, **{**own, **changes})
    seen = await store.observe(made, Counts(counted, presented, amounts or {}))
    assert seen.velocities.keys() == {declared.key for declared in counted.velocities}
    return [seen.velocities[declared.key] for declared in counted.velocities]


OWN = {"subject": "subject", "address": "ip", "network": "network", "device": "device"}
"""Entities of the attempt itself, by their words."""


def in_window(told: list[tuple[float, float]], now: float, window_s: float) -> float:
    """Sum as the store promises to: the bucket of `now` and the 60 before it, and what was told to come later."""
    width = window_s / BUCKETS
    return sum(value for time, value in told if floor(time / width) >= floor(now / width) - BUCKETS)


class Velocities:
    """Count, sum and distinct per entity and window."""

    async def test_attempts_are_counted_per_entity(self, store: Store) -> None:
        """Each entity counts for itself, this attempt included, and all in one call."""
        words = ("subject", "ip", "network", "device", "recipient")
        counted = counting(*(velocity(f"of_{word}_1h", per=word) for word in words))
        assert await count(store, counted) == [1] * 5
        assert await count(store, counted, keys={"subject": "bob", "device": "phone"}) == [1, 2, 2, 1, 2]
        assert await count(store, counted, keys={"recipient": "shop"}) == [2, 3, 3, 2, 1]

    async def test_what_is_not_presented_is_unknown(self, store: Store) -> None:
        """Without its entity a velocity is unknown, counts nothing, and the others are counted all the same."""
        words = ("subject", "recipient", "attributes.card", "ip")
        counted = counting(*(velocity(f"of_{word[-4:]}_1h", per=word) for word in words))
        nobody = {"subject": None, "recipient": None}
        assert await count(store, counted, keys=nobody) == [None, None, None, 1]
        assert await count(store, counted, keys={"attributes.card": "c1"}) == [1, 1, 1, 2]

    async def test_attributes_are_entities(self, store: Store) -> None:
        """Two values of an attribute, and one value of two attributes, are counted apart."""
        counted = counting(
            velocity("of_card_1h", per="attributes.card"), velocity("of_tenant_1h", per="attributes.tenant")
        )
        for keys, seen in (
            ({"attributes.card": "c1", "attributes.tenant": "t1"}, [1, 1]),
            ({"attributes.card": "c2", "attributes.tenant": "t1"}, [1, 2]),
            ({"attributes.card": "c1"}, [2, None]),
        ):
            assert await count(store, counted, keys=keys) == seen

    async def test_attempts_leave_the_window(self, store: Store) -> None:
        """An attempt counts for its window, and a 60th of it more at most."""
        counted = counting(velocity("a_1s", window_s=1.0), velocity("a_1h"), velocity("a_30d", window_s=30 * DAY))
        assert await count(store, counted, NOW - HOUR) == [1, 1, 1]
        assert await count(store, counted, NOW - 1.0) == [1, 2, 2]
        assert await count(store, counted, NOW) == [2, 3, 3]
        assert await count(store, counted, NOW + 1.02) == [1, 4, 4]
        assert await count(store, counted, NOW + MINUTE + 2) == [1, 4, 5]
        assert await count(store, counted, NOW + HOUR) == [1, 4, 6]
        assert await count(store, counted, NOW + 31 * DAY) == [1, 1, 1]

    async def test_windows_slide_as_promised(self, store: Store) -> None:
        """After each of many attempts at uneven times the count is exactly that of the buckets in the window."""
        counted = counting(velocity("a_10m", window_s=600.0))
        told: list[tuple[float, float]] = []
        now = NOW
        for number in range(150):
            now += (number * 7919) % 41
            told.append((now, 1))
            (seen,) = await count(store, counted, now)
            assert seen == in_window(told, now, 600.0)
            exact = sum(now - time <= 600 for time, _ in told)
            assert exact <= seen <= sum(now - time <= 610 for time, _ in told)

    async def test_amounts_are_summed_per_currency(self, store: Store) -> None:
        """A sum holds this amount and earlier ones of the same currency; without a currency it is unknown."""
        counted = counting(velocity("paid_1h", kind="sum", of="amount"))
        assert await count(store, counted, currency="EUR", amounts={"amount": 100.25}) == [100.25]
        assert await count(store, counted, currency="USD", amounts={"amount": 7.0}) == [7.0]
        assert await count(store, counted, currency="EUR", amounts={"amount": 0.75}) == [101.0]
        assert await count(store, counted, currency="EUR") == [101.0]
        assert await count(store, counted) == [None]

    async def test_many_currencies_hide_no_amount(self, store: Store) -> None:
        """Amounts in more currencies than are kept apart count for each: too much rather than too little."""
        counted = counting(velocity("paid_1h", kind="sum", of="amount"))
        await count(store, counted, currency="EUR", amounts={"amount": 9000.0})
        for number in range(40):
            await count(store, counted, currency=f"X{number}", amounts={"amount": 1.0})
        await count(store, counted, currency="GBP", amounts={"amount": 5000.0})
        (euros,) = await count(store, counted, currency="EUR", amounts={"amount": 9000.0})
        (pounds,) = await count(store, counted, currency="GBP", amounts={"amount": 5000.0})
        assert euros is not None
        assert pounds is not None
        assert euros >= 18_000
        assert pounds >= 10_000
        later = NOW + 2 * HOUR
        assert await count(store, counted, later, currency="GBP", amounts={"amount": 5.0}) == [5.0]

    async def test_attributes_are_summed(self, store: Store) -> None:
        """A sum of an attribute knows no currency, takes negative numbers, and is told where nothing is added."""
        counted = counting(velocity("bytes_1h", kind="sum", of="attributes.bytes", per="device"))
        assert await count(store, counted, amounts={"attributes.bytes": 2.5e9}) == [2.5e9]
        assert await count(store, counted, currency="EUR", amounts={"attributes.bytes": -0.5e9}) == [2e9]
        assert await count(store, counted) == [2e9]

    async def test_distinct_things_are_counted(self, store: Store) -> None:
        """However often each comes it counts once; where none is presented the count so far is told."""
        counted = counting(velocity("devices_1h", kind="distinct", of="device"))
        for device, seen in (("laptop", 1), ("phone", 2), ("laptop", 2), (None, 2), ("tablet", 3)):
            assert await count(store, counted, keys={"device": device}) == [seen]
        assert await count(store, counted, NOW + HOUR + 1) == [1]

    async def test_everything_can_be_told_apart(self, store: Store) -> None:
        """Subjects, addresses, networks, recipients, countries and attributes are counted like devices."""
        words = ("subject", "ip", "network", "recipient", "country", "attributes.card")
        made = (velocity(f"v{n}_1h", kind="distinct", of=word, per="device") for n, word in enumerate(words))
        counted = counting(*made)
        for number in (1, 2):
            seen = await count(store, counted, keys={word: f"{word}-{number}" for word in words})
            assert seen == [number] * 6

    async def test_a_repeat_is_told_the_first_values(self, store: Store) -> None:
        """The same request id gets what the first got, under another policy too, and counts nothing."""
        first = counting(velocity("a_1h"), velocity("of_ip_1h", per="ip"), velocity("of_payee_1h", per="recipient"))
        assert await count(store, first, NOW - 1) == [1, 1, 1]
        named = {"request_id": "r", "request_digest": "d"}
        assert await count(store, first, **named) == [2, 2, 2]
        assert await count(store, first, NOW + 1, **named) == [2, 2, 2]
        other = counting(velocity("a_1h"), velocity("new_1h"))
        made = attempt(NOW + 2, request_id="r", request_digest="d", recipient="landlord")
        told = (await store.observe(made, Counts(other, KEYS, {}))).velocities
        assert told[velocity("a_1h").key] == 2
        assert told.get(velocity("new_1h").key) is None
        with pytest.raises(ConflictError):
            await count(store, first, request_id="r", request_digest="e")
        assert await count(store, first, NOW + 3) == [3, 3, 3]

    async def test_fifty_at_once_are_fifty(self, store: Store) -> None:
        """Attempts at the same moment are counted one after the other; twins under one request id are one."""
        counted = counting(velocity("a_1h"), velocity("ips_1h", kind="distinct", of="ip"))
        seen = await asyncio.gather(*(count(store, counted, keys={"ip": f"i{n}"}) for n in range(50)))
        assert sorted(a for a, _ in seen) == sorted(i for _, i in seen) == list(range(1, 51))
        twins = [count(store, counted, request_id="r", request_digest="d") for _ in range(20)]
        assert await asyncio.gather(*twins) == [[51, 51]] * 20

    async def test_another_definition_begins_anew(self, store: Store) -> None:
        """Another window, class or name is another velocity; the same definition goes on in any order and company."""
        await count(store, counting(velocity("a_1h")))
        for other in (velocity("b_1h"), velocity("a_1h", window_s=2 * HOUR), velocity("a_1h", actions=("payment",))):
            assert (await count(store, counting(other, velocity("x_1h", per="ip"))))[0] == 1
        assert await count(store, counting(velocity("y_1h"), velocity("a_1h"))) == [1, 2]

    async def test_attempts_told_late_are_counted(self, store: Store) -> None:
        """An attempt of an earlier time is counted with those after it, and makes no later one forgotten."""
        counted = counting(velocity("a_1h"), velocity("ips_1h", kind="distinct", of="ip"))
        await count(store, counted, NOW)
        assert await count(store, counted, NOW - 2 * HOUR, keys={"ip": "b"}) == [2, 2]
        assert await count(store, counted, NOW + 1, keys={"ip": "c"}) == [2, 2]

    async def test_forgetting_deletes_them(self, store: Store) -> None:
        """A forgotten subject's velocities begin anew, whichever policy counted them."""
        for number in range(20):  # more than are kept in place
            ips = counting(velocity("a_1h"), velocity("ips_1h", kind="distinct", of="ip"))
            assert await count(store, ips, keys={"ip": f"i{number}"}) == [number + 1] * 2
        await count(store, counting(velocity("b_30d", window_s=30 * DAY)))
        await store.forget("ada")
        counted = counting(
            velocity("a_1h"), velocity("ips_1h", kind="distinct", of="ip"), velocity("b_30d", window_s=30 * DAY)
        )
        assert await count(store, counted, keys={"ip": "other"}) == [1, 1, 1]
