"""Rotating the key of subjects: whatever breaks off, running it again finds every subject."""

import asyncio
import uuid
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner

from riskd.cli import store as _store_commands  # noqa: F401 - declares its commands
from riskd.cli.root import app
from riskd.enrich.identity import begin_rotation, finish_rotation, load_secrets
from riskd.errors import StoreUnavailable
from riskd.features.velocity import Counted, Counts
from riskd.store import Store, parse
from riskd.store.upkeep import connect, forget_moved, rekey
from tests.store.behaviour_velocities import velocity
from tests.store.servers import Server
from tests.store.story import DAY, NOW, attempt, confirmed, history, report

NAMES = ("ada", "bob", "cy")


def _prefix() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


def _rename(old: str) -> str:
    return f"{old}+"


COUNTED = Counted((velocity("a_30d", window_s=30 * DAY), velocity("ips_1h", kind="distinct", of="ip")))


def _counts(subject: str) -> Counts:
    """What two velocities find of an attempt from home."""
    return Counts(COUNTED, {"subject": subject, "ip": "home"}, {})


class _Broken:
    """Lets a number of commands through to the real server, then loses the connection for good."""

    def __init__(self, patch: pytest.MonkeyPatch, commands: int) -> None:
        self.left = commands
        whole = redis.Redis.execute_command

        def execute(client: redis.Redis, *arguments: object, **options: object) -> object:
            self.left -= 1
            if self.left < 0:
                raise redis.ConnectionError("lost")
            return whole(client, *arguments, **options)

        patch.setattr(redis.Redis, "execute_command", execute)


async def _three(store: Store) -> list[str]:
    """Confirm three subjects, leave an attempt of each waiting, one anonymous too; return the waiting decisions."""
    waiting = []
    for name in NAMES:
        await confirmed(store, subject=name, amount=5.0, currency="EUR")
        waiting.append((await store.observe(attempt(subject=name), _counts(name))).decision_id)
    await store.observe(attempt(subject=None))
    return waiting


async def _all_found(store: Store, waiting: list[str]) -> None:
    for name, decision in zip(NAMES, waiting, strict=True):
        seen = await store.observe(attempt(NOW + 10, subject=_rename(name), currency="EUR"), _counts(_rename(name)))
        assert seen.history is not None
        assert list(seen.velocities.values()) == [2, 1]
        assert (seen.history.confirmed, seen.history.attempts_5m, seen.history.amount_24h) == (1, 3, 5.0)
        old = await store.observe(attempt(NOW + 10, subject=name))
        assert old.history is not None
        assert old.history.confirmed == 0
        waited = await store._gate.send(store._keys.pending(decision), "GET")
        assert store._attempt(waited).subject == _rename(name)


