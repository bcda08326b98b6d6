"""What a store does, whatever it runs on: inherited by the tests on one server and on a cluster."""

import asyncio

import pytest

from riskd.decision_id import Verdict
from riskd.errors import ConflictError, RequestError
from riskd.store import Settlement, Store
from tests.store.story import DAY, HOUR, MINUTE, NOW, attempt, confirmed, history, report, values

AGES = (
    "device_age_s",
    "family_age_s",
    "ip_age_s",
    "network_age_s",
    "country_age_s",
    "language_age_s",
    "recipient_age_s",
)


class Counting:
    """Windows and distinct counts."""

    async def test_the_first_attempt_knows_nothing_but_itself(self, store: Store) -> None:
        """A new subject has no habits, and this attempt is counted."""
        seen = await history(store)
        assert values(seen, *AGES) == (None,) * 7
        assert values(seen, "confirmed", "known_devices", "attempts_5m", "attempts_24h", "ips_1h") == (0, 0, 1, 1, 1)
        assert values(seen, "places", "sessions", "session_age_s", "reported_age_s") == ((), (), None, None)

    async def test_the_token_stays(self, store: Store) -> None:
        """A subject keeps the token of the first attempt."""
        first = await history(store)
        assert (await history(store)).token == first.token

    async def test_attempts_fall_out_of_their_windows(self, store: Store) -> None:
        """Attempts count in the windows of 5 minutes, 1 hour and 24 hours, and addresses likewise."""
        for ago, address in ((23 * HOUR, "a"), (50 * MINUTE, "b"), (4 * MINUTE, "c"), (3 * MINUTE, "c")):
            await store.observe(attempt(NOW - ago, address=address))
        seen = await history(store)
        assert values(seen, "attempts_5m", "attempts_1h", "attempts_24h") == (3, 4, 5)
        assert values(seen, "ips_5m", "ips_1h", "ips_24h") == (2, 3, 4)
        later = await history(store, NOW + 2 * DAY)
        assert values(later, "attempts_24h", "ips_24h") == (1, 1)

    async def test_subjects_count_on_address_and_device(self, store: Store) -> None:
        """Distinct subjects count on the address and the device, however often each comes."""
        for subject, ago in (("bob", 20 * DAY), ("cy", 2 * HOUR), ("di", MINUTE), ("di", MINUTE)):
            await store.observe(attempt(NOW - ago, subject=subject))
        seen = await store.observe(attempt())
        assert seen.address_counts is not None
        assert seen.device_counts is not None
        assert (seen.address_counts.subjects_5m, seen.address_counts.subjects_24h) == (2, 3)
        counts = seen.device_counts
        assert (counts.subjects_1h, counts.subjects_24h, counts.subjects_30d) == (2, 3, 4)

    async def test_failures_count_on_subject_address_and_network(self, store: Store) -> None:
        """A reported failure feeds the velocities of all three entities."""
        for number, ago in enumerate((40 * MINUTE, 5 * MINUTE, MINUTE)):
            seen = await store.observe(attempt(NOW - ago, address=f"a{number}"))
            assert await report(store, seen, "login_failed") == "accepted"
        seen = await store.observe(attempt(address="a2"))
        assert seen.history is not None
        assert seen.address_counts is not None
        assert seen.network_counts is not None
        assert values(seen.history, "failures_10m", "failures_1h", "failure_ips_1h") == (2, 3, 3)
        assert (seen.address_counts.failures_1h, seen.address_counts.failed_subjects_1h) == (1, 1)
        assert (seen.network_counts.failures_1h, seen.network_counts.failed_subjects_1h) == (3, 1)
        assert seen.history.known_devices == 0

    async def test_amounts_sum_per_currency(self, store: Store) -> None:
        """The day's sum holds this attempt and earlier ones of the same currency."""
        await store.observe(attempt(NOW - 25 * HOUR, amount=1000.0, currency="EUR"))
        await store.observe(attempt(NOW - HOUR, amount=100.25, currency="EUR"))
        await store.observe(attempt(NOW - HOUR, amount=7.0, currency="USD"))
        assert (await history(store, amount=0.75, currency="EUR")).amount_24h == 101.0
        assert (await history(store)).amount_24h == 0.0

    async def test_small_amounts_hide_no_large_one(self, store: Store) -> None:
        """Two large amounts with many small ones between them are still summed."""
        await store.observe(attempt(NOW - 20 * HOUR, amount=9000.0, currency="EUR"))
        for number in range(120):
            await store.observe(attempt(NOW - 19 * HOUR + number * MINUTE, amount=0.01, currency="EUR"))
        assert (await history(store, amount=9000.0, currency="EUR")).amount_24h == pytest.approx(18_001.2)

    async def test_many_currencies_hide_no_amount(self, store: Store) -> None:
        """An amount that comes after more currencies than are kept apart counts, and so do those kept apart."""
        await store.observe(attempt(NOW - 2 * HOUR, amount=9000.0, currency="EUR"))
        for number in range(300):
            await store.observe(attempt(NOW - HOUR, amount=0.01, currency=f"X{number}"))
        await store.observe(attempt(NOW - 1, amount=5000.0, currency="GBP"))
        assert (await history(store, amount=9000.0, currency="EUR")).amount_24h >= 18_000
        assert (await history(store, amount=5000.0, currency="GBP")).amount_24h >= 10_000

    async def test_amounts_of_the_day_before_are_gone(self, store: Store) -> None:
        """An hour's amounts count until 24 whole hours after it; an older one counts in neither reading nor writing."""
        await store.observe(attempt(NOW + HOUR - 1, amount=100.0, currency="EUR"))
        assert (await history(store, NOW + 25 * HOUR - 1, currency="EUR")).amount_24h == 100.0
        assert (await history(store, NOW + 25 * HOUR, currency="EUR")).amount_24h == 0.0
        assert (await history(store, NOW + 25 * HOUR, amount=1.0, currency="EUR")).amount_24h == 1.0

    async def test_sensitive_attempts_count_in_10_minutes(self, store: Store) -> None:
        """Only sensitive attempts of the last ten minutes count as such."""
        await store.observe(attempt(NOW - 11 * MINUTE, sensitive=True))
        await store.observe(attempt(NOW - MINUTE, sensitive=True))
        await store.observe(attempt(NOW - MINUTE))
        assert (await history(store, sensitive=True)).sensitive_10m == 2

    async def test_an_anonymous_attempt_has_no_history(self, store: Store) -> None:
        """Without a subject the crowd's counters answer and nobody's history is touched."""
        await confirmed(store)
        seen = await store.observe(attempt(subject=None))
        assert seen.history is None
        assert seen.address_counts is not None
        assert (seen.address_counts.subjects_1h, seen.address_counts.confirmed_subjects) == (1, 1)

    async def test_an_attempt_of_nothing_is_answered(self, store: Store) -> None:
        """Every entity may be unknown."""
        nothing = dict.fromkeys(("subject", "address", "network", "device", "session"))
        seen = await store.observe(attempt(**nothing))
        assert (seen.history, seen.address_counts, seen.network_counts, seen.device_counts) == (None,) * 4
        assert not seen.repeated

    async def test_a_payload_from_elsewhere_was_replayed(self, store: Store) -> None:
        """The same payload is no replay from the same place, and one from another address or for another subject."""
        first = await store.observe(attempt(NOW - 10, payload="p"))
        again = await store.observe(attempt(NOW - 5, payload="p"))
        moved = await store.observe(attempt(NOW, payload="p", address="cafe"))
        assert first.payload is not None
        assert again.payload is not None
        assert moved.payload is not None
        assert (first.payload.age_s, first.payload.elsewhere) == (None, False)
        assert (again.payload.age_s, again.payload.elsewhere) == (5.0, False)
        assert (moved.payload.age_s, moved.payload.elsewhere) == (10.0, True)
        assert again.history is not None
        assert moved.history is not None
        assert (again.history.replayed_age_s, moved.history.replayed_age_s) == (None, 0.0)
        await asyncio.gather(*store._gate.aside)  # on a cluster the mark follows the answer
        assert (await history(store, NOW + 60)).replayed_age_s == 60.0


