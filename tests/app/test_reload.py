"""What is in use follows what is on disk, and only when that is right."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from riskd.app.kept import KEPT_FILE
from riskd.app.parts import open_model, open_parts, open_source
from riskd.app.reload import Loaded
from riskd.enrich.address import parse_address
from riskd.metrics import Metrics
from riskd.policy.load import SHIPPED, parse
from riskd.settings import Settings
from tests.app.riskd import amend
from tests.app.signing import Signer

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
FEED = {"feeds": [{"name": "tor", "file": "tor.txt"}]}


@asynccontextmanager
async def loaded(policy: Path, **settings: Path) -> AsyncIterator[Loaded]:
    """Load what a worker would, with a store that is never asked."""
    home = policy.parent
    where = Settings(data_dir=home / "data", policy=policy, models_dir=home / "models", **settings)  # type: ignore[arg-type]
    source = open_source(where)
    vouched = source.load()
    parts = open_parts(where, "redis://127.0.0.1:1", vouched.policy, metrics=Metrics())
    try:
        yield Loaded(where, parts, source, vouched, open_model(where, vouched.policy), NOW)
    finally:
        await parts.close()


def text_of(path: Path) -> str:
    """Return what a file holds."""
    return path.read_text()


def write(path: Path, text: str) -> None:
    """Write a file in place."""
    path.write_text(text)


def move(path: Path, to: Path) -> None:
    """Rename a file."""
    path.rename(to)


def errors(made: Loaded, part: str) -> float:
    """Return how often a part could not be taken over."""
    return made._parts.metrics.load_errors.at(part).value


async def test_nothing_new_nothing_done(policy: Path) -> None:
    """As long as no file changes the engine is the same; asked to read anew, another one has the same revision."""
    async with loaded(policy) as made:
        engine, revision = made.engine, made.policy.revision
        assert not await made.refresh(NOW)
        assert made.engine is engine
        assert await made.refresh(NOW, again=True)
        assert made.engine is not engine
        assert made.policy.revision == revision


async def test_a_change_while_it_starts_is_not_missed(policy: Path) -> None:
    """A policy that changes after it was read and before the first look is seen by that look."""
    home = policy.parent
    where = Settings(data_dir=home / "data", policy=policy, models_dir=home / "models")
    source = open_source(where)
    vouched = source.load()
    amend(policy, level=3)
    parts = open_parts(where, "redis://127.0.0.1:1", vouched.policy, metrics=Metrics())
    made = Loaded(where, parts, source, vouched, None, NOW)
    assert await made.refresh(NOW)
    assert made.policy.revision != vouched.policy.revision
    await parts.close()


async def test_a_wrong_policy_is_counted_once_and_told(policy: Path) -> None:
    """Each wrong state of the file is one more error, however often it is looked at; the right one ends it."""
    good = text_of(policy)
    async with loaded(policy) as made:
        revision = made.policy.revision
        for number, text in enumerate(("version: 1\nlevl: 2\n", "", "version: 1\nlevl: 2\n"), 1):
            write(policy, text)
            for _ in range(3):
                assert not await made.refresh(NOW)
            assert errors(made, "policy") == number
            assert made.policy.revision == revision
            assert str(made.policy_problem) == made.problems["policy"]
        write(policy, good)
        assert await made.refresh(NOW)
        assert (made.problems, made.policy_problem) == ({}, None)


async def test_workers_agree_beside_a_wrong_policy(policy: Path) -> None:
    """A worker that saw only the wrong file takes the good one before it from the worker that saw that."""
    async with loaded(policy) as one, loaded(policy) as other:
        amend(policy, level=3)
        assert await one.refresh(NOW)
        write(policy, "version: 1\nlevl: 2\n")
        assert not await one.refresh(NOW)
        assert await other.refresh(NOW)
        assert one.policy.revision == other.policy.revision
        assert "levl" in other.problems["policy"]
        assert not await other.refresh(NOW)
        assert not await one.refresh(NOW)


async def test_a_kept_policy_that_cannot_be_read_or_written(policy: Path) -> None:
    """Damage to what is kept, or no place for it, keeps no policy back and ends nobody."""
    async with loaded(policy) as made:
        path = policy.parent / "data" / KEPT_FILE
        for content in (b"", b"\xff", b"[]", b'{"content": 3}'):
            path.write_bytes(content)
            write(policy, "")
            assert not await made.refresh(NOW, again=True)
            assert "is empty" in made.problems["policy"]
        path.unlink()
        path.mkdir()
        shipped = text_of(SHIPPED / "default.yaml")
        write(policy, shipped)
        assert await made.refresh(NOW)
        assert made.policy.revision == parse(shipped.encode(), "").revision


async def test_a_list_that_comes_late(policy: Path) -> None:
    """A policy that names a missing list waits for it, and is used as soon as the list is there."""
    async with loaded(policy) as made:
        amend(policy, lists=FEED)
        assert not await made.refresh(NOW)
        assert "tor.txt" in made.problems["policy"]
        assert not await made.refresh(NOW)
        assert errors(made, "policy") == 1
        (policy.parent / "tor.txt").write_text("203.0.113.7\n")
        assert await made.refresh(NOW)
        assert made.problems == {}


async def test_a_file_that_may_not_be_read_for_a_while(policy: Path) -> None:
    """Changed permissions are a change: what could not be read is read when it can be."""
    async with loaded(policy) as made:
        amend(policy, level=3)
        away = policy.parent / "away"
        move(policy, away)
        assert not await made.refresh(NOW)
        assert "cannot be read" in made.problems["policy"]
        move(away, policy)
        assert await made.refresh(NOW)
        os.chmod(policy, 0o600)  # noqa: PTH101 - any change of the inode counts
        assert await made.refresh(NOW)


async def test_lists_that_stay_the_same_are_kept(policy: Path) -> None:
    """Another policy does not read a long list again, whatever changes beside it, but reads one that changed."""
    feed, people = policy.parent / "tor.txt", policy.parent / "people.txt"
    feed.write_text("203.0.113.7\n")
    people.write_text("eve\n")
    named = {"people": {"kind": "deny", "of": "subject", "file": "people.txt", "entries": ["mallory"]}}
    amend(policy, lists=FEED | {"named": named})
    async with loaded(policy) as made:

        def lists() -> tuple[object, ...]:
            (source,) = made.enricher.named.sources()
            assert source.file is not None
            of_feed = made.enricher.lists.watched["tor"].value
            return of_feed, source.file.value, source.inline, made.enricher.lists.deny

        first = lists()
        amend(policy, level=3)
        assert await made.refresh(NOW)
        assert [one is other for one, other in zip(lists(), first, strict=True)] == [True, True, True, True]
        other = {"accounts": named["people"] | {"entries": ["trudy"]}}
        amend(policy, lists=FEED | {"named": other, "deny": {"networks": ["198.51.100.0/24"]}})
        assert await made.refresh(NOW)
        assert [one is other for one, other in zip(lists(), first, strict=True)] == [True, True, False, False]
        people.write_text("eve\nmallory\n")
        move(feed, policy.parent / "old.txt")
        feed.write_text("203.0.113.8\n")
        amend(policy, level=2)
        assert await made.refresh(NOW)
        assert [one is other for one, other in zip(lists(), first, strict=True)] == [False, False, False, False]
        assert made.enricher.lists.listed(parse_address("203.0.113.8"), None, NOW.date()) == ("tor",)


async def test_a_broken_list_keeps_no_policy_back(policy: Path) -> None:
    """A policy that changes beside a list that broke is used, with the last good list; a new name has no good one."""
    feed = policy.parent / "tor.txt"
    feed.write_text("203.0.113.7\n")
    amend(policy, lists=FEED)
    async with loaded(policy) as made:
        feed.write_text("junk\n")
        amend(policy, lists=FEED | {"deny": {"networks": ["198.51.100.0/24"]}})
        assert await made.refresh(NOW)
        assert "last good one stays" in made.problems["databases"]
        assert [entries for _, _, entries in made.enricher.lists.files()] == [1]
        move(feed, policy.parent / "new.txt")
        amend(policy, lists={"feeds": [{"name": "tor", "file": "new.txt"}]})
        assert not await made.refresh(NOW)
        assert "line 1: 'junk'" in made.problems["policy"]


async def test_a_broken_model_is_told_and_mended(policy: Path) -> None:
    """Where a policy can do without, a broken model is named from the first look on, and so is the one after it."""
    models = policy.parent / "models"
    models.mkdir()
    (models / "CURRENT").write_text("20260101-00000000\n")
    async with loaded(policy) as made:
        assert made.model is None
        assert not await made.refresh(NOW)
        assert "manifest.json" in made.problems["model"]
        assert not await made.refresh(NOW)
        assert errors(made, "model") == 1
        (models / "20260101-00000000").mkdir()
        (models / "20260101-00000000" / "manifest.json").write_text("{}")
        assert not await made.refresh(NOW)
        assert errors(made, "model") == 2


async def test_a_pinned_list_is_the_one_that_was_signed(policy: Path) -> None:
    """A list that the signature pins is used with that content only; one that may change is taken as it changes."""
    signer = Signer()
    for name in ("pinned.txt", "free.txt"):
        (policy.parent / name).write_text("203.0.113.7\n")
    amend(policy, lists={"feeds": [{"name": name[:-4], "file": name} for name in ("pinned.txt", "free.txt")]})
    signer.sign(policy, 1, pinned=["pinned.txt"])
    async with loaded(policy, policy_keys=signer.trust(policy.parent / "trusted.pub")) as made:
        for name in ("pinned.txt", "free.txt"):
            (policy.parent / name).write_text("203.0.113.7\n203.0.113.8\n")
        await made.refresh(NOW)
        assert {name: entries for name, _, entries in made.enricher.lists.files()} == {"pinned": 1, "free": 2}
        assert "not the file that was signed" in made.problems["databases"]
        signer.sign(policy, 2, pinned=["pinned.txt"])
        assert await made.refresh(NOW)
        assert {name: entries for name, _, entries in made.enricher.lists.files()} == {"pinned": 2, "free": 2}
        await made.refresh(NOW)
        assert made.problems == {}
