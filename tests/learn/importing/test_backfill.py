"""Backfill on a real store: the way back after a loss, and a start from history elsewhere."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from riskd.contract import DecideRequest, Decision, OutcomeReport, Reported
from riskd.enrich.identity import Pseudonyms
from riskd.errors import ConfigError, StoreUnavailable
from riskd.facts import SubjectHistory
from riskd.learn.importing.backfill import Backfilled, backfill
from riskd.learn.importing.mapping import load_mapping, mapped_rows
from riskd.learn.importing.row import Reading
from riskd.learn.importing.subjects import Held, held, read_subjects, write_subjects
from riskd.policy import Policy
from riskd.record.reader import find
from riskd.store import Settlement, Store, parse
from riskd.store.store import Settled
from tests.conftest import IDENTITY, NOON, Live
from tests.learn.importing.conftest import judged

Make = Callable[..., DecideRequest]
AFTER = NOON + timedelta(hours=1)


@pytest.fixture
def client(valkey: str) -> Iterator[Redis]:
    """Looks at the server behind the store."""
    with Redis(unix_socket_path=valkey.removeprefix("unix://")) as opened:
        yield opened


class World:
    """A service, its log, and what a test does to its store."""

    def __init__(self, live: Live, valkey: str, client: Redis, policy: Policy, folder: Path) -> None:
        self.live, self._url, self._client, self._policy, self._folder = live, valkey, client, policy, folder
        self.prefix = live.store._keys._prefix

    def store(self) -> Store:
        """Open the store as another process does."""
        return Store(parse(self._url), self._folder / "epoch", budget_s=5.0, prefix=self.prefix)

    async def fill(self, log: Path | None = None, **options: object) -> Backfilled:
        """Run a backfill."""
        given: dict[str, Any] = {
            "url": self._url, "store": self.store, "policy": self._policy, "pseudonyms": IDENTITY, "now": AFTER,
            "prefix": self.prefix,
        }  # fmt: skip
        folder = log or self.live.log
        return await asyncio.to_thread(lambda: backfill(sorted(folder.iterdir()), **(given | options)))

    def kept(self) -> dict[bytes, bytes]:
        """All that the store holds but its epoch, to compare or to put back."""
        names = [name for name in self._client.keys(f"{self.prefix}:*") if not name.endswith(b"epoch")]
        return {name: self._client.dump(name) for name in names}

    def lose(self) -> None:
        """Empty the store, its epoch with it."""
        for name in self._client.keys(f"{self.prefix}:*"):
            self._client.delete(name)

    def put_back(self, keys: dict[bytes, bytes]) -> None:
        """Restore a backup over what is there."""
        for name in self.kept():
            self._client.delete(name)
        for name, value in keys.items():
            self._client.restore(name, 86_400_000, value)

    async def logins(self, make: Make, days: range, who: str = "alice") -> list[Decision]:
        """Let somebody log in, a day apart, from one device and address, and succeed."""
        made = []
        for day in days:
            decision = await self.login(make, NOON - timedelta(days=day), who)
            report = OutcomeReport(decision_id=decision.decision_id, outcome=Reported.LOGIN_SUCCEEDED)
            await self.live.outcomes.report(report, now=NOON - timedelta(days=day))
            made.append(decision)
        return made

    async def login(self, make: Make, now: datetime, who: str = "alice", device: str = "laptop") -> Decision:
        """Judge one login."""
        request = make(subject={"id": who}, context={"device_id": device})
        return await self.live.engine.decide(request, now=now)

    async def history(self, make: Make, device: str = "laptop") -> SubjectHistory:
        """What a decision of alice finds known now."""
        decision = await self.login(make, AFTER, device=device)
        record = find(self.live.log, decision.decision_id)
        assert record is not None
        assert record.facts.history is not None
        assert decision.degraded == ()
        return record.facts.history


@pytest.fixture
def world(live: Live, valkey: str, client: Redis, default_policy: Policy, tmp_path: Path) -> World:
    """A service with the shipped policy."""
    return World(live, valkey, client, default_policy, tmp_path)


def whose(folder: Path, pairs: dict[str, str]) -> Path:
    """Write a caller's own list of decisions and subjects."""
    path = folder / "whose.csv"
    path.write_text("decision_id,subject_id\n" + "".join(f"{one},{who}\n" for one, who in pairs.items()))
    return path