class Repeats:
    """The same request again."""

    async def test_a_repeat_returns_the_first_answer(self, store: Store) -> None:
        """The same request id with the same body gets the first's observation and counts nothing."""
        first = await store.observe(attempt(NOW - 60, request_id="r", request_digest="d", payload="p"))
        again = await store.observe(attempt(NOW, request_id="r", request_digest="d", payload="p"))
        assert again.repeated
        assert not first.repeated
        assert (again.decision_id, again.time, again.history) == (first.decision_id, first.time, first.history)
        assert (again.address_counts, again.payload) == (first.address_counts, first.payload)
        assert (await history(store)).attempts_5m == 2

    async def test_fifty_at_once_count_once(self, store: Store) -> None:
        """Case 26: fifty duplicates at once are one attempt with one decision id."""
        twins = [attempt(request_id="r", request_digest="d") for _ in range(50)]
        seen = await asyncio.gather(*(store.observe(twin) for twin in twins))
        assert len({one.decision_id for one in seen}) == 1
        assert len({str(one.history) for one in seen}) == 1
        assert sum(not one.repeated for one in seen) == 1
        after = await store.observe(attempt(NOW + 1))
        assert after.history is not None
        assert after.history.attempts_5m == 2
        assert await report(store, seen[0], "login_succeeded") == "accepted"

    async def test_another_body_is_a_conflict(self, store: Store) -> None:
        """The same request id with another digest is refused, also for another subject."""
        await store.observe(attempt(request_id="r", request_digest="d"))
        with pytest.raises(ConflictError):
            await store.observe(attempt(request_id="r", request_digest="e"))
        with pytest.raises(ConflictError):
            await store.observe(attempt(request_id="r", request_digest="e", subject="eve"))

    async def test_a_repeat_takes_the_place_of_what_it_repeats(self, store: Store) -> None:
        """What no record backs gets another's id with all that it counted; of two who want its place one gets it."""
        first = await store.observe(attempt(NOW - 60, request_id="r", request_digest="d", payload="p"))
        store.note_answered("r", first.decision_id, "once")
        same = {"request_id": "r", "request_digest": "d", "payload": "p", "instead": first.decision_id}
        wanting = [attempt(NOW, **same), attempt(NOW, **same)]
        one, other = [await store.observe(each) for each in wanting]
        assert (one.took_place, one.repeated, one.decision_id) == (True, False, wanting[0].decision_id)
        assert (other.took_place, other.repeated, other.answered) == (False, True, None)
        assert other.decision_id == one.decision_id
        assert (one.time, one.history, one.payload) == (first.time, first.history, first.payload)
        assert (await history(store)).attempts_5m == 2
        assert await report(store, one, "login_succeeded") == "accepted"

    async def test_what_is_reported_of_either_teaches_once(self, store: Store) -> None:
        """An attempt whose place was taken, twice, is known by all three ids as one."""
        same = {"request_id": "r", "request_digest": "d"}
        seen = [await store.observe(attempt(NOW - 60, **same))]
        assert await report(store, seen[0], "login_succeeded") == "accepted"
        for ago in (30, 20):
            seen.append(await store.observe(attempt(NOW - ago, **same, instead=seen[-1].decision_id)))
            assert seen[-1].took_place
        assert [await report(store, one, "login_succeeded") for one in seen] == ["repeated"] * 3
        assert [await report(store, one, "login_failed") for one in reversed(seen)] == [
            "accepted",
            "repeated",
            "repeated",
        ]
        known = await history(store)
        assert values(known, "confirmed", "last_confirmed_age_s", "failures_1h", "attempts_5m") == (1, 60.0, 1, 2)
        assert await report(store, seen[1], "confirmed_fraud") == "accepted"
        assert values(await history(store), "confirmed", "places") == (0, ())

    async def test_an_anonymous_repeat_is_known_too(self, store: Store) -> None:
        """Without any subject the request id alone finds the first answer."""
        first = await store.observe(attempt(subject=None, request_id="r{}", request_digest="d"))
        again = await store.observe(attempt(subject=None, request_id="r{}", request_digest="d"))
        assert (again.repeated, again.decision_id) == (True, first.decision_id)


