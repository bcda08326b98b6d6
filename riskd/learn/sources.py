"""Where a log is read from: folders, files, globs, and URIs that pyarrow speaks (s3://, gs://, file://).

JSON lines may be plain or compressed (.gz, .bz2, .zst, .lz4); Parquet is as `riskd log export` writes it. Files are
read one after the other, line by line.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from glob import glob, has_magic
from hashlib import sha256
from importlib import import_module
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from msgspec import Struct

from riskd.errors import ConfigError
from riskd.record.files import compressed, log_file, log_files, open_file
from riskd.record.parquet import PARQUET
from riskd.record.parquet import lines as parquet_lines
from riskd.record.reader import ReadReport, whole_lines
from riskd.record.schema import LineError, Record, decode

_JSON_LINES = (".jsonl", ".jsonl.gz", ".jsonl.bz2", ".jsonl.zst", ".jsonl.lz4")
_BUFFER = 1 << 20
MOST_FILES = 100_000
"""More files than any log has; a glob over a whole disk ends here."""


class Source(Struct, frozen=True):
    """One file of a log."""

    name: str
    """Path or URI, without the options and the account that a URI may hold: it stands in the manifest."""
    size: int
    """Bytes on disk."""
    opened: Callable[[], BinaryIO]
    """Opens it for reading, decompressed; raises OSError."""


class Reading:
    """Reads one file to its end, counts what it meets, and says at last what was read."""

    def __init__(self, source: Source, report: ReadReport) -> None:
        self._source, self._report = source, report
        self._digest = sha256()
        self.records = 0
        """Records read well."""

    def __iter__(self) -> Iterator[Record]:
        """Yield the records in the order of the file; what is none is counted in the report by reason."""
        before = self._report.records
        for line in self._lines():
            self._digest.update(line)
            try:
                record: Record = decode(line)
            except LineError as refused:
                self._report.refused[refused.reason] += 1
            else:
                self._report.records += 1
                yield record
        self.records = self._report.records - before

    @property
    def digest(self) -> str:
        """SHA-256 over the lines that were read, hex: the same for a file, its compressed form and its Parquet."""
        return self._digest.hexdigest()

    def _lines(self) -> Iterator[bytes]:
        try:
            with self._source.opened() as stream:
                if self._source.name.endswith(PARQUET):
                    yield from parquet_lines(stream)
                else:
                    yield from whole_lines(stream, self._report)
        except (OSError, EOFError, ValueError, zlib.error):  # gone, forbidden, damaged or no log
            self._report.refused["unreadable"] += 1


def sources(asked: Sequence[str | Path]) -> list[Source]:
    """Return the files of a log, each once, in the order of their names.

    Of a folder its files as the service names them, or else its JSON lines, or else its Parquet files, those of its
    partitions included; a folder may also be the one that holds `log/`. Raises ConfigError, one line with the way out,
    for what is not there or cannot be listed.
    """
    found: dict[str, Source] = {}
    for one in asked:
        text = str(one)
        here = _remote(text) if "://" in text else _local(text)
        if not here:
            raise ConfigError(f"{_shown(text)}: no decision log is there (*.jsonl, compressed or not, or *.parquet)")
        found |= {source.name: source for source in here}
        if len(found) > MOST_FILES:
            raise ConfigError(f"{_shown(text)}: more than {MOST_FILES:,} files; name the folder of the log")
    return [found[name] for name in sorted(found)]


def _local(text: str) -> list[Source]:
    path = Path(text)
    if path.is_file():
        return [_of_path(path)]
    if path.is_dir():
        folder = path / "log" if (path / "log").is_dir() else path
        named = [file.path for file in log_files(folder)]
        return [_of_path(file) for file in named or _preferred(folder)]
    if has_magic(text):
        return [_of_path(Path(name)) for name in sorted(glob(text, recursive=True)) if Path(name).is_file()]  # noqa: PTH207 - Path.glob takes no absolute pattern
    return []


def _preferred(folder: Path) -> list[Path]:
    lines = [path for path in sorted(folder.iterdir()) if path.name.endswith(_JSON_LINES)]
    return lines or sorted(folder.rglob(f"*{PARQUET}"))


def _of_path(path: Path) -> Source:
    file = log_file(path)
    if file is not None:  # it may be compressed at any moment
        there = file.path if file.path.exists() else compressed(file.path)
        return Source(str(file.path), there.stat().st_size, lambda: open_file(file))
    if path.suffix == ".gz":
        opened: Callable[[], BinaryIO] = lambda: cast("BinaryIO", gzip.open(path))  # noqa: E731, SIM115 - closed by its reader
    elif path.name.endswith(_JSON_LINES[2:]):
        opened = lambda: _detected(_filesystems().LocalFileSystem(), str(path))  # noqa: E731
    else:
        opened = lambda: path.open("rb")  # noqa: E731
    return Source(str(path), path.stat().st_size, opened)


def _remote(uri: str) -> list[Source]:
    """List the files behind a URI; a `?` begins its options, as pyarrow reads them, so globs have `*` and `[` only."""
    fs = _filesystems()
    address, mark, options = uri.partition("?")
    scheme, _, path = address.partition("://")
    parts = path.split("/")
    plain = next((n for n, part in enumerate(parts) if has_magic(part)), len(parts))
    base = "/".join(parts[:plain])
    try:
        system, root = fs.FileSystem.from_uri(f"{scheme}://{base}{mark}{options}")
        info = system.get_file_info(root)
        if info.type == fs.FileType.File:
            files = [info]
        elif info.type == fs.FileType.Directory:
            files = [one for one in system.get_file_info(fs.FileSelector(root, recursive=True)) if one.is_file]
            files = _chosen(files, root, "/".join(parts[plain:]))
        else:
            files = []
    except (OSError, ValueError, NotImplementedError) as error:
        raise ConfigError(f"{_shown(uri)}: {str(error).splitlines()[0]}") from error
    prefix = _shown(f"{scheme}://{base}")
    return [
        Source(prefix + one.path[len(root) :], one.size, _opener(system, one.path))
        for one in sorted(files, key=lambda one: one.path)
    ]


def _shown(text: str) -> str:
    """Leave out of a URI what may be a secret: its options, and the account before the host."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    host, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _chosen(files: list[Any], root: str, pattern: str) -> list[Any]:
    """Of the files below `root` those that a glob names, or without one those that a folder stands for."""
    below = [(one, one.path[len(root) :].lstrip("/")) for one in files]
    if pattern:
        return [one for one, name in below if _matches(name, pattern)]
    below = [(one, name.removeprefix("log/")) for one, name in below]
    lines = [one for one, name in below if "/" not in name and name.endswith(_JSON_LINES)]
    named = [one for one in lines if log_file(Path(one.path)) is not None]
    return named or lines or [one for one, name in below if name.endswith(PARQUET)]


def _matches(name: str, pattern: str) -> bool:
    """Whether a glob names a path; a star stays within its folder, `**` does not."""
    names, patterns = PurePosixPath(name).parts, PurePosixPath(pattern).parts
    if "**" in patterns:
        return fnmatch(name, pattern.replace("**/", "*"))
    return len(names) == len(patterns) and all(map(fnmatch, names, patterns))


def _opener(system: Any, path: str) -> Callable[[], BinaryIO]:  # noqa: ANN401 - a file system of pyarrow
    if path.endswith(PARQUET):
        return lambda: cast("BinaryIO", system.open_input_file(path))
    return lambda: _detected(system, path)


def _detected(system: Any, path: str) -> BinaryIO:  # noqa: ANN401 - a file system of pyarrow
    """Open as a stream, decompressed as the name says."""
    return BufferedReader(system.open_input_stream(path, compression="detect"), _BUFFER)


def _filesystems() -> Any:  # noqa: ANN401 - of a module that may not be installed
    try:
        return import_module("pyarrow.fs")
    except ModuleNotFoundError:
        raise ConfigError("remote logs need pyarrow: pip install 'riskd[learn]'") from None