async def test_the_way_back_after_a_loss(world: World, make_request: Make, tmp_path: Path) -> None:
    """Refused until the loss is accepted; then the known person's device is known, the decision allow, not degraded."""
    made = await world.logins(make_request, range(20, 5, -1))
    before = await world.history(make_request)
    world.lose()
    lost = await world.login(make_request, NOON)
    assert "store_history_lost" in lost.degraded
    with pytest.raises(ConfigError, match="riskd store accept-loss"):
        await world.fill()
    await world.live.store.accept_loss(NOON.timestamp())
    world.put_back({})
    done = await world.fill()
    assert (done.confirmed, done.unmapped_subjects, done.unmapped) == (0, 1, 15)
    done = await world.fill(told=whose(tmp_path, {made[3].decision_id: "alice"}))
    assert (done.subjects, done.confirmed, done.unmapped) == (1, 15, 0)
    after = await world.history(make_request)
    fields = (
        "token", "confirmed", "first_confirmed_age_s", "last_confirmed_age_s", "device_age_s", "device_family",
        "device_known_age_s", "family_count", "ip_age_s", "network_count", "country_count", "known_devices", "places",
        "hour_count", "amount_count",
    )  # fmt: skip
    assert [getattr(after, name) for name in fields] == [getattr(before, name) for name in fields]
    decision = await world.login(make_request, AFTER)
    assert (decision.decision, decision.degraded) == ("allow", ())


async def test_a_second_run_changes_nothing(world: World, make_request: Make, tmp_path: Path) -> None:
    """Not one key of the store is different after it, and all is said to be known."""
    made = await world.logins(make_request, range(20, 5, -1))
    world.put_back({})
    told = whose(tmp_path, {made[0].decision_id: "alice"})
    assert (await world.fill(told=told)).confirmed == 15
    kept = world.kept()
    again = await world.fill(told=told, now=AFTER + timedelta(days=1))
    assert (again.confirmed, again.known) == (0, 15)
    assert world.kept() == kept
    without = await world.fill()  # the store itself knows whose the token is
    assert (without.confirmed, without.known, without.unmapped) == (0, 15, 0)


async def test_what_was_lived_is_not_taught(world: World, make_request: Make) -> None:
    """On a store that lost nothing a backfill teaches nothing, before and after further logins."""
    await world.logins(make_request, range(20, 10, -1))
    assert (await world.fill(now=NOON - timedelta(days=10, hours=12))).known == 10
    await world.logins(make_request, range(10, 5, -1))
    done = await world.fill()
    assert (done.confirmed, done.known) == (0, 15)
    assert (await world.history(make_request)).confirmed == 15


async def test_logins_after_a_backfill_are_not_taught(world: World, make_request: Make, tmp_path: Path) -> None:
    """What the service learnt after the first backfill is known at the second."""
    made = await world.logins(make_request, range(20, 10, -1))
    world.put_back({})
    told = whose(tmp_path, {made[0].decision_id: "alice"})
    assert (await world.fill(told=told, now=NOON - timedelta(days=10, hours=12))).confirmed == 10
    await world.logins(make_request, range(10, 5, -1))
    done = await world.fill(told=told)
    assert (done.confirmed, done.known) == (0, 15)
    assert (await world.history(make_request)).confirmed == 15


async def test_a_backup_is_brought_up_to_date(world: World, make_request: Make) -> None:
    """A store restored from an older copy is taught what came after, without any map: it knows its tokens."""
    await world.logins(make_request, range(20, 10, -1))
    copy = world.kept()
    await world.logins(make_request, range(10, 5, -1))
    world.put_back(copy)
    done = await world.fill()
    assert (done.confirmed, done.known) == (5, 10)
    assert (await world.history(make_request)).confirmed == 15


async def test_a_run_that_broke_off_is_ended_by_the_next(world: World, make_request: Make, tmp_path: Path) -> None:
    """Where the store went away in the middle, nothing is missing and nothing counted twice after the second run."""
    made = await world.logins(make_request, range(20, 5, -1)) + await world.logins(make_request, range(9, 4, -1), "bob")
    world.put_back({})
    told = whose(tmp_path, {made[0].decision_id: "alice", made[-1].decision_id: "bob"})
    left = [8]

    class Leaving(Store):
        async def settle(self, decision_id: str, settlement: Settlement, outcome_window_s: int = 0) -> Settled:
            left[0] -= 1
            if left[0] < 0:
                raise StoreUnavailable("gone")
            return await super().settle(decision_id, settlement, outcome_window_s)

    def leaving() -> Store:
        return Leaving(parse(world._url), tmp_path / "epoch", budget_s=5.0, prefix=world.prefix)

    with pytest.raises(StoreUnavailable, match="gone"):
        await world.fill(told=told, store=leaving)
    await world.fill(told=told)
    assert (await world.history(make_request)).confirmed == 15
    assert (await world.fill(told=told)).confirmed == 0