class Learning:
    """What becomes known, and what does not."""

    async def test_only_a_confirmed_success_teaches(self, store: Store) -> None:
        """Attempts, failures and unconfirmed outcomes leave everything unknown."""
        for outcome in ("login_failed", "step_up_failed", "step_up_abandoned", "action_failed"):
            await report(store, await store.observe(attempt()), outcome)
        await report(store, await store.observe(attempt()), "login_succeeded", confirms=False)
        seen = await history(store)
        assert values(seen, *AGES, "confirmed") == (*(None,) * 7, 0)

    async def test_a_confirmed_success_makes_all_known(self, store: Store) -> None:
        """Device, family, address, network, country, language and recipient are known from the attempt's time on."""
        await confirmed(store, NOW - 100)
        seen = await history(store)
        assert values(seen, *AGES) == (100.0,) * 7
        assert values(seen, "confirmed", "first_confirmed_age_s", "last_confirmed_age_s") == (1, 100.0, 100.0)
        assert values(seen, "device_family", "family_count", "network_count", "country_count") == (
            "Mac OS X|Safari",
            1,
            1,
            1,
        )
        assert values(seen, "known_devices", "known_ips", "known_recipients", "hour_count") == (1, 1, 1, 1)
        other = await history(store, device="phone", country="FR")
        assert values(other, "device_age_s", "country_age_s", "known_devices", "device_family") == (None, None, 1, None)
        (place,) = seen.places
        assert (place.latitude, place.longitude, place.country, place.age_s, place.ip) == (
            50.1,
            8.7,
            "DE",
            100.0,
            "home",
        )

    async def test_an_outcome_counts_once(self, store: Store) -> None:
        """The same outcome twice, or two successes of one decision, teach once."""
        seen = await store.observe(attempt())
        assert await report(store, seen, "login_succeeded") == "accepted"
        assert await report(store, seen, "login_succeeded") == "repeated"
        assert await report(store, seen, "confirmed_legitimate") == "accepted"
        assert (await history(store)).confirmed == 1
        assert await report(store, seen, "login_failed") == "accepted"
        assert await report(store, seen, "login_failed") == "repeated"
        assert (await history(store)).failures_1h == 1

    async def test_fifty_reports_at_once_count_once(self, store: Store) -> None:
        """Concurrent reports of one outcome teach once, and one of them is the accepted one."""
        seen = await store.observe(attempt())
        statuses = await asyncio.gather(*(report(store, seen, "login_succeeded") for _ in range(50)))
        assert statuses.count("accepted") == 1
        assert (await history(store)).confirmed == 1

    async def test_an_unknown_decision_is_404(self, store: Store) -> None:
        """An outcome of a decision nobody made is refused."""
        settlement = Settlement(outcome="login_succeeded", decided=0, at=NOW, confirms=True)
        with pytest.raises(RequestError) as refused:
            await store.settle("00000000-0000-7000-8000-000000000000", settlement)
        assert refused.value.status == 404

    async def test_a_fraud_unteaches(self, store: Store) -> None:
        """What a fraud taught is taken back, what the owner taught stays, and the fraud cannot teach again."""
        before = await confirmed(store, NOW - 100, amount=10.0, currency="EUR")
        theft = await confirmed(
            store, NOW - 50, device="thief", address="vpn", country="FR", latitude=48.9, amount=9000.0, currency="EUR"
        )
        assert await report(store, theft, "confirmed_fraud") == "accepted"
        assert await report(store, theft, "confirmed_legitimate") == "accepted"
        seen = await history(store, device="thief", address="vpn", country="FR", currency="EUR")
        assert values(seen, "device_age_s", "ip_age_s", "country_age_s") == (None, None, None)
        assert values(seen, "confirmed", "known_devices", "hour_count", "amount_count", "amount_p99") == (
            1,
            1,
            1,
            1,
            10.0,
        )
        assert [place.country for place in seen.places] == ["DE"]
        assert seen.reported_age_s == 50.0
        assert (await history(store)).device_age_s == NOW - before.time

    async def test_round_trip_times_per_country(self, store: Store) -> None:
        """Mean and deviation of ln(rtt) follow the confirmed successes of the present country."""
        for rtt in (10.0, 20.0, 40.0):
            await confirmed(store, rtt_ms=rtt)
        seen = await history(store)
        assert seen.rtt_count == 3
        assert seen.rtt_mean_log_ms == pytest.approx(2.995732273553991)
        assert seen.rtt_sd_log_ms == pytest.approx(0.6931471805599453)
        assert values(await history(store, country="FR"), "rtt_count", "rtt_mean_log_ms") == (0, None)

    async def test_amounts_per_currency(self, store: Store) -> None:
        """Median and 99th percentile follow the last hundred confirmed amounts."""
        for amount in range(1, 103):
            await confirmed(store, amount=float(amount), currency="EUR")
        seen = await history(store, currency="EUR")
        assert values(seen, "amount_median", "amount_p99", "amount_count") == (52.5, 101.0, 100)
        assert (await history(store, currency="USD")).amount_count == 0

    async def test_hours_sum_on_the_circle(self, store: Store) -> None:
        """A success at 06:00 UTC adds sine 1 and cosine 0."""
        midnight = NOW - NOW % DAY
        await confirmed(store, midnight + 6 * HOUR)
        seen = await history(store, midnight + 7 * HOUR)
        assert values(seen, "hour_sin", "hour_cos", "hour_count") == (pytest.approx(1.0), pytest.approx(0.0), 1)

    async def test_changes_count_once_they_succeeded(self, store: Store) -> None:
        """A change of password is remembered from its success on, and the attempt that makes it is at age 0."""
        made = await store.observe(attempt(NOW - 100, change="password"))
        assert made.history is not None
        assert made.history.password_change_age_s == 0.0
        assert (await history(store, NOW - 90)).password_change_age_s is None
        await report(store, made, "action_completed")
        seen = await history(store)
        assert values(seen, "password_change_age_s", "contact_change_age_s", "factor_change_age_s") == (
            100.0,
            None,
            None,
        )

    async def test_a_success_after_failures_is_marked(self, store: Store) -> None:
        """A login straight after five failures is marked, unless a step-up was passed."""
        for second in range(5):
            await report(store, await store.observe(attempt(NOW + second)), "login_failed")
        passed = await store.observe(attempt(NOW + 6))
        await report(store, passed, "login_succeeded", decided=int(Verdict.ALLOW_BY_EVIDENCE))
        assert (await history(store, NOW + 7)).success_after_failures_age_s is None
        await report(store, await store.observe(attempt(NOW + 8)), "login_succeeded")
        assert (await history(store, NOW + 18)).success_after_failures_age_s == 10.0

    async def test_confirmed_subjects_count_on_address_and_network(self, store: Store) -> None:
        """Distinct subjects with confirmed successes make an office exit known."""
        for subject in ("ada", "bob", "cy", "cy"):
            await confirmed(store, subject=subject)
        seen = await store.observe(attempt())
        assert seen.address_counts is not None
        assert seen.network_counts is not None
        assert (seen.address_counts.confirmed_subjects, seen.network_counts.confirmed_subjects) == (3, 3)

    async def test_memory_ends_after_180_days(self, store: Store) -> None:
        """Habits of 181 days ago are forgotten, that somebody was here is not: dormant, with nothing to differ from."""
        await confirmed(store, NOW - 181 * DAY, amount=10.0, currency="EUR")
        seen = await history(store, amount=10.0, currency="EUR")
        assert (seen.device_age_s, seen.places) == (None, ())
        assert values(seen, "known_devices", "known_ips", "known_countries", "hour_count", "rtt_count") == (0,) * 5
        assert (seen.confirmed, seen.last_confirmed_age_s, seen.amount_median) == (1, 181 * DAY, None)
        await confirmed(store, NOW + 1)
        assert values(await history(store, NOW + 2), "confirmed", "known_devices") == (2, 1)

    async def test_forgetting_deletes_the_subject(self, store: Store) -> None:
        """After forgetting, the same subject is a new one, and an old outcome brings nothing back."""
        seen = await confirmed(store, session=None)
        waiting = await store.observe(attempt())
        assert waiting.history is not None
        assert seen.history is not None
        assert await store.forget("ada") == seen.history.token
        assert await store.forget("ada") is None
        assert await report(store, waiting, "login_succeeded") == "accepted"
        after = await history(store, NOW + 1)
        assert after.token != seen.history.token
        assert values(after, "confirmed", "attempts_24h", "known_devices") == (0, 1, 0)
