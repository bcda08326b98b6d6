"""Case 6: lost history is told from a new store."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from riskd.store import Embedded, Store, parse
from riskd.store.epoch import Epoch
from tests.store.story import NOW, Raw, attempt

Process = Callable[[str], Store]


@pytest.fixture
async def process(embedded: Embedded, prefix: str, tmp_path: Path) -> AsyncIterator[Process]:
    """Start another riskd process on the same store, with the marker named."""
    made: list[Store] = []

    def begin(marker: str) -> Store:
        made.append(Store(parse(embedded.url), tmp_path / marker, budget_s=5.0, prefix=prefix))
        return made[-1]

    yield begin
    for one in made:
        await one.close()


async def lost(store: Store) -> bool:
    """Attempt and say whether the history is lost."""
    return (await store.observe(attempt())).history_lost


async def test_a_new_store_is_a_cold_start(store: Store, raw: Raw, prefix: str, tmp_path: Path) -> None:
    """Without epoch and marker a cold epoch begins, and that is no fault."""
    assert not await lost(store)
    kept = await raw.client.get(f"{prefix}:epoch")
    assert kept.startswith("cold ")
    assert (tmp_path / "store-epoch").read_text() == kept
    assert await store.ping()


async def test_an_emptied_store_has_lost_its_history(store: Store, process: Process, raw: Raw, prefix: str) -> None:
    """A store without the epoch we remember is degraded, also after a restart, until the loss is accepted."""
    assert not await lost(store)
    another = process("store-epoch")
    assert not await lost(another)
    await raw.client.delete(*await raw.keys())
    assert await lost(store)
    assert await lost(store)
    assert not await store.ping()
    assert await lost(another)
    restarted = process("store-epoch")
    assert await lost(restarted)
    await another.accept_loss(NOW)
    assert not await lost(another)
    assert not await lost(store)
    assert not await lost(restarted)
    assert (await raw.client.get(f"{prefix}:epoch")).startswith("accepted ")


async def test_another_cold_epoch_is_a_loss(store: Store, process: Process, raw: Raw) -> None:
    """Where a stranger began a cold epoch on our emptied store, we still miss our history; the stranger does not."""
    assert not await lost(store)
    await raw.client.delete(*await raw.keys())
    assert not await lost(process("elsewhere"))
    assert await lost(store)


async def test_a_process_without_marker_adopts(store: Store, process: Process, tmp_path: Path) -> None:
    """A new machine on a living store adopts its epoch."""
    assert not await lost(store)
    assert not await lost(process("new/marker"))
    assert (tmp_path / "new" / "marker").read_bytes() == (tmp_path / "store-epoch").read_bytes()


@pytest.mark.parametrize("damage", [b"", b"\x00\xff", b"x" * 4096])
def test_a_damaged_marker_is_none(tmp_path: Path, damage: bytes) -> None:
    """A marker that is no epoch counts as no marker."""
    (tmp_path / "marker").write_bytes(damage)
    assert Epoch(tmp_path / "marker").held is None


def test_a_marker_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    """Where no marker can be kept the process still lives in its epoch."""
    (tmp_path / "file").write_text("no directory")
    epoch = Epoch(tmp_path / "file" / "marker")
    epoch.adopt(b"cold 1 2")
    assert epoch.judge(b"cold 1 2") == "known"