async def test_a_run_that_breaks_off_at_any_command_is_ended_by_another(
    valkey: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever between two commands the store is lost, a second run moves what is left and nothing twice."""
    commands = 0
    broke = True
    while broke:
        prefix = _prefix()
        store = Store(parse(valkey), tmp_path / prefix, budget_s=5.0, prefix=prefix)
        waiting = await _three(store)
        with monkeypatch.context() as patch:
            _Broken(patch, commands)
            try:
                rekey(valkey, _rename, prefix)
                broke = False
            except StoreUnavailable:
                commands += 1
        rekey(valkey, _rename, prefix)
        again = rekey(valkey, _rename, prefix)
        assert (again.subjects, again.pending) == (0, 0)
        await _all_found(store, waiting)
        await store.close()
    assert commands > 60


async def test_names_moved_are_forgotten_at_the_end(valkey: str, tmp_path: Path) -> None:
    """The names noted end by themselves, and at once when the rotation is through; another rotation moves all again."""
    prefix = _prefix()
    store = Store(parse(valkey), tmp_path / "epoch", budget_s=5.0, prefix=prefix)
    await _three(store)
    assert (rekey(valkey, _rename, prefix).subjects, rekey(valkey, lambda old: f"{old}x", prefix).subjects) == (3, 3)
    with connect(valkey) as client:
        noted = list(client.scan_iter(match=f"{prefix}:{{k:*"))
        assert len(noted) == 2
        assert all(client.ttl(key) > 0 for key in noted)
        for rename in (_rename, lambda old: f"{old}x"):
            forget_moved(valkey, rename, prefix)
        assert not list(client.scan_iter(match=f"{prefix}:{{k:*"))
    assert (await history(store, subject="ada+x")).confirmed == 1
    await store.close()


async def test_what_a_service_wrote_meanwhile_replaces_nothing(valkey: str, tmp_path: Path) -> None:
    """A subject that came under its old name after it was moved does not take the place of its history."""
    prefix = _prefix()
    store = Store(parse(valkey), tmp_path / "epoch", budget_s=5.0, prefix=prefix)
    seen = await confirmed(store)
    rekey(valkey, _rename, prefix)
    await store.observe(attempt(NOW + 1))
    rekey(valkey, _rename, prefix)
    after = await history(store, NOW + 2, subject="ada+")
    assert seen.history is not None
    assert (after.confirmed, after.token) == (1, seen.history.token)
    await store.close()


async def test_the_command_changes_no_key_before_the_map_has_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the store away the keys in use stay; the command run again moves all, and a second one moves all again."""
    data_dir = tmp_path / "data"
    first = load_secrets(data_dir)
    monkeypatch.setenv("RISKD_DATA_DIR", str(data_dir))
    monkeypatch.setenv("RISKD_REDIS_URL", f"unix://{tmp_path}/none")
    gone = await asyncio.to_thread(CliRunner().invoke, app, ["store", "rotate-identity"])
    assert isinstance(gone.exception, StoreUnavailable)
    assert load_secrets(data_dir).subject("ada") == first.subject("ada")

    server = Server(tmp_path)
    monkeypatch.setenv("RISKD_REDIS_URL", server.url)
    store = Store(parse(server.url), tmp_path / "epoch", budget_s=5.0)
    waiting = await confirmed(store, subject=first.subject("ada"))
    for _ in range(2):
        moved = await asyncio.to_thread(CliRunner().invoke, app, ["store", "rotate-identity"])
        assert moved.output == "moved 1 subjects and 1 attempts that wait for their outcome\n"
        assert sorted(file.name for file in (data_dir / "secrets").iterdir()) == ["identity"]
    now = load_secrets(data_dir)
    assert now.subject("ada") != first.subject("ada")
    assert (await report(store, waiting, "confirmed_fraud")) == "accepted"
    seen = await history(store, subject=now.subject("ada"))
    assert (seen.reported_age_s, seen.confirmed) == (0.0, 0)
    assert server.say("KEYS", "riskd:{k:*") == []
    await store.close()
    server.kill()


async def test_keys_of_an_interrupted_rotation_fit_what_was_moved(valkey: str, tmp_path: Path) -> None:
    """A run that moved all but stopped before its key came into use moves nothing when it is run again."""
    prefix = _prefix()
    before = load_secrets(tmp_path)
    store = Store(parse(valkey), tmp_path / "epoch", budget_s=5.0, prefix=prefix)
    await confirmed(store, subject=before.subject("ada"))
    assert rekey(valkey, begin_rotation(tmp_path).rekey, prefix).subjects == 1
    assert rekey(valkey, begin_rotation(tmp_path).rekey, prefix).subjects == 0
    finish_rotation(tmp_path)
    assert (await history(store, subject=load_secrets(tmp_path).subject("ada"))).confirmed == 1
    await store.close()


async def test_a_set_of_many_members_moves_too(valkey: str, tmp_path: Path) -> None:
    """A distinct count of more members than are kept in place goes on under the new name."""
    prefix = _prefix()
    store = Store(parse(valkey), tmp_path / "epoch", budget_s=5.0, prefix=prefix)
    for number in range(20):
        await store.observe(attempt(subject="ada"), Counts(COUNTED, {"subject": "ada", "ip": f"i{number}"}, {}))
    rekey(valkey, _rename, prefix)
    seen = await store.observe(attempt(subject="ada+"), _counts("ada+"))
    assert list(seen.velocities.values()) == [21, 21]
    await store.close()
