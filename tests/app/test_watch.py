"""What changes on disk is told, however it is changed."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from riskd.app.watch import changes, on_the_way

PATIENCE_S = 20.0


@asynccontextmanager
async def watched(*paths: Path) -> AsyncIterator[asyncio.Event]:
    """Watch paths; the event is set whenever a change is told. Ready once changes are."""
    told = asyncio.Event()

    async def listen() -> None:
        async for _ in changes(paths):
            told.set()

    listening = asyncio.create_task(listen())
    probe = paths[0].parent / "probe"
    while not told.is_set():
        probe.write_text("watching already?")
        await asyncio.sleep(0.02)
    await at_rest(told)
    yield told
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def at_rest(told: asyncio.Event) -> None:
    """Wait until what happened so far is told."""
    while True:
        told.clear()
        await asyncio.sleep(0.3)
        if not told.is_set():
            return


async def test_a_file_that_is_replaced_written_or_deleted(tmp_path: Path) -> None:
    """Each way to change a file is told once it is done."""
    path = tmp_path / "riskd.yaml"
    path.write_text("a")
    beside = tmp_path / "elsewhere"
    beside.mkdir()
    (beside / "new").write_text("b")
    async with watched(path) as told:
        for change in (lambda: (beside / "new").replace(path), lambda: path.write_text("c"), path.unlink):
            await at_rest(told)
            change()
            await asyncio.wait_for(told.wait(), PATIENCE_S)


async def test_reading_is_no_change(tmp_path: Path) -> None:
    """A worker that looks does not make all look again."""
    path = tmp_path / "riskd.yaml"
    path.write_text("a")
    async with watched(path) as told:
        path.read_text()
        path.stat()
        await asyncio.sleep(0.3)
        assert not told.is_set()


async def test_a_link_that_is_swapped_as_kubernetes_does(tmp_path: Path) -> None:
    """A ConfigMap changes by renaming the link `..data`; afterwards the new folder is watched as the old one was."""
    for revision in ("..1", "..2"):
        (tmp_path / revision).mkdir()
        (tmp_path / revision / "riskd.yaml").write_text(revision)
    (tmp_path / "..data").symlink_to("..1")
    path = tmp_path / "riskd.yaml"
    path.symlink_to("..data/riskd.yaml")
    async with watched(path) as told:
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        await asyncio.wait_for(told.wait(), PATIENCE_S)
        await asyncio.sleep(1.5)  # until it is seen that the path leads elsewhere
        await at_rest(told)
        (tmp_path / "..2" / "riskd.yaml").write_text("written in place")
        await asyncio.wait_for(told.wait(), PATIENCE_S)


async def test_a_link_far_from_the_file(tmp_path: Path) -> None:
    """A link on the way counts, wherever it is: a release that is swapped under a fixed name."""
    for release in ("one", "two"):
        (tmp_path / "releases" / release).mkdir(parents=True)
        (tmp_path / "releases" / release / "riskd.yaml").write_text(release)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "current").symlink_to("../releases/one")
    (tmp_path / "etc" / "riskd.yaml").symlink_to("current/riskd.yaml")
    path = tmp_path / "etc" / "riskd.yaml"
    assert {tmp_path / "etc", tmp_path / "releases" / "one"} <= set(on_the_way(path))
    async with watched(path) as told:
        (tmp_path / "etc" / "next").symlink_to("../releases/two")
        (tmp_path / "etc" / "next").replace(tmp_path / "etc" / "current")
        await asyncio.wait_for(told.wait(), PATIENCE_S)


async def test_a_folder_that_goes_and_comes(tmp_path: Path) -> None:
    """A folder of the same name that is another one is watched within a second or two, as is one that was missing."""
    path, later = tmp_path / "etc" / "riskd.yaml", tmp_path / "later" / "keys.json"
    path.parent.mkdir()
    async with watched(path, later) as told:
        shutil.rmtree(path.parent)
        path.parent.mkdir()
        later.parent.mkdir()
        await asyncio.sleep(1.5)
        for file in (path, later):
            await at_rest(told)
            file.write_text("a")
            await asyncio.wait_for(told.wait(), PATIENCE_S)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """A path that leads nowhere has folders to watch all the same."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert tmp_path in set(on_the_way(tmp_path / "a" / ".." / "riskd.yaml"))
