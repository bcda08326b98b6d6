"""What reports of fraud, and their opposite, leave behind on whatever a store runs on."""

from riskd.decision_id import Verdict
from riskd.store import Store
from tests.store.story import NOW, attempt, confirmed, history, report


async def reports(store: Store) -> tuple[float | None, float | None]:
    """Ages of the last report and of its being set aside."""
    seen = await history(store)
    return seen.reported_age_s, seen.confirmed_safe_age_s


class Reports:
    """A report stands, is set aside, is answered."""

    async def test_a_report_is_set_aside(self, store: Store) -> None:
        """Whoever vouches for the reported attempt sets the report and all earlier ones aside; a later one stands."""
        first = await store.observe(attempt(NOW - 100))
        second = await store.observe(attempt(NOW - 90))
        await report(store, first, "confirmed_fraud", at=NOW - 80)
        await report(store, second, "reported_by_user", at=NOW - 70)
        assert await reports(store) == (70.0, None)
        await report(store, second, "confirmed_legitimate", at=NOW - 60)
        assert await reports(store) == (70.0, 60.0)
        third = await store.observe(attempt(NOW - 50))
        await report(store, third, "confirmed_fraud", at=NOW - 65)  # told late, but older than the confirmation
        assert await reports(store) == (65.0, 60.0)
        await report(store, third, "reported_by_user", at=NOW - 40)
        assert await reports(store) == (40.0, None)

    async def test_only_what_can_know_of_a_report_sets_it_aside(self, store: Store) -> None:
        """An earlier attempt, a confirmation from before the report, and one without a report set nothing aside."""
        earlier = await store.observe(attempt(NOW - 100))
        reported = await store.observe(attempt(NOW - 90))
        again = await store.observe(attempt(NOW - 85))
        await report(store, again, "confirmed_legitimate", at=NOW - 82)
        await report(store, reported, "reported_by_user", at=NOW - 80)
        await report(store, earlier, "confirmed_legitimate", at=NOW - 70)
        assert await reports(store) == (80.0, None)
        await report(store, reported, "confirmed_legitimate", at=NOW - 81)
        assert await reports(store) == (80.0, None)
        denied = await store.observe(attempt(NOW - 50, device="other"))
        await report(store, denied, "confirmed_legitimate", at=NOW - 40, decided=int(Verdict.DENY), confirms=False)
        assert await reports(store) == (80.0, 40.0)
        assert (await history(store, device="other")).device_age_s is None

    async def test_at_one_instant_the_last_word_counts(self, store: Store) -> None:
        """A report and its opposite of the same second count in the order in which they came."""
        seen = await store.observe(attempt())
        await report(store, seen, "reported_by_user")
        await report(store, seen, "confirmed_legitimate")
        assert await reports(store) == (0.0, 0.0)
        await report(store, seen, "confirmed_fraud")
        assert await reports(store) == (0.0, None)

    async def test_reports_and_their_opposite_count_once(self, store: Store) -> None:
        """The same outcome again, later, neither renews a report nor sets a newer one aside."""
        seen = await store.observe(attempt(NOW - 100))
        await report(store, seen, "reported_by_user", at=NOW - 90)
        await report(store, seen, "confirmed_legitimate", at=NOW - 80)
        assert await report(store, seen, "reported_by_user", at=NOW - 70) == "repeated"
        assert await reports(store) == (90.0, 80.0)
        await report(store, seen, "confirmed_fraud", at=NOW - 60)
        assert await report(store, seen, "confirmed_legitimate", at=NOW - 50) == "repeated"
        assert await reports(store) == (60.0, None)

    async def test_a_passed_step_up_answers_a_report_for_good(self, store: Store) -> None:
        """A plain success leaves a report set aside; fresh evidence answers it, and nothing undoes that."""
        seen = await store.observe(attempt(NOW - 100))
        await report(store, seen, "reported_by_user", at=NOW - 90)
        await report(store, seen, "confirmed_legitimate", at=NOW - 80)
        await confirmed(store, NOW - 70)
        assert await reports(store) == (90.0, 80.0)
        proved = await store.observe(attempt(NOW - 60))
        await report(store, proved, "step_up_passed", at=NOW - 59, decided=int(Verdict.STEP_UP))
        assert await reports(store) == (90.0, None)
        assert (await history(store)).last_confirmed_age_s == 60.0
        late = await store.observe(attempt(NOW - 50))
        await report(store, late, "confirmed_legitimate", at=NOW - 40)
        assert await reports(store) == (90.0, None)

    async def test_evidence_from_before_a_report_does_not_answer_it(self, store: Store) -> None:
        """A step-up passed before the report leaves the confirmation, and with it the report, as they are."""
        proved = await store.observe(attempt(NOW - 100))
        seen = await store.observe(attempt(NOW - 95))
        await report(store, seen, "reported_by_user", at=NOW - 90)
        await report(store, seen, "confirmed_legitimate", at=NOW - 80)
        await report(store, proved, "step_up_passed", at=NOW - 70, decided=int(Verdict.STEP_UP))
        assert await reports(store) == (90.0, 80.0)
