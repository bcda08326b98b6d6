"""How lists in the store behave, on one server as on a cluster: inherited by a test class per kind of store."""

import asyncio
import random

import pytest

from riskd.errors import RequestError, StoreUnavailable
from riskd.store import EXEMPTIONS, Entry, News, Store
from riskd.store import entries as entries_module
from tests.store.story import DAY, NOW


def entry(until: float | None = None, reason: str = "because") -> Entry:
    """An entry of the author `ops`."""
    return Entry(until=until, author="ops", reason=reason, added=NOW)


class Follower:
    """Keeps what the store tells it."""

    def __init__(self, store: Store, name: str) -> None:
        self.known: dict[str, Entry] = {}
        self.position: int | None = None
        self.wholes = 0
        self._store, self._name = store, name

    async def look(self, now: float = NOW) -> News:
        """Ask for news and take them over."""
        news = await self._store.entries.since(self._name, self.position, now)
        if news.whole:
            self.known.clear()
            self.wholes += 1
        for key, changed in news.changes:
            if changed is None:
                self.known.pop(key, None)
            else:
                self.known[key] = changed
        self.position = news.position
        return news


class ListEntries:
    """Entries come, change, go, lapse, and are followed."""

    async def test_entries_come_change_and_go(self, store: Store) -> None:
        """An entry is new, then changed, then gone; what was not there is not removed."""
        held = store.entries
        assert await held.add("a", {"x": entry(), "y": entry()}, NOW) == [True, True]
        assert await held.add("a", {"y": entry(reason="better"), "z": entry(NOW + DAY)}, NOW) == [False, True]
        assert (await held.find("a", "y")) == entry(reason="better")
        assert await held.find("a", "w") is None
        assert await held.size("a") == 3
        assert await held.remove("a", ["x", "w"]) == [True, False]
        page, cursor = await held.page("a", 0)
        assert (set(page), cursor) == ({"y", "z"}, 0)
        assert await held.size("b") == 0

    async def test_a_follower_learns_every_change(self, store: Store) -> None:
        """Whatever is added, changed and removed, a follower that looks now and then knows what the store holds."""
        chance = random.Random(7)  # noqa: S311 - a test's dice
        follower = Follower(store, "a")
        truth: dict[str, Entry] = {}
        for number in range(120):
            keys = [f"k{chance.randrange(40)}" for _ in range(chance.randint(1, 5))]
            if chance.random() < 0.6:
                added = {key: entry(reason=str(number)) for key in keys}
                await store.entries.add("a", added, NOW)
                truth |= added
            else:
                await store.entries.remove("a", keys)
                for key in keys:
                    truth.pop(key, None)
            if chance.random() < 0.5:
                await follower.look()
                assert follower.known == truth
        await follower.look()
        assert follower.known == truth
        assert follower.wholes == 1
        news = await follower.look()
        assert (news.whole, list(news.changes)) == (False, [])

    async def test_concurrent_changes_reach_all_followers(self, store: Store) -> None:
        """Followers that look while many change at once agree in the end."""
        followers = [Follower(store, "a") for _ in range(3)]

        async def change(number: int) -> None:
            await store.entries.add("a", {f"k{number % 17}": entry(reason=str(number))}, NOW)
            if number % 3 == 0:
                await store.entries.remove("a", [f"k{number % 5}"])

        async def look(follower: Follower) -> None:
            for _ in range(10):
                await follower.look()

        await asyncio.gather(*map(change, range(60)), *map(look, followers))
        page, _ = await store.entries.page("a", 0)
        for follower in followers:
            await follower.look()
            assert follower.known == page

    async def test_a_gap_is_closed(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who missed more changes than are kept reads the whole list."""
        monkeypatch.setattr(entries_module, "CHANGES_KEPT", 10)
        follower = Follower(store, "a")
        await follower.look()
        for number in range(300):
            await store.entries.add("a", {f"k{number}": entry()}, NOW)
        await store.entries.remove("a", ["k7"])
        await follower.look()
        assert len(follower.known) == 299
        assert follower.wholes == 2

    async def test_a_long_list_is_read_by_pages(self, store: Store) -> None:
        """A list of many pages is read whole, each entry once or more."""
        for first in range(0, 5000, 1000):
            added = {f"k{number}": entry() for number in range(first, first + 1000)}
            assert all(await store.entries.add("long", added, NOW))
        seen: set[str] = set()
        cursor, pages = 0, 0
        while True:
            page, cursor = await store.entries.page("long", cursor, 500)
            seen |= set(page)
            pages += 1
            if not cursor:
                break
        assert (len(seen), pages > 3) == (5000, True)
        assert len((await store.entries.since("long", None, NOW)).changes) == 5000

    async def test_the_bound_holds(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """A full list takes nothing new but changes of what it has, until entries have lapsed."""
        monkeypatch.setattr(entries_module, "MAX_STORED", 4)
        held = store.entries
        await held.add("a", {"w": entry(), "x": entry(NOW + 10), "y": entry(NOW + 10)}, NOW)
        with pytest.raises(RequestError, match="at most 4") as caught:
            await held.add("a", {"1": entry(), "2": entry()}, NOW)
        assert caught.value.status == 409
        assert await held.size("a") == 3
        assert await held.add("a", {"z": entry(), "w": entry(reason="new")}, NOW) == [True, False]
        assert await held.add("a", {"1": entry(), "2": entry()}, NOW + 10) == [True, True]
        assert set((await held.page("a", 0))[0]) == {"w", "z", "1", "2"}

    async def test_exemptions_have_a_bound_of_their_own(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Exemptions are bounded like lists, by another number."""
        monkeypatch.setattr(entries_module, "MAX_EXEMPTIONS", 1)
        await store.entries.add(EXEMPTIONS, {"1": entry(NOW + 1)}, NOW)
        with pytest.raises(RequestError, match="at most 1 "):
            await store.entries.add(EXEMPTIONS, {"2": entry(NOW + 1)}, NOW)

    async def test_the_lapsed_are_dropped_by_readers(self, store: Store) -> None:
        """Whoever reads a list whole drops what has lapsed, and followers learn of it."""
        await store.entries.add("a", {"x": entry(NOW + 10), "y": entry()}, NOW)
        follower = Follower(store, "a")
        await follower.look()
        assert set(follower.known) == {"x", "y"}
        late = Follower(store, "a")
        await late.look(NOW + 10)
        assert set(late.known) == {"y"}
        assert await store.entries.size("a") == 1
        await follower.look(NOW + 10)
        assert set(follower.known) == {"y"}

    async def test_every_key_of_a_list_lapses(self, store: Store) -> None:
        """What belongs to a list is kept for as long as somebody follows it, and no longer."""
        await store.entries.add("a", {"x": entry()}, NOW)
        for key in store._keys.listed("a"):
            assert 0 < await store._gate.send(key, "TTL") <= entries_module.KEPT_S
            await store._gate.send(key, "EXPIRE", 100)
        await store.entries.since("a", None, NOW)
        for key in store._keys.listed("a"):
            assert await store._gate.send(key, "TTL") > 100

    async def test_a_store_that_came_back_empty_is_noticed(self, store: Store) -> None:
        """When the list is gone from the store, its followers know no more than the store; later changes reach them."""
        follower = Follower(store, "a")
        await store.entries.add("a", {"x": entry(), "y": entry()}, NOW)
        await follower.look()
        for key in store._keys.listed("a"):
            await store._gate.send(key, "UNLINK")
        await follower.look()
        assert follower.known == {}
        await store.entries.add("a", {"z": entry()}, NOW)
        await follower.look()
        assert set(follower.known) == {"z"}

    async def test_a_lost_count_begins_anew(self, store: Store) -> None:
        """When only the count of changes is lost, changes go on being told."""
        follower = Follower(store, "a")
        await store.entries.add("a", {"x": entry(), "y": entry()}, NOW)
        await follower.look()
        await store._gate.send(store._keys.listed("a")[1], "UNLINK")
        await store.entries.add("a", {"z": entry()}, NOW)
        await follower.look()
        assert set(follower.known) == {"x", "y", "z"}

    async def test_what_riskd_did_not_write_is_refused(self, store: Store) -> None:
        """An entry that is none makes the list unavailable, and no follower takes half of it."""
        await store.entries.add("a", {"x": entry()}, NOW)
        await store._gate.send(store._keys.listed("a")[0], "HSET", "x", b"\xc1 junk")
        with pytest.raises(StoreUnavailable, match="did not write"):
            await store.entries.since("a", None, NOW)
