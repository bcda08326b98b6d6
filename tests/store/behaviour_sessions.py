"""What a store does with sessions, whatever it runs on: inherited like `behaviour`."""

from riskd.decision_id import Verdict
from riskd.store import Store
from tests.store.story import HOUR, MINUTE, NOW, attempt, confirmed, history, report, values


class Sessions:
    """Homes, hops and neighbours of sessions."""

    async def test_a_session_that_moves_too_fast_hops(self, store: Store) -> None:
        """Another device within half an hour is a hop, which later attempts of the session still see."""
        await store.observe(attempt(NOW - 100))
        assert (await history(store, NOW - 60, device="thief")).session_hop_age_s == 0.0
        assert (await history(store, NOW - 30, device="thief")).session_hop_age_s == 30.0
        owner = await history(store)
        assert values(owner, "session_hop_age_s", "session_age_s") == (60.0, 100.0)

    async def test_a_thief_who_comes_back_hops_again(self, store: Store) -> None:
        """After the owner went on for longer than the window, another device hops anew, though it hopped before."""
        await store.observe(attempt(NOW))
        assert (await history(store, NOW + MINUTE, device="thief")).session_hop_age_s == 0.0
        assert (await history(store, NOW + 20 * MINUTE, device="thief")).session_hop_age_s == 19 * MINUTE
        for minutes in range(10, 111, 10):
            owner = await history(store, NOW + minutes * MINUTE)
            assert owner.session_hop_age_s == (minutes - 1) * MINUTE
        assert (await history(store, NOW + 112 * MINUTE, device="thief")).session_hop_age_s == 0.0
        assert (await history(store, NOW + 113 * MINUTE, device="thief")).session_hop_age_s == MINUTE

    async def test_moving_slowly_is_no_hop(self, store: Store) -> None:
        """A session that comes from elsewhere after 31 minutes has not hopped, nor has its next attempt."""
        await store.observe(attempt(NOW - 31 * MINUTE))
        assert (await history(store, network="AS2")).session_hop_age_s is None
        assert (await history(store, NOW + 10, network="AS2")).session_hop_age_s is None

    async def test_unknown_is_no_hop(self, store: Store) -> None:
        """A missing device, country or network differs from nothing."""
        await store.observe(attempt(NOW - 100))
        assert (await history(store, device=None, country=None, network=None)).session_hop_age_s is None

    async def test_only_evidence_ends_a_hop(self, store: Store) -> None:
        """A plain success leaves the hop, one with a step-up makes the new circumstances the session's home."""
        await store.observe(attempt(NOW - 100))
        hopped = await store.observe(attempt(NOW - 90, device="phone"))
        await report(store, hopped, "action_completed")
        assert (await history(store, NOW - 80, device="phone")).session_hop_age_s == 10.0
        proven = await store.observe(attempt(NOW - 70, device="phone"))
        await report(store, proven, "login_succeeded", decided=int(Verdict.ALLOW_BY_EVIDENCE))
        assert (await history(store, NOW - 60, device="phone")).session_hop_age_s is None
        assert (await history(store, NOW - 50)).session_hop_age_s == 0.0

    async def test_other_live_sessions_are_listed(self, store: Store) -> None:
        """Sessions seen within the window are listed with their place, the present and older ones are not."""
        await store.observe(attempt(NOW - 2 * HOUR, session="old"))
        await store.observe(
            attempt(NOW - 100, session="far", country="AU", latitude=-33.9, longitude=151.2, vague=True)
        )
        (other,) = (await history(store)).sessions
        assert (other.latitude, other.country, other.seen_age_s, other.vague) == (-33.9, "AU", 100.0, True)
        assert len((await history(store, session=None)).sessions) == 2

    async def test_at_most_eight_sessions_are_kept(self, store: Store) -> None:
        """The session seen longest ago leaves first."""
        for number in range(12):
            await store.observe(attempt(NOW + number, session=f"s{number}"))
        assert (await history(store, NOW + 12, session="s11")).session_age_s == 1.0
        seen = await history(store, NOW + 13, session="s0")
        assert seen.session_age_s is None
        assert len(seen.sessions) == 8  # as they were when this one came; one of them has left for it

    async def test_sessions_nobody_confirmed_leave_first(self, store: Store) -> None:
        """Twenty attempts with other session ids leave the owner's settled session, whose theft is still a hop."""
        await confirmed(store, NOW - 20 * MINUTE)
        for number in range(20):
            await store.observe(attempt(NOW - 10 * MINUTE + number, session=f"x{number}", device="thief"))
        stolen = await history(store, device="thief")
        assert values(stolen, "session_age_s", "session_hop_age_s") == (20 * MINUTE, 0.0)
        assert len(stolen.sessions) == 7

    async def test_among_settled_sessions_the_oldest_leaves(self, store: Store) -> None:
        """Where all eight are settled, a ninth replaces the one seen longest ago, and a tenth replaces the ninth."""
        for number in range(8):
            await confirmed(store, NOW + number, session=f"s{number}")
        for number in (8, 9):
            await store.observe(attempt(NOW + number, session=f"s{number}"))
        assert (await history(store, NOW + 10, session="s1")).session_age_s == 9.0
        assert (await history(store, NOW + 11, session="s0")).session_age_s is None
