"""Tells when something changes on disk, within some 50 ms, as the system reports it.

What it misses (a network file system, a folder that was not there, too many watches) is found by the workers, which
look at their files every second whether or not they are told.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from stat import S_ISDIR
from typing import Final

import structlog
from watchfiles import awatch

GATHER_MS: Final = 20
"""Changes that follow one another within this time are told as one."""
TELL_WITHIN_MS: Final = 50
"""A change is told after this time even if others still follow."""
LOOK_AROUND_MS: Final = 1000
"""How often it is seen whether the paths still lead through the same folders."""
TRY_AGAIN_S: Final = 5.0

Folders = dict[Path, tuple[int, int]]

log = structlog.stdlib.get_logger("riskd.watch")


async def changes(paths: Iterable[Path]) -> AsyncGenerator[None, None]:
    """Yield whenever something changed in a folder that decides what one of the paths holds; never ends."""
    watched, told = tuple(paths), ""
    while True:
        folders = _folders(watched)
        try:
            async with aclosing(_events(folders)) as events:
                async for happened in events:
                    if happened:
                        yield
                    if _folders(watched) != folders:
                        break
        except (OSError, RuntimeError) as error:  # what its Rust side raises
            if str(error) != told:
                told = str(error)
                log.warning("no_file_events", reason=told, consequence="workers look at their files every second")
            await asyncio.sleep(TRY_AGAIN_S)


async def _events(folders: Iterable[Path]) -> AsyncGenerator[bool, None]:
    """Yield True for every change, and False now and then in between."""
    watching = awatch(
        *folders,
        watch_filter=None,
        debounce=TELL_WITHIN_MS,
        step=GATHER_MS,
        rust_timeout=LOOK_AROUND_MS,
        yield_on_timeout=True,
        recursive=False,
    )
    async with aclosing(watching):
        async for changed in watching:
            yield bool(changed)


def _folders(paths: Iterable[Path]) -> Folders:
    """Return the folders to watch, each with what tells it from another one of the same name."""
    found: Folders = {}
    for path in paths:
        for folder in on_the_way(path):
            with suppress(OSError):
                status = folder.stat()
                if S_ISDIR(status.st_mode):
                    found[folder] = (status.st_dev, status.st_ino)
    return found


def on_the_way(path: Path) -> Iterator[Path]:
    """Yield the folders whose entries decide what a path holds: that of each link on the way, its own, and itself.

    Kubernetes mounts `riskd.yaml` as a link to `..data/riskd.yaml`, and changes it by renaming the link `..data`.
    """
    path = path.absolute()
    at, ahead, links = Path(path.anchor), list(path.parts[1:]), 0
    while ahead:
        here = at / ahead.pop(0)
        if here.is_symlink() and links < 40:
            links += 1
            yield at
            target = here.readlink()
            at = Path(target.anchor) if target.is_absolute() else at
            ahead = [*(target.parts[1:] if target.is_absolute() else target.parts), *ahead]
        else:
            at = here.parent.parent if here.name == ".." else here
    yield at.parent
    yield at