async def test_a_fraud_is_not_taught(world: World, make_request: Make, tmp_path: Path) -> None:
    """What was reported as fraud is unknown after a backfill, and the report stands."""
    made = await world.logins(make_request, range(20, 5, -1))
    thief = await world.login(make_request, NOON - timedelta(days=5), device="thief")
    report = OutcomeReport(decision_id=thief.decision_id, outcome=Reported.LOGIN_SUCCEEDED)
    await world.live.outcomes.report(report, now=NOON - timedelta(days=5))
    report = OutcomeReport(decision_id=thief.decision_id, outcome=Reported.CONFIRMED_FRAUD)
    await world.live.outcomes.report(report, now=NOON - timedelta(days=4))
    world.put_back({})
    done = await world.fill(told=whose(tmp_path, {made[0].decision_id: "alice"}))
    assert (done.confirmed, done.reports) == (16, 1)
    history = await world.history(make_request, device="thief")
    assert (history.confirmed, history.device_age_s) == (15, None)
    assert history.reported_age_s == pytest.approx(4 * 86_400 + 3600)


async def test_a_log_and_its_copy_are_one(world: World, make_request: Make, tmp_path: Path) -> None:
    """A file that lies in two folders is taught once: each report, each success."""
    made = await world.logins(make_request, range(9, 5, -1))
    report = OutcomeReport(decision_id=made[1].decision_id, outcome=Reported.CONFIRMED_FRAUD)
    await world.live.outcomes.report(report, now=NOON - timedelta(days=5))
    world.put_back({})
    both = tmp_path / "both"
    both.mkdir()
    for file in world.live.log.iterdir():
        for name in ("one", "two"):
            (both / f"{name}-{file.name}").write_bytes(file.read_bytes())
    done = await world.fill(both, told=whose(tmp_path, {made[0].decision_id: "alice"}))
    assert (done.decisions, done.confirmed, done.reports) == (4, 4, 1)


async def test_a_log_of_strangers_teaches_nothing(world: World, make_request: Make) -> None:
    """Decisions that another installation sealed are left out and counted."""
    await world.logins(make_request, range(9, 5, -1))
    world.put_back({})
    done = await world.fill(pseudonyms=Pseudonyms(b"x" * 32))
    assert (done.confirmed, done.left_out) == (0, {"made with other identity keys": 4})


async def test_hostile_lines_are_left_out(world: World, make_request: Make, tmp_path: Path) -> None:
    """Lines that are no records, or say what riskd never writes, are counted and stop nothing."""
    made = await world.logins(make_request, range(9, 5, -1))
    lines = [line for file in sorted(world.live.log.iterdir()) for line in file.read_bytes().splitlines()]
    record = msgspec.json.decode(next(line for line in lines if made[0].decision_id.encode() in line))
    record["facts"]["network"] |= {"key": "AS1}:{x", "ip": "not an address"}
    record["facts"]["place"] = {"country": "nowhere", "latitude": 1e300, "longitude": 5.0}
    record["facts"]["action"] |= {"amount": 5.0, "currency": "{}", "recipient": "}{"}
    record["facts"]["device"] |= {"id": "x" * 1000, "family": "y" * 10_000}
    odd, late = tmp_path / "odd", msgspec.json.decode(lines[2])
    odd.mkdir()
    late["facts"]["time"] = "9999-01-01T00:00:00Z"
    (odd / "a.jsonl").write_bytes(
        b"\n".join([msgspec.json.encode(record), msgspec.json.encode(late), b"{", b"[" * 50_000, *lines[1:2]]) + b"\n"
    )
    world.put_back({})
    done = await world.fill(odd, told=whose(tmp_path, {made[0].decision_id: "alice", "nonsense": "bob"}))
    assert done.confirmed == 1
    assert done.left_out == {"damaged": 1, "log line: damaged": 2}
    history = await world.history(make_request)
    assert (history.confirmed, history.known_devices, history.known_networks, history.known_countries) == (1, 0, 0, 0)


