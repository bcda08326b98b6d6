"""Rows in the order of time, in constant memory: they are put down in a file, and read back sorted."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from riskd.errors import ConfigError
from riskd.learn.importing.row import Row


def in_order(rows: Iterable[Row], folder: Path) -> Iterator[Row]:
    """Yield the rows by time, those of one time as they came; a file in `folder` holds them meanwhile.

    All are read before the first is yielded.
    """
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Row).decode
    with closing(scratch(folder / "rows.sqlite")) as file:
        file.execute("CREATE TABLE row (time REAL, number INTEGER PRIMARY KEY, told BLOB)")
        file.execute("BEGIN")
        file.executemany("INSERT INTO row (time, told) VALUES (?, ?)", ((row.time, encode(row)) for row in rows))
        file.execute("COMMIT")
        file.execute("CREATE INDEX by_time ON row (time, number)")
        for (told,) in file.execute("SELECT told FROM row ORDER BY time, number"):
            yield decode(told)


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """Yield a folder that is gone afterwards; raises ConfigError when what is put down there finds no room."""
    with TemporaryDirectory(prefix=f"riskd-{name}-") as folder:
        try:
            yield Path(folder)
        except sqlite3.Error as error:
            raise ConfigError(f"{folder}: {error}; let TMPDIR name a folder with more room") from error


def scratch(path: Path) -> sqlite3.Connection:
    """Open a new database for one run: fast, since nobody needs it after a crash."""
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA journal_mode = OFF")
    file.execute("PRAGMA synchronous = OFF")
    file.execute("PRAGMA cache_size = -65536")  # 64 MB
    return file
