"""What is known of clients and of how often things were confirmed, on whatever a store runs on."""

from riskd.store import Store
from tests.store.story import DAY, NOW, Value, attempt, confirmed, history, report, values

CLIENT: dict[str, Value] = {
    "client": "Android|Chrome Mobile|mobile|SM-1", "os_family": "Android", "kind": "mobile", "browser_major": 120,
}  # fmt: skip
FIELDS = (
    "known_clients", "client_age_s", "client_count", "client_major", "os_count", "kind_count", "ip_count",
)  # fmt: skip


class Clients:
    """Clients at any version, systems and kinds of device."""

    async def test_a_confirmed_success_makes_a_client_known(self, store: Store) -> None:
        """Client, system and kind are counted; of the client the age and the newest version are known too."""
        await confirmed(store, NOW - 200, **CLIENT)
        await confirmed(store, NOW - 100, **{**CLIENT, "browser_major": 118, "address": "work"})
        assert values(await history(store, **CLIENT), *FIELDS) == (1, 100.0, 2, 120, 2, 2, 1)
        other = {**CLIENT, "client": "Android|Firefox|tablet|", "kind": "tablet", "address": "elsewhere"}
        assert values(await history(store, **other), *FIELDS) == (1, None, 0, None, 2, 0, 0)

    async def test_a_client_without_a_version(self, store: Store) -> None:
        """A version that is not said leaves the newest one as it was, unknown at first."""
        silent = {**CLIENT, "browser_major": None}
        await confirmed(store, NOW - 30, **silent)
        assert values(await history(store, **CLIENT), "client_age_s", "client_major") == (30.0, None)
        await confirmed(store, NOW - 20, **CLIENT)
        await confirmed(store, NOW - 10, **silent)
        assert values(await history(store, **CLIENT), "client_age_s", "client_major") == (10.0, 120)

    async def test_attempts_teach_no_client(self, store: Store) -> None:
        """What was only attempted, or failed, is not known; what nobody presents counts for nothing."""
        await report(store, await store.observe(attempt(**CLIENT)), "login_failed")
        assert values(await history(store, **CLIENT), *FIELDS) == (0, None, 0, None, 0, 0, 0)
        await confirmed(store, NOW - 5)
        assert values(await history(store), *FIELDS) == (0, None, 0, None, 0, 0, 1)

    async def test_a_fraud_unteaches_its_client(self, store: Store) -> None:
        """The thief's client goes, the owner's stays; of one that both have the owner's successes stay counted."""
        await confirmed(store, NOW - 100, **CLIENT)
        theft = await confirmed(store, NOW - 50, **{**CLIENT, "client": "thief"})
        same = await confirmed(store, NOW - 40, **CLIENT)
        for seen in (theft, same):
            await report(store, seen, "confirmed_fraud")
        assert values(await history(store, **CLIENT), "known_clients", "client_count", "os_count") == (1, 1, 1)
        assert (await history(store, **{**CLIENT, "client": "thief"})).client_age_s is None

    async def test_clients_are_bounded(self, store: Store) -> None:
        """Twenty clients, ten systems and five kinds are known, the latest confirmed."""
        for number in range(25):
            new = {"client": f"c{number}", "os_family": f"o{number}", "kind": f"k{number}", "browser_major": number}
            await confirmed(store, NOW + number, **new)
        seen = [
            await history(store, NOW + 30, client=f"c{n}", os_family=f"o{n}", kind=f"k{n}")
            for n in (4, 5, 14, 15, 19, 20)
        ]
        assert [one.known_clients for one in seen] == [20] * 6
        assert [one.client_count for one in seen] == [0, 1, 1, 1, 1, 1]
        assert [one.os_count for one in seen] == [0, 0, 0, 1, 1, 1]
        assert [one.kind_count for one in seen] == [0, 0, 0, 0, 0, 1]

    async def test_clients_are_forgotten(self, store: Store) -> None:
        """Habits of 181 days ago are no habits."""
        await confirmed(store, NOW - 181 * DAY, **CLIENT)
        assert values(await history(store, **CLIENT), *FIELDS) == (0, None, 0, None, 0, 0, 0)