async def test_an_import_teaches_the_store(world: World, make_request: Make, tmp_path: Path) -> None:
    """Day one knows everybody's devices: history from a CSV, and the next login on the known laptop is allowed."""
    (tmp_path / "map.yaml").write_text(
        "columns: {t: time, who: subject.id, ip: context.ip, device: context.device_id, ok: outcome.succeeded}\n"
    )
    days = [datetime(2026, 10, day, 8, tzinfo=UTC) for day in range(1, 31)]
    (tmp_path / "history.csv").write_text(
        "t,who,ip,device,ok\n" + "".join(f"{day.isoformat()},alice,81.2.69.142,laptop,yes\n" for day in days)
    )
    reading = Reading()
    mapping = load_mapping(tmp_path / "map.yaml")
    rows = mapped_rows(tmp_path / "history.csv", mapping, reading, now=NOON, form="csv")
    log = await asyncio.to_thread(judged, rows, reading, tmp_path / "out", world._policy)
    assert log.done.subjects.stat().st_mode & 0o77 == 0
    assert b"alice" not in log.done.subjects.read_bytes()
    done = await world.fill(log.done.log, maps=[log.done.subjects])
    assert (done.subjects, done.confirmed, done.unmapped) == (1, 30, 0)
    assert (await world.fill(log.done.log, maps=[log.done.subjects])).known == 30
    history = await world.history(make_request)
    assert (history.confirmed, history.known_devices) == (30, 1)
    assert history.token == log.decisions[0].facts.subject.token
    decision = await world.login(make_request, AFTER)
    assert decision.decision == "allow"


async def test_forgetting_takes_the_marks_too(world: World, make_request: Make) -> None:
    """What a backfill noted of a subject goes with the subject."""
    made = await world.logins(make_request, range(9, 5, -1))
    world.put_back({})
    await world.fill(told=whose(world._folder, {made[0].decision_id: "alice"}))
    subject = IDENTITY.subject("alice")
    assert any(name.endswith(b":b") for name in world.kept())
    await world.live.store.forget(subject)
    assert not [name for name in world.kept() if subject.encode() in name and b"{s:" in name]


def test_a_map_of_other_keys_is_refused(tmp_path: Path) -> None:
    """After a rotation, or from another installation, a map fits nothing; a damaged one says so."""
    path = tmp_path / "subjects.jsonl"
    write_subjects(path, [Held("a" * 24, "b" * 24)], IDENTITY)
    assert list(read_subjects(path, IDENTITY)) == [Held("a" * 24, "b" * 24)]
    with pytest.raises(ConfigError, match="other identity keys"):
        list(read_subjects(path, Pseudonyms(b"x" * 32)))
    with path.open("ab") as file:
        file.write(b'{"token": "}", "subject": "{"}\n')
    with pytest.raises(ConfigError, match="damaged"):
        list(read_subjects(path, IDENTITY))
    path.write_bytes(b"decision_id,subject\n")
    with pytest.raises(ConfigError, match="no map of subjects"):
        list(read_subjects(path, IDENTITY))


async def test_a_list_of_subjects_must_say_what_it_is(world: World, make_request: Make, tmp_path: Path) -> None:
    """Wrong columns are an error with the right ones; request ids do as well; rows without a subject are counted."""
    request = make_request(request_id="r-1")
    decision = await world.live.engine.decide(request, now=NOON - timedelta(days=9))
    report = OutcomeReport(decision_id=decision.decision_id, outcome=Reported.LOGIN_SUCCEEDED)
    await world.live.outcomes.report(report, now=NOON - timedelta(days=9))
    world.put_back({})
    path = tmp_path / "whose.csv"
    path.write_text("id,user\n")
    with pytest.raises(ConfigError, match="needs the columns subject_id and decision_id"):
        await world.fill(told=path)
    path = tmp_path / "whose.jsonl"
    path.write_text('{"request_id": "r-1", "subject_id": "alice"}\n{"request_id": "r-2"}\n{"subject_id": "x"}\n')
    done = await world.fill(told=path)
    assert done.confirmed == 1
    assert done.left_out[f"{path}: row: not a decision and its subject"] == 2


def test_the_map_of_a_store_is_read(valkey: str) -> None:
    """A prefix without subjects has none."""
    assert list(held(valkey, prefix="nobody")) == []
