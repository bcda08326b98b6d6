"""Where a log is read from: folders, files, globs, and URIs that pyarrow speaks (s3://, gs://, file://).

JSON lines may be plain or compressed (.gz, .bz2, .zst, .lz4); Parquet is as `riskd log export` writes it. A file is
read line by line, by whichever process or machine gets to do it: what names it travels, what opens it does not.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from fnmatch import fnmatch
from glob import glob, has_magic
from hashlib import sha256
from importlib import import_module
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from msgspec import Struct

from riskd.errors import ConfigError
from riskd.record.files import compressed, log_file, log_files, open_file, open_path
from riskd.record.parquet import PARQUET
from riskd.record.parquet import lines as parquet_lines
from riskd.record.reader import ReadReport, whole_lines

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
    path: str
    """What its file system calls it."""
    system: Any = None
    """A file system of pyarrow; None: that of the machine it is read on."""

    def opened(self) -> BinaryIO:
        """Open it for reading, decompressed; raises OSError."""
        if self.system is not None:
            if self.path.endswith(PARQUET):
                return cast("BinaryIO", self.system.open_input_file(self.path))
            return _detected(self.system, self.path)
        path = Path(self.path)
        file = log_file(path)  # one of the service's own may be compressed at any moment
        return open_path(path) if file is None else open_file(file)

    def may_hold(self, since: datetime | None, until: datetime | None) -> bool:
        """Whether a record with `since` ≤ time < `until` may be inside; only the service's own names tell."""
        file = log_file(Path(self.path))
        return file is None or file.may_hold(since, until)


class Reading:
    """Reads one file to its end, and says then what was read."""

    def __init__(self, source: Source) -> None:
        self._source, self._report = source, ReadReport()
        self._digest = sha256()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the whole lines, each with its newline; what cannot be read is counted."""
        try:
            with self._source.opened() as stream:
                parquet = self._source.path.endswith(PARQUET)
                for line in parquet_lines(stream) if parquet else whole_lines(stream, self._report):
                    self._digest.update(line)
                    yield line
        except (OSError, EOFError, ValueError, zlib.error):  # gone, forbidden, damaged or no log
            self._report.refused["unreadable"] += 1

    @property
    def refused(self) -> Counter[str]:
        """Lines that were passed over, by reason, and `unreadable` for a file given up."""
        return self._report.refused

    @property
    def digest(self) -> str:
        """SHA-256 over the lines that were read, hex: the same for a file, its compressed form and its Parquet."""
        return self._digest.hexdigest()


def lines_of(files: Iterable[Source], refused: Counter[str]) -> Iterator[bytes]:
    """Yield the whole lines of files, one file after the other; what cannot be read is counted in `refused`."""
    for file in files:
        reading = Reading(file)
        yield from reading
        refused.update(reading.refused)


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
            raise ConfigError(f"{shown(text)}: no decision log is there (*.jsonl, compressed or not, or *.parquet)")
        found |= {source.name: source for source in here}
        if len(found) > MOST_FILES:
            raise ConfigError(f"{shown(text)}: more than {MOST_FILES:,} files; name the folder of the log")
    return [found[name] for name in sorted(found)]


def log_sources(log: Sequence[Path]) -> list[Path]:
    """Return the files of a log on this machine, in the same order and of the same folders as `sources` does."""
    return [Path(source.path) for source in sources([str(path) for path in log])]


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
    if file is None:
        return Source(str(path), path.stat().st_size, str(path.absolute()))
    try:
        size = file.path.stat().st_size
    except FileNotFoundError:  # compressed, perhaps since it was listed
        size = compressed(file.path).stat().st_size
    return Source(str(file.path), size, str(file.path.absolute()))


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
        said = str(error).splitlines()[0].replace(uri, shown(uri))  # pyarrow repeats the URI, with what is secret in it
        for secret in (f"{scheme}://{base}{mark}{options}", options, address.rpartition("@")[0].partition("://")[2]):
            said = said.replace(secret, "…") if secret else said
        raise ConfigError(f"{shown(uri)}: {said}") from None
    prefix = shown(f"{scheme}://{base}")
    return [
        Source(prefix + one.path[len(root) :], one.size, one.path, system)
        for one in sorted(files, key=lambda one: one.path)
    ]


def shown(named: str | Path) -> str:
    """Return what names a log, without what may be secret in a URI: its options, and the account before the host."""
    text = str(named)
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


def _detected(system: Any, path: str) -> BinaryIO:  # noqa: ANN401 - a file system of pyarrow
    """Open as a stream, decompressed as the name says."""
    return BufferedReader(system.open_input_stream(path, compression="detect"), _BUFFER)


def _filesystems() -> Any:  # noqa: ANN401 - of a module that may not be installed
    try:
        return import_module("pyarrow.fs")
    except ModuleNotFoundError:
        raise ConfigError("remote logs need pyarrow: pip install 'riskd[learn]'") from None
