"""Lines of a file, plain or compressed (gzip, Zstandard), in constant memory however long they are."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from riskd.errors import ConfigError
from riskd.learn.importing.row import Reading

LONGEST: Final = 65_536
"""Bytes of the longest line that is looked at, newline included."""
_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def open_any(path: Path) -> BinaryIO:
    """Open a file for reading, decompressed by what is in it, not by its name; raises ConfigError."""
    try:
        with path.open("rb") as file:
            begins = file.read(4)
        if begins.startswith(_GZIP):
            return cast("BinaryIO", gzip.open(path, "rb"))
        if begins == _ZSTANDARD:
            return _zstandard(path)
        return path.open("rb")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error


def _zstandard(path: Path) -> BinaryIO:
    try:
        import pyarrow as pa  # noqa: PLC0415 - only who imports such a file needs it
    except ImportError:
        raise ConfigError(
            f"{path}: Zstandard needs the extra `learn` (pip install 'riskd[learn]'), or `zstd -d`"
        ) from None
    return cast("BinaryIO", io.BufferedReader(pa.input_stream(str(path), compression="zstd", buffer_size=1 << 20)))


def read_lines(path: Path, reading: Reading) -> Iterator[str]:
    """Yield the lines without their newlines, as UTF-8 with a mark for what is none; longer ones are left out.

    An archive that ends in the middle or is damaged ends there, and is counted. Raises ConfigError for a file that
    cannot be opened.
    """
    with open_any(path) as stream:
        first = True
        try:
            while line := stream.readline(LONGEST):
                reading.lines += 1
                if not line.endswith(b"\n") and len(line) == LONGEST:
                    reading.unusable["line: too long"] += 1
                    while (rest := stream.readline(LONGEST)) and not rest.endswith(b"\n"):
                        pass
                    continue
                yield line.decode("utf-8-sig" if first else "utf-8", "replace").rstrip("\r\n")
                first = False
        except (OSError, EOFError, zlib.error):
            reading.unusable["file: damaged from here on"] += 1
